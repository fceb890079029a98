"""GetShardIterator and GetRecords (section 1.8; appendix D 9-12)."""

import re
import time

import pytest

import stream_reader
from dynamo import ENDPOINTS, NOT_FOUND, client, refused, unique, until
from stream_reader import NO_SHARD, STREAM, iterator, page, read_present


def numbers_of(records):
    return [record["dynamodb"]["SequenceNumber"] for record in records]


def read(streams, filled, kind, **more):
    table, shard, _ = filled
    return numbers_of(read_present(streams, iterator(streams, table.stream, shard, kind, **more)))


def test_1_8_trim_horizon_is_the_oldest(filled, streams):
    assert read(streams, filled, "TRIM_HORIZON") == numbers_of(filled[2])


def test_1_8_latest_is_after_the_newest(filled, streams):
    assert read(streams, filled, "LATEST") == []


@pytest.mark.parametrize("at", [0, 7, 29])
def test_1_8_at_and_after_a_sequence_number(filled, streams, at):
    numbers = numbers_of(filled[2])
    assert read(streams, filled, "AT_SEQUENCE_NUMBER", SequenceNumber=numbers[at]) == numbers[at:]
    assert read(streams, filled, "AFTER_SEQUENCE_NUMBER", SequenceNumber=numbers[at]) == numbers[at + 1 :]


def test_1_7_at_the_starting_sequence_number_everything_is_read(filled, streams):
    table, shard_id, records = filled
    shards = stream_reader.all_shards(streams, table.stream)
    shard = next(shard for shard in shards if shard["ShardId"] == shard_id)
    start = shard["SequenceNumberRange"]["StartingSequenceNumber"]
    assert int(start) <= int(numbers_of(records)[0])
    assert read(streams, filled, "AT_SEQUENCE_NUMBER", SequenceNumber=start) == numbers_of(records)


def test_1_8_at_timestamp_long_ago_is_trim_horizon(filled, streams):
    assert read(streams, filled, "AT_TIMESTAMP", Timestamp=time.time() - 3 * 86400) == numbers_of(filled[2])


def test_1_8_at_timestamp_after_all_records(filled, streams):
    created = filled[2][-1]["dynamodb"]["ApproximateCreationDateTime"].timestamp()
    until(lambda: time.time() > created + 1.2, "the records being a second old")
    assert read(streams, filled, "AT_TIMESTAMP", Timestamp=created + 1.1) == []


def test_1_8_at_timestamp_between_records(streamed, streams):
    table, reader = streamed("KEYS_ONLY")
    first, second = ({"p": "timed", "c": unique()} for _ in range(2))
    table.put(first)
    record = reader.until_count(first, 1)[0]
    written = time.time()
    until(lambda: time.time() > written + 0.05, "the clock going on")
    between = time.time()
    until(lambda: time.time() > between + 0.05, "the clock going on")
    table.put(second)
    reader.until_count(second, 1)
    shard = reader.shard_of[record["dynamodb"]["SequenceNumber"]]
    at = iterator(streams, table.stream, shard, "AT_TIMESTAMP", Timestamp=between)
    keys = [record["dynamodb"]["Keys"]["c"]["S"] for record in read_present(streams, at)]
    assert keys[0] == second["c"]


def test_d9_latest_is_fixed_when_the_iterator_is_made(streamed, streams):
    table, reader = streamed("NEW_IMAGE")
    shards = stream_reader.all_shards(streams, table.stream)
    latest = [iterator(streams, table.stream, shard, "LATEST") for shard in shards]
    key = table.key()
    table.put(key)
    reader.until_count(key, 1)
    records = [record for at in latest for record in read_present(streams, at)]
    assert key["p"] in {record["dynamodb"]["Keys"]["p"]["S"] for record in records}


@pytest.mark.parametrize("kind", ["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"])
def test_d9_iterators_of_a_disabled_stream(disabled, streams, kind):
    more = {"Timestamp": time.time() - 86400} if kind == "AT_TIMESTAMP" else {}
    shards = stream_reader.all_shards(streams, disabled.stream)
    records = [
        record for shard in shards for record in stream_reader.drain(streams, disabled.stream, shard, kind, **more)
    ]
    assert len(records) == (0 if kind == "LATEST" else 1)


def test_d9_sequence_numbers_of_a_disabled_stream(disabled, streams):
    counts = {"AT_SEQUENCE_NUMBER": [], "AFTER_SEQUENCE_NUMBER": []}
    for shard in stream_reader.all_shards(streams, disabled.stream):
        for record in stream_reader.drain(streams, disabled.stream, shard):
            number = record["dynamodb"]["SequenceNumber"]
            for kind, found in counts.items():
                found += stream_reader.drain(streams, disabled.stream, shard, kind, SequenceNumber=number)
    assert {kind: len(found) for kind, found in counts.items()} == {"AT_SEQUENCE_NUMBER": 1, "AFTER_SEQUENCE_NUMBER": 0}


NUMBER = "1" * 30
BAD_ITERATORS = {
    "at without number": {"ShardIteratorType": "AT_SEQUENCE_NUMBER"},
    "after without number": {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER"},
    "horizon with number": {"ShardIteratorType": "TRIM_HORIZON", "SequenceNumber": NUMBER},
    "latest with number": {"ShardIteratorType": "LATEST", "SequenceNumber": NUMBER},
    "unknown type": {"ShardIteratorType": "dog"},
    "type in lower case": {"ShardIteratorType": "latest"},
    "no type": {},
    "number is a word": {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": "dog"},
    "number is a long word": {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": "d" * 25},
    "time without time": {"ShardIteratorType": "AT_TIMESTAMP"},
    "horizon with time": {"ShardIteratorType": "TRIM_HORIZON", "Timestamp": 1600000000},
    "future": {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": 4000000000},
    "far beyond the end": {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": "9" * 40},
    "short shard": {"ShardIteratorType": "LATEST", "ShardId": "short"},
    "long shard": {"ShardIteratorType": "LATEST", "ShardId": "shardId-" + "1" * 58},
}


@pytest.mark.parametrize("case", BAD_ITERATORS)
def test_1_8_get_shard_iterator_refused(filled, streams, case):
    table, shard, _ = filled
    parameters = {"StreamArn": table.stream, "ShardId": shard} | BAD_ITERATORS[case]
    with refused():
        streams.get_shard_iterator(**parameters)


def test_1_8_unknown_shard(filled, streams):
    with refused(NOT_FOUND, "Requested resource not found: Shard does not exist"):
        iterator(streams, filled[0].stream, NO_SHARD)


def test_1_8_the_iterator_begins_with_the_arn(filled, streams):
    table, shard, _ = filled
    at = iterator(streams, table.stream, shard)
    assert at.startswith(table.stream + "|") and len(at) <= 2048
    following = page(streams, at)[1]
    assert following.startswith(table.stream + "|")


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_1_8_get_records_limit(filled, streams, limit):
    table, shard, _ = filled
    with refused() as refusal:
        page(streams, iterator(streams, table.stream, shard), Limit=limit)
    assert "limit" in refusal.message.lower()


@pytest.mark.parametrize("case", ["word", "empty", "cut", "changed", "too long"])
def test_1_8_undecodable_iterator(filled, streams, case):
    table, shard, _ = filled
    good = iterator(streams, table.stream, shard)
    bad = {
        "word": "garbage",
        "empty": "",
        "cut": good[: len(table.stream) + 6],
        "changed": table.stream + "|1|AAAA",
        "too long": good + "A" * 2048,
    }
    with refused():
        page(streams, bad[case])


def test_d10_the_same_iterator_gives_the_same_records(filled, streams):
    table, shard, _ = filled
    at = iterator(streams, table.stream, shard)
    first, second = (page(streams, at, Limit=5)[0] for _ in range(2))
    assert first == second and len(first) == 5
    assert [record["eventID"] for record in first] == [record["eventID"] for record in second]


def test_d10_every_answer_has_a_fresh_iterator(filled, streams):
    table, shard, _ = filled
    at, seen = iterator(streams, table.stream, shard, "LATEST"), set()
    for _ in range(4):
        assert at not in seen
        seen.add(at)
        records, at = page(streams, at)
        assert records == []


def test_1_8_the_last_record_does_not_come_again(filled, streams):
    table, shard, _ = filled
    records, at = page(streams, iterator(streams, table.stream, shard))
    while records:
        last = records[-1]
        records, at = page(streams, at)
        assert last not in records


@pytest.mark.parametrize("limit", [1, 7, 30, 1000])
def test_1_8_pages_of_a_limit(filled, streams, limit):
    table, shard, whole = filled
    at, found = iterator(streams, table.stream, shard), []
    while len(found) < len(whole):
        records, at = page(streams, at, Limit=limit)
        assert 1 <= len(records) <= limit
        found += records
    assert numbers_of(found) == numbers_of(whole)


def test_d10_no_iterator_at_the_end_of_a_closed_shard(disabled, streams):
    for shard in stream_reader.all_shards(streams, disabled.stream):
        answer = {"NextShardIterator": iterator(streams, disabled.stream, shard)}
        pages = 0
        while "NextShardIterator" in answer:
            assert isinstance(answer["NextShardIterator"], str)
            answer = streams.get_records(ShardIterator=answer["NextShardIterator"])
            pages += 1
            assert pages < 10
        assert answer["Records"] is not None


def test_d11_a_thousand_records_one_by_one(tables, streams):
    table = tables.create("p:S c:N", StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
    table.put_many([{"p": "walk", "c": number} for number in range(1000)])
    reader = stream_reader.Reader(streams, table.stream)
    reader.until_count({"p": "walk", "c": 999}, 1)
    whole = reader.records
    shard = reader.shard_of[whole[0]["dynamodb"]["SequenceNumber"]]
    at, found = iterator(streams, table.stream, shard), []
    while len(found) < 1000:
        records, at = page(streams, at, Limit=1)
        assert len(records) == 1
        found += records
    assert {record["dynamodb"]["Keys"]["c"]["N"] for record in found} == {str(number) for number in range(1000)}
    assert numbers_of(found) == numbers_of(whole)
    assert page(streams, at, Limit=1)[0] == []


def test_d11_a_page_ends_at_a_megabyte(tables, streams):
    table = tables.create("p:S c:N", StreamSpecification=STREAM)
    for number in range(6):
        table.put({"p": "large", "c": number, "x": "x" * 400_000})
    reader = stream_reader.Reader(streams, table.stream)
    records = reader.until_count({"p": "large", "c": 5}, 1) and reader.records
    shard = reader.shard_of[records[0]["dynamodb"]["SequenceNumber"]]
    at, pages = iterator(streams, table.stream, shard), []
    while sum(map(len, pages)) < 6:
        found, at = page(streams, at)
        pages.append(found)
    assert all(pages), "every page has a record"
    assert len(pages) >= 3
    assert [record["dynamodb"]["Keys"]["c"]["N"] for found in pages for record in found] == list("012345")


def test_1_7_numbers_are_decimal_and_rise(filled):
    numbers = numbers_of(filled[2])
    assert all(re.fullmatch(r"\d{21,40}", number) for number in numbers)
    assert [int(number) for number in numbers] == sorted({int(number) for number in numbers})


@pytest.mark.skipif(len(ENDPOINTS) < 2, reason="there is one endpoint")
def test_d15_records_and_iterators_are_the_same_on_every_node(filled, streams):
    table, shard, whole = filled
    at = iterator(streams, table.stream, shard)
    for endpoint in ENDPOINTS[1:]:
        other = client("dynamodbstreams", endpoint)
        assert numbers_of(read_present(other, at)) == numbers_of(whole)
        assert stream_reader.all_shards(other, table.stream) == stream_reader.all_shards(streams, table.stream)
