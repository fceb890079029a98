"""BatchGetItem and BatchWriteItem (section 2.3)."""

import pytest

import wire
from dynamo import NOT_FOUND, VALIDATION, Raw, item_of, plain, refused, unique

DUPLICATES = "Provided list of item keys contains duplicates"


def put_request(item):
    return {"PutRequest": {"Item": item_of(item)}}


def delete_request(key):
    return {"DeleteRequest": {"Key": item_of(key)}}


def get_batch(table, keys, **more):
    request = {"Keys": [item_of(key) for key in keys], "ConsistentRead": True} | more
    return table.db.batch_get_item(RequestItems={table.name: request})


def write_batch(table, requests, **more):
    return table.db.batch_write_item(RequestItems={table.name: requests}, **more)


def in_order(items):
    """Items in the order of their keys: the order of an answer is not defined."""
    return sorted(items, key=lambda item: (item["p"], item["c"]))


def by_key(items):
    return in_order(plain(item) for item in items)


# ----------------------------------------------------------------------------------------------------------------------
# Writing.


def test_2_3_puts_and_deletes(table):
    keys = [table.key() for _ in range(6)]
    table.put_many([key | {"x": 1} for key in keys[:3]])
    requests = [delete_request(key) for key in keys[:3]] + [put_request(key | {"x": 2}) for key in keys[3:]]
    answer = write_batch(table, requests)
    assert answer["UnprocessedItems"] == {}
    assert [table.get(key) for key in keys] == [None] * 3 + [key | {"x": 2} for key in keys[3:]]


def test_2_3_writes_to_several_tables(table, hash_table):
    key, other = table.key(), hash_table.key()
    requests = {table.name: [put_request(key)], hash_table.name: [put_request(other)]}
    assert table.db.batch_write_item(RequestItems=requests)["UnprocessedItems"] == {}
    assert (table.get(key), hash_table.get(other)) == (key, other)


def test_2_3_a_batch_replaces_whole_items(table):
    key = table.key()
    table.put(key | {"a": 1})
    write_batch(table, [put_request(key | {"b": 1})])
    assert table.get(key) == key | {"b": 1}


def test_2_3_twenty_five_and_one_more(table):
    keys = [table.key() for _ in range(26)]
    with refused(VALIDATION, "length"):
        write_batch(table, [put_request(key) for key in keys])
    assert table.get(keys[0]) is None
    write_batch(table, [put_request(key) for key in keys[:25]])
    assert all(table.get(key) == key for key in keys[:25])


def test_2_3_twenty_six_over_two_tables(table, hash_table):
    requests = {
        table.name: [put_request(table.key()) for _ in range(13)],
        hash_table.name: [put_request(hash_table.key()) for _ in range(13)],
    }
    with refused():
        table.db.batch_write_item(RequestItems=requests)


DUPLICATE_WRITES = {
    "two puts": lambda key: [put_request(key | {"x": 1}), put_request(key | {"x": 2})],
    "put and delete": lambda key: [put_request(key), delete_request(key)],
    "two deletes": lambda key: [delete_request(key), delete_request(key)],
}


@pytest.mark.parametrize("case", DUPLICATE_WRITES)
def test_2_3_two_requests_on_one_key(table, case):
    key = table.key()
    with refused(VALIDATION, DUPLICATES):
        write_batch(table, DUPLICATE_WRITES[case](key))
    assert table.get(key) is None


@pytest.mark.parametrize("way", ["7.0", "70e-1", "+7", "007"])
def test_2_1_2_numerically_equal_keys_are_duplicates(number_table, way):
    c = number_table.key()["c"]
    with refused(VALIDATION, DUPLICATES):
        write_batch(number_table, [put_request({"p": 7, "c": c}), put_request({"p": Raw({"N": way}), "c": c})])


BAD_REQUESTS = {
    "no sort key": put_request({"p": "a"}),
    "wrong key type": put_request({"p": 1, "c": "a"}),
    "empty key": put_request({"p": "", "c": "a"}),
    "key with more": delete_request({"p": "a", "c": "a", "x": "a"}),
    "delete without sort key": delete_request({"p": "a"}),
    "bad number": put_request({"p": "a", "c": "a", "x": Raw({"N": "dog"})}),
    "empty set": put_request({"p": "a", "c": "a", "x": Raw({"SS": []})}),
    "too large": put_request({"p": "a", "c": "a", "x": "x" * 409600}),
    "long sort key": put_request({"p": "a", "c": "c" * 1025}),
    "both": put_request({"p": "a", "c": "a"}) | delete_request({"p": "a", "c": "a"}),
    "neither": {},
}


@pytest.mark.parametrize("case", BAD_REQUESTS)
def test_2_3_one_bad_request_refuses_all(table, case):
    key = table.key()
    with refused():
        write_batch(table, [put_request(key), BAD_REQUESTS[case]])
    assert table.get(key) is None


@pytest.mark.parametrize("request_items", [{}, {"conformance-any": []}], ids=str)
def test_2_3_empty_write(db, request_items):
    with refused():
        db.batch_write_item(RequestItems=request_items)


def test_2_3_write_to_an_unknown_table_refuses_all(table):
    key = table.key()
    with refused(NOT_FOUND):
        table.db.batch_write_item(
            RequestItems={table.name: [put_request(key)], "conformance-unknown": [put_request(key)]}
        )
    assert table.get(key) is None


def test_2_3_write_to_a_malformed_name(table):
    with refused():
        table.db.batch_write_item(RequestItems={"no name": [put_request(table.key())]})


def test_2_1_6_capacity_of_a_write(table, hash_table):
    requests = {
        table.name: [put_request(table.key()) for _ in range(3)],
        hash_table.name: [put_request(hash_table.key() | {"x": "x" * 1024})],
    }
    answer = table.db.batch_write_item(RequestItems=requests, ReturnConsumedCapacity="TOTAL")
    costs = {cost["TableName"]: cost["CapacityUnits"] for cost in answer["ConsumedCapacity"]}
    assert costs == {table.name: 3, hash_table.name: 2}


def test_2_3_write_by_arn(table):
    key = table.key()
    table.db.batch_write_item(RequestItems={table.arn: [put_request(key)]})
    assert table.get(key) == key


def test_3_2_unprocessed_members_are_always_present(table):
    body = {"RequestItems": {table.name: [put_request(table.key())]}}
    assert wire.call("BatchWriteItem", body).json()["UnprocessedItems"] == {}
    body = {"RequestItems": {table.name: {"Keys": [item_of(table.key())]}}}
    answer = wire.call("BatchGetItem", body).json()
    assert answer["UnprocessedKeys"] == {} and answer["Responses"] == {table.name: []}


# ----------------------------------------------------------------------------------------------------------------------
# Reading.


@pytest.fixture(scope="module")
def stored(table):
    items = [table.key() | {"x": at, "m": {"a": at, "b": [at]}} for at in range(30)]
    table.put_many(items)
    return items


def keys_of(items):
    return [{"p": item["p"], "c": item["c"]} for item in items]


def test_2_3_get_of_many(table, stored):
    answer = get_batch(table, keys_of(stored))
    assert by_key(answer["Responses"][table.name]) == in_order(stored)
    assert answer["UnprocessedKeys"] == {}


def test_2_3_missing_items_are_not_returned(table, stored):
    answer = get_batch(table, [table.key(), *keys_of(stored[:2]), table.key()])
    assert by_key(answer["Responses"][table.name]) == in_order(stored[:2])


def test_2_3_no_item_is_an_empty_list(table):
    answer = get_batch(table, [table.key()])
    assert answer["Responses"] == {table.name: []} and answer["UnprocessedKeys"] == {}


def test_2_3_get_from_several_tables(table, hash_table, stored):
    key = hash_table.key()
    hash_table.put(key)
    requests = {
        table.name: {"Keys": [item_of(key) for key in keys_of(stored[:1])], "ConsistentRead": True},
        hash_table.name: {"Keys": [item_of(key)], "ConsistentRead": True},
    }
    answer = table.db.batch_get_item(RequestItems=requests)
    found = {name: [plain(item) for item in items] for name, items in answer["Responses"].items()}
    assert found == {table.name: stored[:1], hash_table.name: [key]}


def test_2_3_a_hundred_keys_and_one_more(table):
    keys = [table.key() for _ in range(101)]
    table.put_many(keys[:100])
    assert len(get_batch(table, keys[:100])["Responses"][table.name]) == 100
    with refused():
        get_batch(table, keys)


def test_2_3_a_hundred_and_one_keys_over_two_tables(table, hash_table):
    requests = {
        table.name: {"Keys": [item_of(table.key()) for _ in range(51)]},
        hash_table.name: {"Keys": [item_of(hash_table.key()) for _ in range(50)]},
    }
    with refused(VALIDATION, "Too many items requested for the BatchGetItem call"):
        table.db.batch_get_item(RequestItems=requests)


def test_2_3_one_key_twice(table):
    key = table.key()
    with refused(VALIDATION, DUPLICATES):
        get_batch(table, [key, table.key(), key])


@pytest.mark.parametrize(
    "key", [{"p": "a"}, {"p": "a", "c": 1}, {"p": "a", "c": "a", "x": "a"}, {}, {"c": "a"}], ids=str
)
def test_2_3_wrong_keys(table, key):
    with refused(VALIDATION, "The provided key element does not match the schema"):
        get_batch(table, [table.key(), key])


@pytest.mark.parametrize("request_items", [{}, {"conformance-any": {"Keys": []}}, {"conformance-any": {}}], ids=str)
def test_2_3_empty_get(db, request_items):
    with refused():
        db.batch_get_item(RequestItems=request_items)


def test_2_3_get_from_an_unknown_table(table):
    key = item_of(table.key())
    with refused(NOT_FOUND):
        table.db.batch_get_item(RequestItems={table.name: {"Keys": [key]}, "conformance-unknown": {"Keys": [key]}})


def test_2_5_attributes_to_get(table, stored):
    answer = get_batch(table, keys_of(stored[:1]), AttributesToGet=["x"])
    assert [plain(item) for item in answer["Responses"][table.name]] == [{"x": 0}]


def test_2_3_projection_by_both_ways(table):
    with refused(VALIDATION, "Can not use both expression and non-expression parameters in the same request: "):
        get_batch(table, [table.key()], AttributesToGet=["x"], ProjectionExpression="x")


def test_2_1_6_capacity_of_a_read(table, hash_table, stored):
    keys = [item_of(key) for key in keys_of(stored[:3])] + [item_of(table.key())]
    requests = {
        table.name: {"Keys": keys, "ConsistentRead": True},
        hash_table.name: {"Keys": [item_of(hash_table.key())]},
    }
    answer = table.db.batch_get_item(RequestItems=requests, ReturnConsumedCapacity="TOTAL")
    costs = {cost["TableName"]: cost["CapacityUnits"] for cost in answer["ConsumedCapacity"]}
    assert costs == {table.name: 4, hash_table.name: 0.5}


def test_2_3_sixteen_megabytes_of_answer(tables):
    """What does not fit is named, and can be asked for again as it stands."""
    table = tables.create("p:S")
    keys = [{"p": f"{at:02}"} for at in range(45)]
    for key in keys:
        table.put(key | {"x": "x" * 400_000})
    requests, found, rounds = {table.name: {"Keys": [item_of(key) for key in keys], "ConsistentRead": True}}, [], 0
    while requests:
        answer = table.db.batch_get_item(RequestItems=requests)
        size = sum(len(item["x"]["S"]) for item in answer["Responses"].get(table.name, []))
        assert size <= 16 * 1024 * 1024
        found += [item["p"]["S"] for item in answer["Responses"].get(table.name, [])]
        requests = answer["UnprocessedKeys"]
        assert all(request["ConsistentRead"] for request in requests.values())
        rounds += 1
        assert rounds < 50
    assert rounds >= 2
    assert sorted(found) == sorted(key["p"] for key in keys)


def test_2_3_values_survive_a_batch(table):
    item = table.key() | {"b": b"\x00\xff", "s": {"x", "y"}, "n": 12, "l": [None, True, {"a": b""}]}
    write_batch(table, [put_request(item)])
    answer = get_batch(table, [{"p": item["p"], "c": item["c"]}])
    assert by_key(answer["Responses"][table.name]) == [item]


def test_2_3_same_sort_key_in_two_partitions_is_no_duplicate(table):
    c = unique()
    items = [{"p": unique(), "c": c}, {"p": unique(), "c": c}]
    write_batch(table, [put_request(item) for item in items])
    assert by_key(get_batch(table, items)["Responses"][table.name]) == in_order(items)
    assert all(table.get(item) == item for item in items)
