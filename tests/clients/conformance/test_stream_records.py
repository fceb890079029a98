"""What a write leaves in the stream: which records, of what shape, in which order (sections 1.1, 1.4-1.6)."""

import concurrent.futures
import threading
from datetime import datetime, timezone

import pytest
from botocore.exceptions import ClientError

from dynamo import CONDITION_FAILED, Raw, av, item_of, refused, until
from stream_reader import Reader

NEW = ("NEW_IMAGE", "NEW_AND_OLD_IMAGES")
OLD = ("OLD_IMAGE", "NEW_AND_OLD_IMAGES")


def put(values):
    return lambda table, key: table.put(key | values)


def update(expression, values=None):
    return lambda table, key: table.update(key, expression, values)


def delete(table, key):
    table.delete(key)


def batch(*requests):
    """A BatchWriteItem of one request: `values` to put, None to delete."""

    def write(table, key):
        made = [
            {"DeleteRequest": {"Key": item_of(key)}}
            if values is None
            else {"PutRequest": {"Item": item_of(key | values)}}
            for values in requests
        ]
        table.db.batch_write_item(RequestItems={table.name: made})

    return write


def conditional(write):
    """A write whose condition fails."""

    def attempt(table, key):
        with refused(CONDITION_FAILED):
            write(table, key)

    return attempt


def number(text):
    return Raw({"N": text})


DOCUMENT = {"m": {"a": 1, "b": {"c": [1, 2]}}, "s": {"x", "y", "z"}, "n": 1}
DOCUMENT_REORDERED = {
    "n": number("1.0"),
    "s": Raw({"SS": ["z", "x", "y"]}),
    "m": Raw({"M": {"b": av({"c": [number("1e0"), number("02")]}), "a": {"N": "1"}}}),
}
NUMBERS = {"ns": Raw({"NS": ["1", "20", "0.5"]})}
NUMBERS_REWRITTEN = {"ns": Raw({"NS": ["2e1", "1.0", ".50"]})}
NOTHING = "the write is silent"

# What is there before (None: no item), the write, the event, what is there after.
WRITES = {
    "put of a new item": (None, put({"x": 1}), "INSERT", {"x": 1}),
    "put of a key-only item": (None, put({}), "INSERT", {}),
    "put of another value": ({"x": 1, "y": 1}, put({"x": 2}), "MODIFY", {"x": 2}),
    "put of a key-only item over more": ({"x": 1}, put({}), "MODIFY", {}),
    "put of more over a key-only item": ({}, put({"x": 1}), "MODIFY", {"x": 1}),
    "update that creates": (None, update("SET x = :x", {":x": 1}), "INSERT", {"x": 1}),
    "ADD that creates": (None, update("ADD x :x", {":x": 5}), "INSERT", {"x": 5}),
    "update of nothing creates": (None, update(None), "INSERT", {}),
    "SET": ({"x": 1, "y": 2}, update("SET x = :x", {":x": 3}), "MODIFY", {"x": 3, "y": 2}),
    "SET inside": ({"m": {"a": 1}}, update("SET m.a = :x", {":x": 3}), "MODIFY", {"m": {"a": 3}}),
    "ADD": ({"x": 1}, update("ADD x :x", {":x": 3}), "MODIFY", {"x": 4}),
    "DELETE of an element": ({"s": {"a", "b"}}, update("DELETE s :s", {":s": {"a"}}), "MODIFY", {"s": {"b"}}),
    "REMOVE of all": ({"x": 1}, update("REMOVE x"), "MODIFY", {}),
    "delete": ({"x": 1}, delete, "REMOVE", None),
    "delete of a key-only item": ({}, delete, "REMOVE", None),
    "put in a batch": (None, batch({"x": 1}), "INSERT", {"x": 1}),
    "put in a batch over another": ({"x": 1}, batch({"x": 2}), "MODIFY", {"x": 2}),
    "delete in a batch": ({"x": 1}, batch(None), "REMOVE", None),
    "put of an equal item": ({"x": 1}, put({"x": 1}), NOTHING, None),
    "put of an equal key-only item": ({}, put({}), NOTHING, None),
    "put of an equal item, written otherwise": (DOCUMENT, put(DOCUMENT_REORDERED), NOTHING, None),
    "put of an equal number set": (NUMBERS, put(NUMBERS_REWRITTEN), NOTHING, None),
    "put of an equal item in a batch": (DOCUMENT, batch(DOCUMENT_REORDERED), NOTHING, None),
    "delete of no item": (None, delete, NOTHING, None),
    "delete of no item in a batch": (None, batch(None), NOTHING, None),
    "REMOVE on no item": (None, update("REMOVE x"), NOTHING, None),
    "DELETE on no item": (None, update("DELETE s :s", {":s": {"a"}}), NOTHING, None),
    "update of nothing": ({"x": 1}, update(None), NOTHING, None),
    "SET to the same value": ({"x": 1}, update("SET x = :x", {":x": number("1.00")}), NOTHING, None),
    "ADD of zero": ({"x": 1}, update("ADD x :x", {":x": 0}), NOTHING, None),
    "ADD of present elements": ({"s": {"a", "b"}}, update("ADD s :s", {":s": {"b"}}), NOTHING, None),
    "ADD of an equal number": ({"s": {1}}, update("ADD s :s", {":s": Raw({"NS": ["1.0"]})}), NOTHING, None),
    "REMOVE of a missing attribute": ({"x": 1}, update("REMOVE y"), NOTHING, None),
    "REMOVE beyond the end": ({"l": [1]}, update("REMOVE l[5]"), NOTHING, None),
    "DELETE of missing elements": ({"s": {"a"}}, update("DELETE s :s", {":s": {"q"}}), NOTHING, None),
    "failed condition": (
        {"x": 1},
        conditional(lambda table, key: table.put(key | {"x": 2}, ConditionExpression="attribute_not_exists(x)")),
        NOTHING,
        None,
    ),
    "failed condition on no item": (
        None,
        conditional(lambda table, key: table.delete(key, ConditionExpression="attribute_exists(x)")),
        NOTHING,
        None,
    ),
}


def expected_record(view, key, event, before, after):
    """The part of a record that the write and the view type determine."""
    record = {"Keys": item_of(key), "StreamViewType": view}
    if view in NEW and after is not None:
        record["NewImage"] = item_of(key | after)
    if view in OLD and before is not None:
        record["OldImage"] = item_of(key | before)
    return event, record


def settled(value):
    """A value with its sets in one order: their order in a record is not defined."""
    if isinstance(value, dict):
        sets = {"SS", "NS", "BS"} & value.keys()
        return {name: sorted(inner) if name in sets else settled(inner) for name, inner in value.items()}
    return [settled(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def seen_record(record):
    members = ("Keys", "NewImage", "OldImage", "StreamViewType")
    return record["eventName"], {name: record["dynamodb"][name] for name in members if name in record["dynamodb"]}


def check_write(table, reader, view, case):
    before, write, event, after = WRITES[case]
    key, expected = table.key(), []
    if before is not None:
        table.put(key | before)
        expected.append(expected_record(view, key, "INSERT", None, before))
    write(table, key)
    if event != NOTHING:
        expected.append(expected_record(view, key, event, before, after))
    seen = [seen_record(record) for record in reader.all_of(table, key)]
    assert settled(seen) == settled(expected)


@pytest.mark.parametrize("case", WRITES)
def test_1_4_records_of_a_write(streamed, view, case):
    check_write(*streamed(view), view, case)


@pytest.mark.parametrize("case", WRITES)
def test_1_4_records_of_a_write_without_sort_key(streamed, case):
    view = "NEW_AND_OLD_IMAGES"
    check_write(*streamed(view, "p:S"), view, case)


ALL_TYPES = {
    "s": "text \0 \u00e9 \U0001f600",
    "n": number("123456789012345678901234567890.12345678"),
    "b": bytes(range(256)),
    "bool": True,
    "null": None,
    "m": {"inner": {"a": [1]}, "empty": ""},
    "l": [1, "a", b"\xff\x00", [True, None], {}],
    "ss": {"a", "b"},
    "ns": {1, 2},
    "bs": {b"\x00\x01", b"\xff"},
    "empty": "",
    "none": b"",
}


def test_d3_all_types_and_bytes_come_back_as_they_went(streamed):
    table, reader = streamed("NEW_AND_OLD_IMAGES")
    key = table.key()
    table.put(key | ALL_TYPES)
    table.delete(key)
    inserted, removed = reader.all_of(table, key)
    image = settled(item_of(key | ALL_TYPES))
    assert settled(inserted["dynamodb"]["NewImage"]) == image
    assert settled(removed["dynamodb"]["OldImage"]) == image


def test_1_5_members_of_a_record(streamed, db):
    table, reader = streamed("NEW_AND_OLD_IMAGES")
    key = table.key()
    before = datetime.now(timezone.utc).timestamp()
    table.put(key | {"x": 1})
    table.put(key | {"x": 2})
    records = reader.all_of(table, key)
    for record in records:
        assert record["eventSource"] == "aws:dynamodb"
        assert record["eventVersion"] == "1.1"
        assert record["awsRegion"] == table.stream.split(":")[3]
        assert "userIdentity" not in record and "eventSourceARN" not in record
        assert len(record["eventID"]) == 32 and set(record["eventID"]) <= set("0123456789abcdef")
        created = record["dynamodb"]["ApproximateCreationDateTime"].timestamp()
        assert before - 2 <= created <= before + 60
    assert len({record["eventID"] for record in records}) == len(records)


def test_d6_a_record_is_the_same_when_it_is_read_again(streamed, streams):
    table, reader = streamed("NEW_AND_OLD_IMAGES")
    key = table.key()
    table.put(key)
    first = reader.all_of(table, key)
    again = Reader(streams, table.stream)
    again.until_count(key, len(first))
    assert again.of(key) == first


@pytest.mark.parametrize(
    "view, key_name, writes, size",
    [
        ("NEW_AND_OLD_IMAGES", "id", [{}], 12),
        ("NEW_AND_OLD_IMAGES", "id", [{}, {"name": "Fred"}], 26),
        ("KEYS_ONLY", "Username", [{}], 12),
        ("NEW_IMAGE", "id", [{"b": True}], 6 + 6 + 2),
        ("NEW_IMAGE", "id", [{"b": b"\x00\x01\x02"}], 6 + 6 + 4),
        ("NEW_IMAGE", "id", [{"u": "\u00e9"}], 6 + 6 + 3),
        ("OLD_IMAGE", "id", [{"u": "x"}, {"u": "y"}], 6 + 6 + 2),
        ("NEW_IMAGE", "id", [{"z": None}], 6 + 6 + 2),
        ("NEW_IMAGE", "id", [{"s": {"ab", "c"}}], 6 + 6 + 1 + 3),
    ],
)
def test_d6_size_bytes(tables, streams, view, key_name, writes, size):
    specification = {"StreamEnabled": True, "StreamViewType": view}
    table = tables.create(f"{key_name}:S", StreamSpecification=specification)
    for values in writes:
        table.put({key_name: "Fred"} | values)
    records = Reader(streams, table.stream).until_count({key_name: "Fred"}, len(writes))
    assert records[-1]["dynamodb"]["SizeBytes"] == size


def test_d5_there_and_back_are_two_records(streamed):
    table, reader = streamed("NEW_AND_OLD_IMAGES")
    key = table.key()
    for x in (1, 2, 1):
        table.put(key | {"x": x})
    assert [record["eventName"] for record in reader.all_of(table, key)] == ["INSERT", "MODIFY", "MODIFY"]


def test_d7_a_batch_of_one_partition_key(streamed):
    table, reader = streamed("NEW_AND_OLD_IMAGES")
    p = table.key()["p"]
    items = [{"p": p, "c": f"{at:02}", "x": at} for at in range(25)]
    table.put_many(items)
    reader.all_of(table, {"p": p, "c": "24"})
    records = [record for record in reader.records if record["dynamodb"]["Keys"]["p"]["S"] == p][:25]
    numbers = [int(record["dynamodb"]["SequenceNumber"]) for record in records]
    assert len(set(numbers)) == 25 and numbers == sorted(numbers)
    images = {record["dynamodb"]["NewImage"]["c"]["S"]: record["dynamodb"]["NewImage"] for record in records}
    assert images == {item["c"]: item_of(item) for item in items}
    assert len({reader.shard_of[record["dynamodb"]["SequenceNumber"]] for record in records}) == 1


def test_1_4_a_batch_of_puts_and_idle_deletes_gives_only_the_puts(streamed):
    table, reader = streamed("KEYS_ONLY")
    p = table.key()["p"]
    requests = []
    for at in range(10):
        key = item_of({"p": p, "c": f"{at}"})
        requests.append({"PutRequest": {"Item": key}} if at % 2 else {"DeleteRequest": {"Key": key}})
    table.db.batch_write_item(RequestItems={table.name: requests})
    reader.all_of(table, {"p": p, "c": "9"})
    sorts = [
        record["dynamodb"]["Keys"]["c"]["S"] for record in reader.records if record["dynamodb"]["Keys"]["p"]["S"] == p
    ]
    assert sorted(sort for sort in sorts if not sort.startswith("~")) == ["1", "3", "5", "7", "9"]


def test_1_6_the_records_of_an_item_are_in_order(streamed):
    table, reader = streamed("NEW_AND_OLD_IMAGES")
    key = table.key()
    for x in range(40):
        table.update(key, "SET x = :x", {":x": x})
    records = reader.all_of(table, key)
    assert [record["dynamodb"]["NewImage"]["x"]["N"] for record in records] == [str(x) for x in range(40)]
    numbers = [int(record["dynamodb"]["SequenceNumber"]) for record in records]
    assert numbers == sorted(set(numbers))


def test_d21_a_hundred_increments_at_once_form_one_chain(streamed):
    table, reader = streamed("NEW_AND_OLD_IMAGES")
    key = table.key()
    table.put(key | {"n": 0})
    results, lock = [], threading.Lock()

    def increment(_):
        def attempt():
            seen = table.get(key)["n"]
            try:
                answer = table.update(
                    key,
                    "SET n = n + :one",
                    {":one": 1, ":seen": seen},
                    ConditionExpression="n = :seen",
                    ReturnValues="UPDATED_NEW",
                )
            except ClientError as error:
                assert error.response["Error"]["Code"] == CONDITION_FAILED
                return False
            with lock:
                results.append(int(answer["Attributes"]["n"]["N"]))
            return True

        until(attempt, "an increment")

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        list(threads.map(increment, range(100)))
    assert sorted(results) == list(range(1, 101))
    records = reader.all_of(table, key)
    assert len(records) == 101
    for before, after in zip(records, records[1:], strict=False):
        assert after["dynamodb"]["OldImage"] == before["dynamodb"]["NewImage"]
