"""PynamoDB: models with versions, on a table of ours; boto3 reads the stream, as PynamoDB knows none."""

from datetime import datetime, timezone

from pynamodb.attributes import (
    BinaryAttribute, BooleanAttribute, ListAttribute, MapAttribute, NumberAttribute, UnicodeAttribute,
    UnicodeSetAttribute, UTCDateTimeAttribute, VersionAttribute,
)
from pynamodb.connection import TableConnection
from pynamodb.exceptions import DeleteError, DoesNotExist, GetError, PutError, PynamoDBException, TableError, UpdateError
from pynamodb.models import Model

import session
from ledger import Ledger, check_records, key_of
from session import NODES_DIE, plain

NAME = session.new_name("pynamodb")
DYNAMODB = session.client("dynamodb")
STREAMS = session.client("dynamodbstreams")


class Place(MapAttribute):
    lat = NumberAttribute()
    lon = NumberAttribute()


class Report(Model):
    class Meta:
        table_name = NAME
        host = session.ENDPOINTS[0]
        region = "us-east-1"
        billing_mode = "PAY_PER_REQUEST"
        max_retry_attempts = 9

    station = UnicodeAttribute(hash_key=True)
    minute = NumberAttribute(range_key=True)
    version = VersionAttribute()
    wind = NumberAttribute(null=True)
    open = BooleanAttribute(null=True)
    raw = BinaryAttribute(null=True, legacy_encoding=False)
    tags = UnicodeSetAttribute(null=True)
    heights = ListAttribute(of=NumberAttribute, null=True)
    place = Place(null=True)
    at = UTCDateTimeAttribute(null=True)


class Missing(Model):
    class Meta(Report.Meta):
        table_name = session.new_name("gone")

    station = UnicodeAttribute(hash_key=True)


class Mistaken(Model):
    class Meta(Report.Meta):
        pass

    station = NumberAttribute(hash_key=True)
    minute = NumberAttribute(range_key=True)


# ---- writes

def item_of(report):
    return plain(report.serialize())


def write(ledger, report, action, wanted=None):
    """A write that the model guards by its version. If the guard says no where nodes die, the item is read again: it is the
    script's own write if it is at the next version and has what was wanted."""
    next_version = (report.version or 0) + 1
    try:
        action()
    except (PutError, UpdateError) as error:
        if not (NODES_DIE and error.cause_response_code == "ConditionalCheckFailedException"):
            raise
        report.refresh(consistent_read=True)
    item = item_of(report)
    assert item["version"] == next_version, item
    assert {name: item[name] for name in wanted or {}} == (wanted or {}), item
    ledger.put(item)


def remove(ledger, report):
    try:
        report.delete()
    except DeleteError as error:
        if not (NODES_DIE and error.cause_response_code == "ConditionalCheckFailedException"):
            raise
        fails(DoesNotExist, None, "Item does not exist", lambda: report.refresh(consistent_read=True))
    ledger.delete(key_of({"station": report.station, "minute": report.minute}))


def create_table():
    try:
        Report.create_table(wait=True)
    except TableError as error:
        if not (NODES_DIE and error.cause_response_code == "ResourceInUseException"):
            raise
    session.until("the table", lambda: Report.exists() and Report.describe_table()["TableStatus"] == "ACTIVE")


def fill(ledger):
    ber = Report(
        "BER", 1, wind=7.25, open=True, raw=b"\x00\xff", tags={"a", "b"}, heights=[46, 48], place=Place(lat=52.36, lon=13.5),
        at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc),
    )
    write(ledger, ber, ber.save, {"wind": 7.25, "tags": {"a", "b"}, "heights": [46, 48]})
    # PynamoDB sends unprocessed items again by itself. Batches are not guarded: these keys are written once.
    with Report.batch_write() as batch:
        for minute in range(40):
            report = Report("HAM", minute, wind=minute / 4)
            batch.save(report)
            ledger.put(item_of(report))
    return ber


def write_with_stream(ledger, ber):
    write(ledger, ber, lambda: ber.update([Report.wind.set(8.5), Report.tags.delete({"a"}), Report.open.remove()]), {"wind": 8.5})
    muc = Report("MUC", 1, wind=1)
    write(ledger, muc, muc.save)
    for wind in (2, 3):
        write(ledger, muc, lambda: muc.update([Report.wind.set(wind)]), {"wind": wind})
    remove(ledger, muc)
    muc = Report("MUC", 1, wind=5)
    write(ledger, muc, muc.save)
    with Report.batch_write() as batch:
        for minute in range(100, 130):
            report = Report("HAM", minute, wind=minute)
            batch.save(report)
            ledger.put(item_of(report))
        for minute in range(3):
            batch.delete(Report("HAM", minute))
            ledger.delete(("HAM", minute))


# ---- reads

def check_reads(ledger):
    found = item_of(Report.get("BER", 1, consistent_read=True))
    assert found == ledger.items["BER", 1], found
    ledger.check_items([item_of(report) for report in Report.scan(page_size=20, consistent_read=True)])
    query = Report.query("HAM", Report.minute.between(9, 30), page_size=5, consistent_read=True, scan_index_forward=False)
    expected = [ledger.items["HAM", minute] for minute in range(30, 8, -1)]
    assert [item_of(report) for report in query] == expected
    windy = Report.query("HAM", filter_condition=Report.wind >= 8, consistent_read=True)
    expected = [item for key, item in sorted(ledger.items.items()) if key[0] == "HAM" and item["wind"] >= 8]
    assert expected and [item_of(report) for report in windy] == expected
    keys = [("HAM", minute) for minute in range(200)]
    found = [item_of(report) for report in Report.batch_get(keys, consistent_read=True)]
    assert sorted(found, key=key_of) == [ledger.items[key] for key in keys if key in ledger.items]
    assert Report.count("HAM", consistent_read=True) == sum(station == "HAM" for station, _ in ledger.items)


# ---- failures

def fails(kind, code, text, call):
    try:
        call()
    except PynamoDBException as error:
        assert isinstance(error, kind), type(error)
        assert code is None or error.cause_response_code == code, error.cause_response_code
        said = error.cause_response_message if code else str(error)
        assert text in said, f"{said!r} has no {text!r}"
        return error
    raise AssertionError(f"no {kind.__name__}")


def check_failures(ledger):
    stale = Report.get("BER", 1, consistent_read=True)
    stale.version -= 1
    error = fails(PutError, "ConditionalCheckFailedException", "The conditional request failed", stale.save)
    assert "Item" not in error.cause.response, error.cause.response
    twice = Report("BER", 1)
    put = lambda: twice.save(add_version_condition=False, condition=Report.minute.does_not_exist())
    fails(PutError, "ConditionalCheckFailedException", "The conditional request failed", put)
    fails(DoesNotExist, None, "Item does not exist", lambda: Report.get("BER", 404, consistent_read=True))
    fails(PutError, "ResourceNotFoundException", "Requested resource not found", Missing("x").save)
    assert not Missing.exists()
    table = TableConnection(NAME, region=Report.Meta.region, host=Report.Meta.host)
    create = lambda: table.create_table(
        attribute_definitions=[{"attribute_name": "station", "attribute_type": "S"}],
        key_schema=[{"attribute_name": "station", "key_type": "HASH"}],
        billing_mode="PAY_PER_REQUEST",
    )
    fails(TableError, "ResourceInUseException", f"Table already exists: {NAME}", create)
    more = lambda: Report("BER", 404).update([Report.wind.set(Report.wind + 1)], add_version_condition=False)
    text = "The provided expression refers to an attribute that does not exist in the item"
    fails(UpdateError, "ValidationException", text, more)
    text = "The provided key element does not match the schema"
    fails(GetError, "ValidationException", text, lambda: Mistaken.get(1, 1))
    fails(DoesNotExist, None, "Item does not exist", lambda: Report.get("BER", 404, consistent_read=True))
    assert item_of(Report.get("BER", 1, consistent_read=True)) == ledger.items["BER", 1]


# ---- the stream

def read_closed(arn):
    """All records of a stream that is off."""
    records, shards = [], STREAMS.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    for shard in shards:
        start = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = STREAMS.get_shard_iterator(**start)["ShardIterator"]
        while iterator:
            page = STREAMS.get_records(ShardIterator=iterator, Limit=9)
            records += page["Records"]
            iterator = page.get("NextShardIterator")
    return records


def main():
    ledger = Ledger()
    create_table()
    ber = fill(ledger)
    check_reads(ledger)
    arn = session.set_stream(DYNAMODB, NAME, True)
    ledger.start_stream()
    write_with_stream(ledger, ber)
    check_failures(ledger)
    assert session.set_stream(DYNAMODB, NAME, False) == arn
    ledger.stop_stream()
    check_records(ledger.changes, read_closed(arn), arn)
    check_reads(ledger)
    try:
        Report.delete_table()
    except TableError:
        if not NODES_DIE:
            raise
    DYNAMODB.get_waiter("table_not_exists").wait(TableName=NAME, WaiterConfig=session.PATIENCE)
    assert not Report.exists()


if __name__ == "__main__":
    main()
