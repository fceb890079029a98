"""Streams: their specification, identity, life and shards, and the four operations (sections 1.1-1.3, 1.7-1.9, 1.11)."""

import re
import time
from datetime import datetime, timezone

import pytest

import stream_reader
from conftest import VIEWS
from dynamo import IN_USE, NOT_FOUND, VALIDATION, refused, schema_of, table_status, until_active, until_gone
from stream_reader import NO_SHARD, STREAM, described, disable, enable, until_status

ARN = re.compile(r"arn:aws:dynamodb:[-a-z0-9]+:[0-9]{12}:table/([^/]+)/stream/(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})")
SHARD = re.compile(r"shardId-\d{20}-[0-9a-f]{8}")
LABEL = "2020-01-01T00:00:00.000"
LATE_SHARD = "shardId-99999999999999999999-ffffffff"


def listed(streams, **more):
    """All streams, page by page."""
    found, start = [], {}
    while True:
        page = streams.list_streams(**more, **start)
        found += page["Streams"]
        if "LastEvaluatedStreamArn" not in page:
            return found
        assert page["LastEvaluatedStreamArn"] == page["Streams"][-1]["StreamArn"]
        start = {"ExclusiveStartStreamArn": page["LastEvaluatedStreamArn"]}


# ----------------------------------------------------------------------------------------------------------------------
# 1.1, 1.2: the specification, and what a stream is called.


@pytest.mark.parametrize("view", VIEWS)
def test_1_2_create_table_gives_the_stream(streamed, streams, view):
    table, _ = streamed(view)
    description = table.description
    name, label = ARN.fullmatch(description["LatestStreamArn"]).groups()
    assert (name, label) == (table.name, description["LatestStreamLabel"])
    assert description["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": view}
    assert 37 <= len(description["LatestStreamArn"]) <= 1024
    expected = {"StreamArn": table.stream, "TableName": table.name, "StreamLabel": label}
    assert streams.list_streams(TableName=table.name)["Streams"] == [expected]


def test_1_2_describe_table_gives_the_same_stream(streamed, db):
    table, _ = streamed("NEW_IMAGE")
    again = db.describe_table(TableName=table.name)["Table"]
    for member in ("LatestStreamArn", "LatestStreamLabel", "StreamSpecification"):
        assert again[member] == table.description[member]


def test_1_2_the_label_is_the_time_of_the_request(tables):
    before = datetime.now(timezone.utc).timestamp()
    table = tables.create("p:S", StreamSpecification=STREAM)
    label = datetime.fromisoformat(table.description["LatestStreamLabel"] + "+00:00").timestamp()
    assert before - 2 <= label <= time.time() + 2


def test_1_2_without_stream_the_three_members_are_absent(hash_table, db, streams):
    for description in (hash_table.description, db.describe_table(TableName=hash_table.name)["Table"]):
        assert not {"LatestStreamArn", "LatestStreamLabel", "StreamSpecification"} & description.keys()
    answer = streams.list_streams(TableName=hash_table.name)
    assert answer["Streams"] == [] and "LastEvaluatedStreamArn" not in answer


def test_1_1_not_enabled_at_creation_is_no_stream(tables):
    table = tables.create("p:S", StreamSpecification={"StreamEnabled": False})
    assert not {"LatestStreamArn", "LatestStreamLabel", "StreamSpecification"} & table.description.keys()


BAD_SPECIFICATIONS = {
    "empty": {},
    "unknown view": {"StreamEnabled": True, "StreamViewType": "Fisk"},
    "view in lower case": {"StreamEnabled": True, "StreamViewType": "keys_only"},
    "enabled without a view": {"StreamEnabled": True},
    "disabled with a view": {"StreamEnabled": False, "StreamViewType": "KEYS_ONLY"},
    "view alone": {"StreamViewType": "KEYS_ONLY"},
}


@pytest.mark.parametrize("case", BAD_SPECIFICATIONS)
def test_1_1_specification_refused_at_creation(tables, db, case):
    name = tables.name()
    with refused():
        db.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification=BAD_SPECIFICATIONS[case],
            **schema_of("p:S"),
        )
    assert table_status(db, name) is None


@pytest.mark.parametrize("case", BAD_SPECIFICATIONS)
def test_1_1_specification_refused_at_update(hash_table, db, case):
    with refused():
        db.update_table(TableName=hash_table.name, StreamSpecification=BAD_SPECIFICATIONS[case])


# ----------------------------------------------------------------------------------------------------------------------
# 1.3: enabling, disabling, deleting.


@pytest.mark.parametrize("view", ["NEW_AND_OLD_IMAGES", "KEYS_ONLY"])
def test_1_3_enabling_when_enabled_is_a_validation_error(streamed, db, view):
    table, _ = streamed("NEW_AND_OLD_IMAGES")
    with refused(VALIDATION, f"Table already has an enabled stream: TableName: {table.name}"):
        enable(db, table, view)


def test_1_3_disabling_without_stream(hash_table, db):
    with refused() as refusal:
        disable(db, hash_table)
    assert "stream" in refusal.message.lower() and "disable" in refusal.message.lower()


def test_1_3_disabling_twice(disabled, db):
    with refused():
        disable(db, disabled)


def test_1_3_enable_later_captures_only_what_follows(tables, db, streams):
    table = tables.create("p:S")
    table.put({"p": "a", "x": 1})
    description = enable(db, table)
    assert ARN.fullmatch(description["LatestStreamArn"])
    assert description["TableStatus"] in ("UPDATING", "ACTIVE")
    until_status(streams, description["LatestStreamArn"], "ENABLED")
    table.put({"p": "a", "x": 2})
    reader = stream_reader.Reader(streams, description["LatestStreamArn"])
    records = reader.until_count({"p": "a"}, 1)
    assert [record["eventName"] for record in records] == ["MODIFY"]
    assert records[0]["dynamodb"]["OldImage"] == {"p": {"S": "a"}, "x": {"N": "1"}}


def test_1_3_disabled_and_enabled_again_are_two_streams(tables, db, streams):
    table = tables.create("p:S", StreamSpecification=STREAM)
    table.put({"p": "first"})
    disable(db, table)
    table.put({"p": "between"})
    second = enable(db, table, "KEYS_ONLY")["LatestStreamArn"]
    table.put({"p": "second"})
    assert second != table.stream
    assert {stream["StreamArn"] for stream in listed(streams, TableName=table.name)} == {table.stream, second}
    assert described(streams, table.stream)["StreamStatus"] == "DISABLED"
    old = stream_reader.Reader(streams, table.stream)
    old.until_count({"p": "first"}, 1)
    new = stream_reader.Reader(streams, second)
    new.until_count({"p": "second"}, 1)
    assert [record["dynamodb"]["Keys"]["p"]["S"] for record in old.records] == ["first"]
    assert [record["dynamodb"]["Keys"]["p"]["S"] for record in new.records] == ["second"]
    assert {record["dynamodb"]["StreamViewType"] for record in new.records} == {"KEYS_ONLY"}


def test_1_3_disabled_stream(disabled, db, streams):
    table = db.describe_table(TableName=disabled.name)["Table"]
    assert "StreamSpecification" not in table
    assert table["LatestStreamArn"] == disabled.stream
    assert [stream["StreamArn"] for stream in listed(streams, TableName=disabled.name)] == [disabled.stream]
    shards = stream_reader.all_shards(streams, disabled.stream)
    assert shards
    records = []
    for shard in shards:
        numbers = shard["SequenceNumberRange"]
        assert int(numbers["EndingSequenceNumber"]) >= int(numbers["StartingSequenceNumber"])
        records += stream_reader.drain(streams, disabled.stream, shard)
    assert [record["dynamodb"]["NewImage"] for record in records] == [{"p": {"S": "a"}, "x": {"N": "1"}}]


def test_1_3_the_stream_outlives_its_table(tables, db, streams):
    table = tables.create("p:S", StreamSpecification=STREAM)
    table.put({"p": "a"})
    db.delete_table(TableName=table.name)
    until_gone(db, table.name)
    until_status(streams, table.stream, "DISABLED")
    shards = stream_reader.all_shards(streams, table.stream)
    records = [record for shard in shards for record in stream_reader.drain(streams, table.stream, shard)]
    assert [record["eventName"] for record in records] == ["INSERT"]


def test_1_3_a_table_of_the_same_name_has_a_stream_of_its_own(tables, db, streams):
    first = tables.create("p:S", StreamSpecification=STREAM)
    first.put({"p": "first"})
    db.delete_table(TableName=first.name)
    until_gone(db, first.name)
    second = tables.create("p:S", TableName=first.name, StreamSpecification=STREAM)
    assert second.stream != first.stream
    second.put({"p": "second"})
    reader = stream_reader.Reader(streams, second.stream)
    reader.until_count({"p": "second"}, 1)
    assert [record["dynamodb"]["Keys"]["p"]["S"] for record in reader.records] == ["second"]
    assert described(streams, first.stream)["TableName"] == first.name


def test_1_2_tags_do_not_change_the_arn(streamed, db):
    table, _ = streamed("KEYS_ONLY")
    db.tag_resource(ResourceArn=table.arn, Tags=[{"Key": "of", "Value": "streams"}])
    assert db.describe_table(TableName=table.name)["Table"]["LatestStreamArn"] == table.stream


# ----------------------------------------------------------------------------------------------------------------------
# 1.7, 1.8: DescribeStream and shards.


@pytest.mark.parametrize("view", VIEWS)
def test_1_8_describe_stream(streamed, streams, view):
    table, _ = streamed(view)
    description = described(streams, table.stream)
    assert description["StreamArn"] == table.stream
    assert description["StreamLabel"] == table.description["LatestStreamLabel"]
    assert description["StreamStatus"] == "ENABLED"
    assert description["StreamViewType"] == view
    assert description["TableName"] == table.name
    assert description["KeySchema"] == table.description["KeySchema"]
    assert isinstance(description["CreationRequestDateTime"], datetime)
    assert description["Shards"]


def test_1_7_shards(filled, streams):
    table, _, _ = filled
    shards = stream_reader.all_shards(streams, table.stream)
    ids = [shard["ShardId"] for shard in shards]
    assert ids == sorted(ids) and len(set(ids)) == len(ids)
    for shard in shards:
        assert SHARD.fullmatch(shard["ShardId"])
        numbers = shard["SequenceNumberRange"]
        assert re.fullmatch(r"\d{21,40}", numbers["StartingSequenceNumber"])
        assert "EndingSequenceNumber" not in numbers, "the shards of a new stream are open"
        assert "ParentShardId" not in shard, "and they are roots"


def test_1_8_describe_stream_page_by_page(filled, streams):
    table, _, _ = filled
    whole = stream_reader.all_shards(streams, table.stream)
    assert stream_reader.all_shards(streams, table.stream, Limit=1) == whole


def test_1_8_start_after_the_last_shard(filled, streams):
    table, _, _ = filled
    last = stream_reader.all_shards(streams, table.stream)[-1]["ShardId"]
    description = described(streams, table.stream, ExclusiveStartShardId=last)
    assert description["Shards"] == [] and "LastEvaluatedShardId" not in description


def test_1_8_start_after_an_unknown_shard_is_no_error(filled, streams):
    table, _, _ = filled
    whole = stream_reader.all_shards(streams, table.stream)
    assert described(streams, table.stream, ExclusiveStartShardId=NO_SHARD)["Shards"] == whole
    assert described(streams, table.stream, ExclusiveStartShardId=LATE_SHARD)["Shards"] == []


@pytest.mark.parametrize("limit", [0, -1, 101])
def test_1_8_describe_stream_limit(filled, streams, limit):
    with refused():
        described(streams, filled[0].stream, Limit=limit)


@pytest.mark.parametrize(
    "shard_filter, fragment",
    [
        ({"Type": "PARENT_SHARDS", "ShardId": NO_SHARD}, ""),
        ({"ShardId": NO_SHARD}, ""),
        ({"Type": "CHILD_SHARDS"}, ""),
        ({"Type": "CHILD_SHARDS", "ShardId": "short"}, "shardFilter.shardId"),
        ({}, ""),
    ],
)
def test_1_8_shard_filter_refused(filled, streams, shard_filter, fragment):
    with refused(VALIDATION, fragment):
        described(streams, filled[0].stream, ShardFilter=shard_filter)


def test_1_8_an_open_shard_has_no_children(filled, streams):
    table, shard, _ = filled
    description = described(streams, table.stream, ShardFilter={"Type": "CHILD_SHARDS", "ShardId": shard})
    assert description["Shards"] == []
    assert description["StreamStatus"] == "ENABLED" and description["TableName"] == table.name


# ----------------------------------------------------------------------------------------------------------------------
# 1.8, 1.11: what names no stream.

MALFORMED = {
    "word": "bogus",
    "long word": "x" * 50,
    "other service": "arn:aws:sqs:us-east-1:000000000000:table/whatever/stream/" + LABEL,
    "empty": "",
    "too long": "arn:aws:dynamodb:us-east-1:000000000000:table/x/stream/" + "1" * 1000,
}


@pytest.mark.parametrize("case", MALFORMED)
@pytest.mark.parametrize("operation", ["DescribeStream", "GetShardIterator", "ListStreams"])
def test_1_8_malformed_arn(streams, operation, case):
    arn = MALFORMED[case]
    with refused():
        if operation == "DescribeStream":
            described(streams, arn)
        elif operation == "GetShardIterator":
            stream_reader.iterator(streams, arn, NO_SHARD)
        else:
            streams.list_streams(ExclusiveStartStreamArn=arn)


def test_1_8_unknown_stream(filled, streams):
    arn = filled[0].stream.rsplit("/", 1)[0] + "/" + LABEL
    with refused(NOT_FOUND, f"Requested resource not found: Stream: {arn} not found"):
        described(streams, arn)
    with refused(NOT_FOUND):
        stream_reader.iterator(streams, arn, NO_SHARD)


def test_1_8_stream_of_an_unknown_table(filled, streams):
    table = filled[0]
    arn = table.stream.replace(table.name, table.name + "-no")
    with refused(NOT_FOUND, f"Requested resource not found: Stream: {arn} not found"):
        described(streams, arn)


@pytest.mark.parametrize("operation", ["describe_stream", "get_shard_iterator", "get_records"])
def test_1_8_required_members(streams, operation):
    with refused(VALIDATION, "Member must not be null"):
        getattr(streams, operation)()


# ----------------------------------------------------------------------------------------------------------------------
# 1.8: ListStreams.


@pytest.mark.parametrize("limit", [0, -1, 101])
def test_1_8_list_streams_limit(streams, limit):
    with refused():
        streams.list_streams(Limit=limit)


def test_1_8_list_streams_page_by_page(streamed, filled, streams):
    mine = {streamed(view)[0].stream for view in VIEWS} | {filled[0].stream}
    pages = [stream["StreamArn"] for stream in listed(streams, Limit=1)]
    assert len(set(pages)) == len(pages)
    assert mine <= set(pages)
    assert mine <= {stream["StreamArn"] for stream in listed(streams)}


def test_1_8_list_streams_goes_on_after_a_stream_whose_table_is_deleted(tables, db, streams):
    made = [tables.create("p:S", StreamSpecification=STREAM) for _ in range(2)]
    before = [stream["StreamArn"] for stream in listed(streams)]
    gone = made[0]
    rest = before[before.index(gone.stream) + 1 :]
    db.delete_table(TableName=gone.name)
    until_gone(db, gone.name)
    page = listed_from(streams, gone.stream)
    assert [arn for arn in page if arn in rest] == rest
    assert gone.stream not in page


def listed_from(streams, start):
    found = []
    while start:
        page = streams.list_streams(ExclusiveStartStreamArn=start)
        found += [stream["StreamArn"] for stream in page["Streams"]]
        start = page.get("LastEvaluatedStreamArn")
    return found


def test_d13_list_streams_is_stable_while_tables_come_and_go(tables, streamed, db, streams):
    mine = {streamed(view)[0].stream for view in VIEWS}
    found, start, made = [], {}, []
    while True:
        page = streams.list_streams(Limit=1, **start)
        found += [stream["StreamArn"] for stream in page["Streams"]]
        if len(made) < 3:
            made.append(tables.create("p:S", StreamSpecification=STREAM))
        elif made[0]:
            db.delete_table(TableName=made[0].name)
            made[0] = None
        if "LastEvaluatedStreamArn" not in page:
            break
        start = {"ExclusiveStartStreamArn": page["LastEvaluatedStreamArn"]}
    assert [found.count(arn) for arn in sorted(mine)] == [1] * len(mine)


# ----------------------------------------------------------------------------------------------------------------------
# 1.3: a table that changes is in use.


def test_1_3_a_table_that_is_being_created_or_was_is_in_use(tables, db):
    name = tables.name()
    create = {"TableName": name, "BillingMode": "PAY_PER_REQUEST", "StreamSpecification": STREAM}
    db.create_table(**create, **schema_of("p:S"))
    with refused(IN_USE):
        db.create_table(**create, **schema_of("p:S"))
    until_active(db, name)
