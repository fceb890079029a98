"""boto3, its clients and its resource: the life of a table and of its stream."""

import time
from decimal import Decimal

import boto3
from boto3.dynamodb.conditions import Attr, Key

import session
from ledger import Ledger, check_records, count, key_of
from session import ENDPOINTS, code, message, own, plain

DYNAMODB = session.client("dynamodb")
STREAMS = session.client("dynamodbstreams", node=1)
NAME = session.new_name("boto3")
TABLE = boto3.resource("dynamodb", endpoint_url=ENDPOINTS[0]).Table(NAME)
REPORTS = 60


def key(station, minute):
    return {"station": station, "minute": minute}


def check_equal(found, expected):
    assert found == expected, f"{found} instead of {expected}"


# ---- writes

def create(ledger, item):
    put = lambda: TABLE.put_item(
        Item=item, ConditionExpression=Attr("station").not_exists(), ReturnValuesOnConditionCheckFailure="ALL_OLD"
    )
    own(put, item)
    ledger.put(item)


def count_visit(ledger, where):
    """An increment: the item with one visit more and the next version."""
    old = ledger.items[key_of(where)]
    new = old | {"visits": old.get("visits", 0) + 1, "version": old["version"] + 1}
    update = lambda: TABLE.update_item(
        Key=where,
        UpdateExpression="SET #v = :next ADD visits :one",
        ConditionExpression="#v = :version",
        ExpressionAttributeNames={"#v": "version"},
        ExpressionAttributeValues={":one": 1, ":version": old["version"], ":next": new["version"]},
        ReturnValues="ALL_NEW",
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )
    own(lambda: check_equal(update()["Attributes"], new), new)
    ledger.put(new)


def remove(ledger, where):
    delete = lambda: TABLE.delete_item(
        Key=where,
        ConditionExpression=Attr("version").eq(ledger.items[key_of(where)]["version"]),
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )
    own(delete, None)
    ledger.delete(key_of(where))


def write_batch(ledger, puts, deletes=()):
    """BatchWriteItem by hand; what comes back unprocessed is sent again."""
    requests = [{"PutRequest": {"Item": item}} for item in puts]
    requests += [{"DeleteRequest": {"Key": where}} for where in deletes]
    for begin in range(0, len(requests), 25):
        left, pause = {NAME: requests[begin:begin + 25]}, 0.05
        while left:
            assert pause < session.DEADLINE_SECONDS, f"unprocessed to the end: {left}"
            left = TABLE.meta.client.batch_write_item(RequestItems=left)["UnprocessedItems"]
            if left:
                time.sleep(pause)
                pause *= 2
    for item in puts:
        ledger.put(item)
    for where in deletes:
        ledger.delete(key_of(where))


def report(minute, **more):
    return {"station": "HAM", "minute": minute, "wind": Decimal(minute) / 4, "version": 1, **more}


def fill(ledger):
    """All ten types, and enough items for several pages."""
    create(ledger, key("BER", 1) | {
        "version": 1, "name": "Brandenburg", "sky": None, "open": True, "raw": b"\x00\xff", "level": Decimal("-0.00125"),
        "runways": {"07L", "07R"}, "heights": {Decimal(46), Decimal(48)}, "keys": {b"a", b"b"},
        "history": ["x", 1, {"deep": [False]}], "place": {"lat": Decimal("52.36"), "lon": Decimal("13.50")},
    })
    write_batch(ledger, [report(minute) for minute in range(REPORTS)])
    with TABLE.batch_writer() as batch:
        for minute in range(REPORTS, REPORTS + 10):
            batch.put_item(Item=ledger.put(report(minute)))
    count_visit(ledger, key("BER", 1))
    remove(ledger, key("HAM", 0))
    write_batch(ledger, [], [key("HAM", 1), key("HAM", 2)])


def write_with_stream(ledger):
    """Each kind of change, and each kind of write that changes nothing."""
    ber, muc = key("BER", 1), key("MUC", 1)
    count_visit(ledger, ber)
    create(ledger, muc | {"version": 1, "tags": {"a", "b"}, "height": Decimal("1.50")})
    # The same item in other words is no change.
    same = muc | {"height": Decimal("15e-1"), "tags": {"b", "a"}, "version": 1}
    TABLE.put_item(Item=same, ConditionExpression=Attr("version").eq(1))
    for _ in range(3):
        count_visit(ledger, muc)
    TABLE.delete_item(Key=key("FRA", 404))
    TABLE.update_item(Key=key("FRA", 404), UpdateExpression="REMOVE nothing")
    remove(ledger, muc)
    create(ledger, muc | {"version": 10})
    write_batch(ledger, [report(minute) for minute in range(100, 130)], [key("HAM", 3), key("HAM", 404)])
    count_visit(ledger, muc)
    # Written without a condition: nothing else writes to this key, and the second time it is the same.
    TABLE.update_item(Key=key("CGN", 1), UpdateExpression="SET wind = :w", ExpressionAttributeValues={":w": Decimal(7)})
    ledger.put(key("CGN", 1) | {"wind": Decimal(7)})


# ---- reads

def check_reads(ledger):
    for node in range(len(ENDPOINTS)):
        reader = session.client("dynamodb", node)
        name_key = {"station": {"S": "BER"}, "minute": {"N": "1"}}
        found = reader.get_item(TableName=NAME, Key=name_key, ConsistentRead=True)
        check_equal(plain(found["Item"]), ledger.items["BER", 1])
        assert "Item" not in reader.get_item(TableName=NAME, Key={**name_key, "minute": {"N": "2"}}, ConsistentRead=True)
        pages = reader.get_paginator("scan").paginate(
            TableName=NAME, ConsistentRead=True, PaginationConfig={"PageSize": 25}
        )
        ledger.check_items([plain(item) for page in pages for item in page["Items"]])
    check_query(ledger)
    check_filter(ledger)
    check_batch_get(ledger)


def check_query(ledger):
    pages = DYNAMODB.get_paginator("query").paginate(
        TableName=NAME,
        KeyConditionExpression="station = :s AND #m BETWEEN :from AND :to",
        ExpressionAttributeNames={"#m": "minute"},
        ExpressionAttributeValues={":s": {"S": "HAM"}, ":from": {"N": "9"}, ":to": {"N": "40"}},
        ScanIndexForward=False,
        ConsistentRead=True,
        PaginationConfig={"PageSize": 7},
    )
    pages = [[plain(item) for item in page["Items"]] for page in pages]
    assert [len(page) for page in pages[:4]] == [7, 7, 7, 7], pages
    check_equal(sum(pages, []), [ledger.items["HAM", minute] for minute in range(40, 8, -1)])
    newest = TABLE.query(KeyConditionExpression=Key("station").eq("HAM"), ScanIndexForward=False, Limit=1, ConsistentRead=True)
    last = max(minute for station, minute in ledger.items if station == "HAM")
    check_equal(newest["Items"], [ledger.items["HAM", last]])


def check_filter(ledger):
    found = TABLE.scan(
        FilterExpression=Attr("wind").gt(Decimal("14.5")) & Attr("station").begins_with("H"),
        ProjectionExpression="#m, wind",
        ExpressionAttributeNames={"#m": "minute"},
        ConsistentRead=True,
    )
    reports = [item for item in ledger.items.values() if item["station"] == "HAM" and item["wind"] > Decimal("14.5")]
    expected = sorted((item["minute"], item["wind"]) for item in reports)
    check_equal(sorted((item["minute"], item["wind"]) for item in found["Items"]), expected)
    assert expected and found["ScannedCount"] == len(ledger.items), found


def check_batch_get(ledger):
    keys = [key("HAM", minute) for minute in range(60)]
    left, found = {NAME: {"Keys": keys, "ConsistentRead": True}}, []
    while left:
        answer = TABLE.meta.client.batch_get_item(RequestItems=left)
        found += answer["Responses"][NAME]
        left = answer["UnprocessedKeys"]
    expected = [ledger.items[key_of(where)] for where in keys if key_of(where) in ledger.items]
    check_equal(sorted(found, key=key_of), expected)


# ---- the stream

def shards(arn):
    """All shards, two to a page."""
    found, start = [], {}
    while True:
        page = STREAMS.describe_stream(StreamArn=arn, Limit=2, **start)["StreamDescription"]
        found += page["Shards"]
        if "LastEvaluatedShardId" not in page:
            return found
        start = {"ExclusiveStartShardId": page["LastEvaluatedShardId"]}


def horizon(arn, shard):
    return STREAMS.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")["ShardIterator"]


def check_rising(records, shard):
    numbers = [int(record["dynamodb"]["SequenceNumber"]) for record in records]
    assert numbers == sorted(set(numbers)), numbers
    bounds = shard["SequenceNumberRange"]
    assert all(number >= int(bounds["StartingSequenceNumber"]) for number in numbers), (bounds, numbers)
    assert all(number <= int(bounds.get("EndingSequenceNumber", number)) for number in numbers), (bounds, numbers)


def read_open(arn, count):
    """Reads the shards in turn until there are so many records. The stream is open, so no page says that it was the last."""
    found = {shard["ShardId"]: [] for shard in shards(arn)}
    iterators = {shard["ShardId"]: horizon(arn, shard) for shard in shards(arn)}

    def has_all():
        for shard, iterator in iterators.items():
            page = STREAMS.get_records(ShardIterator=iterator, Limit=10)
            found[shard] += page["Records"]
            iterators[shard] = page["NextShardIterator"]
        return sum(map(len, found.values())) >= count

    session.until(f"{count} records", has_all)
    return sum(found.values(), [])


def read_closed(arn):
    """Reads all shards to their ends."""
    found = []
    for shard in shards(arn):
        assert "EndingSequenceNumber" in shard["SequenceNumberRange"], shard
        records, iterator = [], horizon(arn, shard)
        while iterator:
            page = STREAMS.get_records(ShardIterator=iterator)
            records += page["Records"]
            iterator = page.get("NextShardIterator")
        check_rising(records, shard)
        found += records
    return found


def check_stream(ledger):
    arn = session.set_stream(DYNAMODB, NAME, True)
    ledger.start_stream()
    listed = STREAMS.list_streams(TableName=NAME)["Streams"]
    check_equal([stream["StreamArn"] for stream in listed], [arn])
    check_equal(STREAMS.describe_stream(StreamArn=arn)["StreamDescription"]["StreamStatus"], "ENABLED")
    write_with_stream(ledger)
    check_failures(ledger)
    open_records = read_open(arn, count(ledger.changes))
    check_records(ledger.changes, open_records, arn)
    check_equal(session.set_stream(DYNAMODB, NAME, False), arn)
    ledger.stop_stream()
    create(ledger, key("AFTER", 1) | {"version": 1})
    closed_records = read_closed(arn)
    check_records(ledger.changes, closed_records, arn)
    # Record by record the same: what was seen once stays, ids and sequence numbers included.
    by_id = lambda record: record["eventID"]
    check_equal(sorted(closed_records, key=by_id), sorted(open_records, key=by_id))


# ---- failures

def fails(expected, text, call):
    """The error of a call: of this class where boto3 has one, with this code, and this in its message."""
    try:
        call()
    except DYNAMODB.exceptions.ClientError as error:
        assert code(error) == expected, error
        known = getattr(DYNAMODB.exceptions, expected, None) if expected != "ValidationException" else None
        assert known is None or isinstance(error, known), type(error)
        assert text in message(error), f"{message(error)!r} has no {text!r}"
        return error
    raise AssertionError(f"no {expected}")


def check_failures(ledger):
    ber = {"station": {"S": "BER"}, "minute": {"N": "1"}}
    put = lambda item, **more: DYNAMODB.put_item(TableName=NAME, Item=item, **more)
    on_version = {"ConditionExpression": "version = :v", "ExpressionAttributeValues": {":v": {"N": "4711"}}}
    error = fails("ConditionalCheckFailedException", "The conditional request failed", lambda: put(
        ber, **on_version, ReturnValuesOnConditionCheckFailure="ALL_OLD"
    ))
    check_equal(plain(error.response["Item"]), ledger.items["BER", 1])
    error = fails("ConditionalCheckFailedException", "The conditional request failed", lambda: put(ber, **on_version))
    assert "Item" not in error.response, error.response
    gone = session.new_name("gone")
    fails("ResourceNotFoundException", "Requested resource not found", lambda: DYNAMODB.get_item(TableName=gone, Key=ber))
    fails("ResourceNotFoundException", f"Table: {gone} not found", lambda: DYNAMODB.describe_table(TableName=gone))
    fails("ResourceInUseException", f"Table already exists: {NAME}", lambda: DYNAMODB.create_table(
        TableName=NAME, **session.SCHEMA
    ))
    fails("ValidationException", "An string set  may not be empty", lambda: put({**ber, "tags": {"SS": []}}))
    fails("ValidationException", "Invalid UpdateExpression: Syntax error", lambda: DYNAMODB.update_item(
        TableName=NAME, Key=ber, UpdateExpression="SET = 1"
    ))
    fails("ValidationException", "Type mismatch for key minute expected: N actual: S", lambda: put(
        {**ber, "minute": {"S": "1"}}
    ))
    fails("ValidationException", "The provided key element does not match the schema", lambda: DYNAMODB.get_item(
        TableName=NAME, Key={**ber, "minute": {"S": "1"}}
    ))


def main():
    session.create_table(DYNAMODB, NAME)
    ledger = Ledger()
    fill(ledger)
    check_reads(ledger)
    check_stream(ledger)
    check_reads(ledger)
    session.delete_table(DYNAMODB, NAME)
    fails("ResourceNotFoundException", "Requested resource not found", lambda: DYNAMODB.describe_table(TableName=NAME))


if __name__ == "__main__":
    main()
