"""PutItem, GetItem, UpdateItem, DeleteItem: keys, conditions, what they give back, what they cost (2.1.3, 2.1.6, 2.3)."""

import pytest

from dynamo import (
    CONDITION_FAILED,
    ENDPOINTS,
    NOT_FOUND,
    VALIDATION,
    Raw,
    Table,
    av,
    client,
    item_of,
    plain,
    refused,
    unique,
)

MISMATCH = "The provided key element does not match the schema"
KEY_OPERATIONS = ["get_item", "update_item", "delete_item"]


def wrapped(key):
    return {name: value if isinstance(value, Raw) else av(value) for name, value in key.items()}


# ----------------------------------------------------------------------------------------------------------------------
# PutItem, GetItem.


def test_2_3_put_replaces_the_whole_item(table):
    key = table.key()
    assert "Attributes" not in table.put(key | {"a": 1, "b": 2})
    table.put(key | {"d": 3})
    assert table.get(key) == key | {"d": 3}


def test_2_3_put_gives_the_old_item_if_asked(table):
    key = table.key()
    assert "Attributes" not in table.put(key | {"a": 1}, ReturnValues="ALL_OLD")
    assert plain(table.put(key | {"a": 2}, ReturnValues="ALL_OLD")["Attributes"]) == key | {"a": 1}
    assert "Attributes" not in table.put(key | {"a": 3}, ReturnValues="NONE")


@pytest.mark.parametrize("values", ["ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"])
def test_2_3_put_gives_nothing_else(table, values):
    with refused(VALIDATION, "ReturnValues can only be ALL_OLD or NONE"):
        table.put(table.key(), ReturnValues=values)


@pytest.mark.parametrize("values", ["ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"])
def test_2_3_delete_gives_nothing_else(table, values):
    with refused(VALIDATION, "ReturnValues can only be ALL_OLD or NONE"):
        table.delete(table.key(), ReturnValues=values)


@pytest.mark.parametrize("values", ["DOG", "none", "all_old", ""])
@pytest.mark.parametrize("operation", ["put", "update", "delete"])
def test_2_3_unknown_return_values(table, operation, values):
    with refused():
        getattr(table, operation)(table.key(), ReturnValues=values)


def test_2_3_get_of_no_item_has_no_item_member(table):
    assert "Item" not in table.get_raw(table.key())


def test_2_3_get_of_missing_attributes_is_an_empty_item(table):
    key = table.key()
    table.put(key)
    assert table.get_raw(key, ProjectionExpression="nothing, more")["Item"] == {}


def test_2_3_get_without_consistency(table):
    key = table.key()
    table.put(key | {"a": 1})
    answer = table.db.get_item(TableName=table.name, Key=item_of(key))
    # An eventually consistent read may be behind; it is never anything but the item or nothing.
    assert answer.get("Item", item_of(key | {"a": 1})) == item_of(key | {"a": 1})


def test_2_3_delete_is_idempotent(table):
    key = table.key()
    table.put(key | {"a": 1})
    assert plain(table.delete(key, ReturnValues="ALL_OLD")["Attributes"]) == key | {"a": 1}
    assert "Attributes" not in table.delete(key, ReturnValues="ALL_OLD")
    assert table.get(key) is None


def test_2_3_items_of_one_partition_are_apart(table):
    key = table.key()
    other = key | {"c": key["c"] + "!"}
    table.put(key | {"a": 1})
    table.put(other | {"a": 2})
    table.delete(key)
    assert table.get(key) is None and table.get(other) == other | {"a": 2}


# ----------------------------------------------------------------------------------------------------------------------
# UpdateItem.


def test_2_3_update_of_nothing_creates_a_key_only_item(table):
    key = table.key()
    answer = table.update(key, ReturnValues="ALL_NEW")
    assert plain(answer["Attributes"]) == key and table.get(key) == key


@pytest.mark.parametrize(
    "expression, values", [("REMOVE a", None), ("DELETE a :a", {":a": {"x"}}), ("REMOVE a.b", None)]
)
def test_2_3_update_that_only_removes_creates_nothing(table, expression, values):
    key = table.key()
    assert "Attributes" not in table.update(key, expression, values, ReturnValues="ALL_NEW")
    assert table.get(key) is None


@pytest.mark.parametrize("expression", ["SET p = :v", "SET c = :v", "REMOVE c", "ADD p :v", "SET a = :v, p = :v"])
def test_2_3_update_of_a_key_attribute(table, expression):
    name = "c" if " c" in expression else "p"
    text = (
        f"One or more parameter values were invalid: Cannot update attribute {name}. This attribute is part of the key"
    )
    values = {":v": 1} if expression == "ADD p :v" else {":v": "x"} if ":v" in expression else None
    with refused(VALIDATION, text):
        table.update(table.key(), expression, values)


def test_2_3_update_by_both_ways(table):
    updates = {"a": {"Value": av(1), "Action": "PUT"}}
    text = (
        "Can not use both expression and non-expression parameters in the same request: "
        "Non-expression parameters: {AttributeUpdates} Expression parameters: {UpdateExpression}"
    )
    with refused(VALIDATION, text):
        table.update(table.key(), "SET b = :v", {":v": 1}, AttributeUpdates=updates)


@pytest.mark.parametrize("operation", ["put", "update", "delete"])
def test_2_3_conditions_by_both_ways(table, operation):
    with refused(VALIDATION, "Can not use both expression and non-expression parameters in the same request: "):
        getattr(table, operation)(
            table.key(), ConditionExpression="attribute_not_exists(a)", Expected={"a": {"Exists": False}}
        )


def test_2_3_projection_by_both_ways(table):
    with refused(VALIDATION, "Can not use both expression and non-expression parameters in the same request: "):
        table.get_raw(table.key(), ProjectionExpression="a", AttributesToGet=["a"])


# ----------------------------------------------------------------------------------------------------------------------
# Conditions.


@pytest.mark.parametrize("operation", ["put", "update", "delete"])
def test_2_3_condition_that_fails(table, operation):
    key = table.key()
    table.put(key | {"a": 1})
    with refused(CONDITION_FAILED) as refusal:
        getattr(table, operation)(key, ConditionExpression="attribute_not_exists(a)")
    assert refusal.message == "The conditional request failed"
    assert "Item" not in refusal.response
    assert table.get(key) == key | {"a": 1}


@pytest.mark.parametrize("operation", ["put", "update", "delete"])
def test_2_3_condition_that_holds(table, operation):
    key = table.key()
    table.put(key | {"a": 1})
    getattr(table, operation)(key, ConditionExpression="attribute_exists(a)")


@pytest.mark.parametrize("operation", ["put", "update", "delete"])
def test_2_3_failed_condition_with_the_item(table, operation):
    key = table.key()
    item = key | {"a": 1, "b": {"deep": [b"\x00", {"s"}]}}
    table.put(item)
    asked = {"ConditionExpression": "attribute_exists(z)", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    with refused(CONDITION_FAILED) as refusal:
        getattr(table, operation)(key, **asked)
    # The bytes of an item in an error are base64, since no client decodes them there.
    assert refusal.response["Item"]["a"] == {"N": "1"}
    assert refusal.response["Item"].keys() == item.keys()


@pytest.mark.parametrize("operation", ["put", "update", "delete"])
def test_2_3_failed_condition_on_no_item_has_none(table, operation):
    asked = {"ConditionExpression": "attribute_exists(z)", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    with refused(CONDITION_FAILED) as refusal:
        getattr(table, operation)(table.key(), **asked)
    assert "Item" not in refusal.response


@pytest.mark.parametrize("value", ["all_old", "ALL_NEW", "DOG", ""])
@pytest.mark.parametrize("operation", ["put", "update", "delete"])
def test_2_3_unknown_return_values_on_failure(table, operation, value):
    with refused():
        getattr(table, operation)(
            table.key(), ConditionExpression="attribute_exists(z)", ReturnValuesOnConditionCheckFailure=value
        )


def test_2_3_conditional_creation_happens_once(table):
    key = table.key()
    condition = {"ConditionExpression": "attribute_not_exists(p)"}
    table.put(key | {"a": 1}, **condition)
    with refused(CONDITION_FAILED):
        table.put(key | {"a": 2}, **condition)
    assert table.get(key) == key | {"a": 1}


# ----------------------------------------------------------------------------------------------------------------------
# Keys: 2.1.3.

WRONG_KEYS = {
    "no sort key": {"p": "a"},
    "no partition key": {"c": "a"},
    "one more": {"p": "a", "c": "a", "x": "a"},
    "another name": {"p": "a", "x": "a"},
    "wrong partition type": {"p": 1, "c": "a"},
    "wrong sort type": {"p": "a", "c": b"a"},
    "a list": {"p": "a", "c": ["a"]},
}


@pytest.mark.parametrize("case", WRONG_KEYS)
@pytest.mark.parametrize("operation", KEY_OPERATIONS)
def test_2_1_3_key_that_does_not_match(table, operation, case):
    with refused(VALIDATION, MISMATCH):
        getattr(table.db, operation)(TableName=table.name, Key=wrapped(WRONG_KEYS[case]))


@pytest.mark.parametrize("operation", KEY_OPERATIONS)
def test_2_1_3_empty_key_map(table, operation):
    with refused(VALIDATION, MISMATCH):
        getattr(table.db, operation)(TableName=table.name, Key={})


INVALID = "One or more parameter values were invalid: "
WRONG_ITEMS = {
    "no partition key": ({"c": "a"}, INVALID + "Missing the key p in the item"),
    "no sort key": ({"p": "a"}, INVALID + "Missing the key c in the item"),
    "wrong partition type": ({"p": 1, "c": "a"}, INVALID + "Type mismatch for key p expected: S actual: N"),
    "wrong sort type": ({"p": "a", "c": b"a"}, INVALID + "Type mismatch for key c expected: S actual: B"),
    "null": ({"p": "a", "c": None}, INVALID + "Type mismatch for key c expected: S actual: NULL"),
    "list": ({"p": ["a"], "c": "a"}, INVALID + "Type mismatch for key p expected: S actual: L"),
    "empty partition key": (
        {"p": "", "c": "a"},
        "The AttributeValue for a key attribute cannot contain an empty string value. Key: p",
    ),
    "empty sort key": (
        {"p": "a", "c": ""},
        "The AttributeValue for a key attribute cannot contain an empty string value. Key: c",
    ),
}


@pytest.mark.parametrize("case", WRONG_ITEMS)
def test_2_1_3_item_with_a_wrong_key(table, case):
    item, text = WRONG_ITEMS[case]
    with refused(VALIDATION, text):
        table.put(item)


@pytest.mark.parametrize("name", ["p", "c"])
def test_2_1_3_empty_bytes_as_a_key(binary_table, name):
    text = f"The AttributeValue for a key attribute cannot contain an empty binary value. Key: {name}"
    with refused(VALIDATION, text):
        binary_table.put(binary_table.key(**{name: b""}))


@pytest.mark.parametrize("name", ["p", "c"])
@pytest.mark.parametrize("operation", KEY_OPERATIONS)
def test_2_1_3_empty_text_in_a_key(table, operation, name):
    with refused():
        getattr(table.db, operation)(TableName=table.name, Key=item_of(table.key(**{name: ""})))


LARGE_HASH = "Size of hashkey has exceeded the maximum size limit of2048 bytes"
LARGE_RANGE = "Aggregated size of all range keys has exceeded the size limit of 1024 bytes"


@pytest.mark.parametrize("operation", ["put", "get", "update", "delete"])
@pytest.mark.parametrize("name, size, text", [("p", 2048, LARGE_HASH), ("c", 1024, LARGE_RANGE)])
def test_2_1_3_sizes_of_keys(table, operation, name, size, text):
    whole = unique() * (size // 32)
    getattr(table, operation)(table.key(**{name: whole}))
    with refused(VALIDATION, INVALID + text):
        getattr(table, operation)(table.key(**{name: whole + "x"}))


def test_2_1_3_sizes_of_keys_count_bytes(table):
    table.put(table.key(c="\u00e9" * 512))
    with refused(VALIDATION, LARGE_RANGE):
        table.put(table.key(c="\u00e9" * 513))


@pytest.mark.parametrize("name, size", [("p", 2048), ("c", 1024)])
def test_2_1_3_sizes_of_binary_keys(binary_table, name, size):
    binary_table.put(binary_table.key(**{name: b"\xff" * size}))
    with refused():
        binary_table.put(binary_table.key(**{name: b"\xff" * (size + 1)}))


def test_2_1_3_keys_with_any_character(table):
    key = {"p": unique() + " \0\"'\\/\u00e9\U0001f600", "c": "\0"}
    table.put(key | {"x": 1})
    assert table.get(key) == key | {"x": 1}


# ----------------------------------------------------------------------------------------------------------------------
# Tables that are not there, tables by ARN: 2.1.3.

CALLS = {
    "get_item": {"Key": item_of({"p": "a", "c": "a"})},
    "put_item": {"Item": item_of({"p": "a", "c": "a"})},
    "update_item": {"Key": item_of({"p": "a", "c": "a"})},
    "delete_item": {"Key": item_of({"p": "a", "c": "a"})},
    "query": {"KeyConditionExpression": "p = :p", "ExpressionAttributeValues": item_of({":p": "a"})},
    "scan": {},
}


@pytest.mark.parametrize("operation", CALLS)
def test_2_1_3_unknown_table(db, operation):
    with refused(NOT_FOUND) as refusal:
        getattr(db, operation)(TableName="conformance-unknown", **CALLS[operation])
    assert refusal.message == "Requested resource not found"


@pytest.mark.parametrize("name", ["no spaces", "a%b", "ab!", "\u00e9\u00e9\u00e9"])
@pytest.mark.parametrize("operation", CALLS)
def test_2_1_3_malformed_name(db, operation, name):
    with refused():
        getattr(db, operation)(TableName=name, **CALLS[operation])


@pytest.mark.parametrize("operation", CALLS)
def test_2_1_3_the_arn_serves_as_name(table, operation):
    answer = getattr(table.db, operation)(TableName=table.arn, ReturnConsumedCapacity="TOTAL", **CALLS[operation])
    assert answer["ConsumedCapacity"]["TableName"] == table.arn


# ----------------------------------------------------------------------------------------------------------------------
# Capacity: 2.1.6.


def units(answer):
    capacity = answer["ConsumedCapacity"]
    assert capacity["TableName"].startswith("conformance-")
    return capacity["CapacityUnits"]


def item_of_size(table, size):
    """A key and an item with it of exactly this size."""
    key = table.key()
    rest = size - sum(len(name) + len(value) for name, value in key.items()) - 1
    return key, key | {"x": "x" * rest}


@pytest.mark.parametrize("size, cost", [(1, 1), (1024, 1), (1025, 2), (10 * 1024 + 1, 11)])
def test_2_1_6_writes(table, size, cost):
    key, item = item_of_size(table, max(size, 100))
    asked = {"ReturnConsumedCapacity": "TOTAL"}
    assert units(table.put(item, **asked)) == cost
    assert units(table.update(key, "SET y = :y", {":y": "y"}, **asked)) >= cost
    assert units(table.put(key, **asked)) >= cost, "by the larger of the old and the new"
    assert units(table.put(key, **asked)) == 1
    table.put(item)
    assert units(table.delete(key, **asked)) == cost
    assert units(table.delete(key, **asked)) == 1


@pytest.mark.parametrize("size, cost", [(100, 1), (4096, 1), (4097, 2), (20 * 1024 + 1, 6)])
def test_2_1_6_reads(table, size, cost):
    key, item = item_of_size(table, size)
    table.put(item)
    asked = {"TableName": table.name, "Key": item_of(key), "ReturnConsumedCapacity": "TOTAL"}
    assert units(table.db.get_item(ConsistentRead=True, **asked)) == cost
    # An eventually consistent read of an item just written may find none yet, which costs half a unit.
    assert units(table.db.get_item(**asked)) in (cost / 2, 0.5)


def test_2_1_6_read_of_no_item(table):
    asked = {"TableName": table.name, "Key": item_of(table.key()), "ReturnConsumedCapacity": "TOTAL"}
    assert units(table.db.get_item(ConsistentRead=True, **asked)) == 1
    assert units(table.db.get_item(**asked)) == 0.5


@pytest.mark.parametrize("operation", ["put", "get_raw", "update", "delete"])
def test_2_1_6_capacity_only_if_asked(table, operation):
    call, key = getattr(table, operation), table.key()
    assert "ConsumedCapacity" not in call(key)
    assert "ConsumedCapacity" not in call(key, ReturnConsumedCapacity="NONE")
    total = call(key, ReturnConsumedCapacity="TOTAL")["ConsumedCapacity"]
    assert total == {"TableName": table.name, "CapacityUnits": 1}
    whole = call(key, ReturnConsumedCapacity="INDEXES")["ConsumedCapacity"]
    assert whole == total | {"Table": {"CapacityUnits": 1}}


@pytest.mark.parametrize("value", ["total", "ALL", ""])
@pytest.mark.parametrize("operation", ["put", "get_raw", "update", "delete"])
def test_2_1_6_unknown_capacity_wish(table, operation, value):
    with refused():
        getattr(table, operation)(table.key(), ReturnConsumedCapacity=value)


# ----------------------------------------------------------------------------------------------------------------------
# Several nodes.


@pytest.mark.skipif(len(ENDPOINTS) < 2, reason="there is one endpoint")
@pytest.mark.parametrize("round_", range(5))
def test_2_3_a_consistent_read_on_another_node_sees_the_write(table, round_):
    key = table.key()
    table.put(key | {"round": round_})
    for hops, endpoint in enumerate(ENDPOINTS):
        other = Table(client(endpoint=endpoint), table.name, "p:S c:S", table.description)
        assert other.get(key) == key | {"round": round_} | ({"hops": hops} if hops else {})
        other.update(key, "ADD hops :one", {":one": 1})
    assert table.get(key)["hops"] == len(ENDPOINTS)
