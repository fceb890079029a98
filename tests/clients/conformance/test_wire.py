"""The protocol below the operations: HTTP, JSON, compression, errors (sections 3.1-3.3, 3.5; appendix D 25)."""

import gzip
import json
import socket
import zlib

import pytest

import wire
from dynamo import IN_USE, NOT_FOUND, SERIALIZATION, VALIDATION, av, item_of, schema_of, unique
from wire import JSON, TABLES, call, connect, crc32, send, sign

UNKNOWN = "UnknownOperationException"
MAX = 16 * 1024 * 1024


def put_body(table, **more):
    return {"TableName": table.name, "Item": item_of(table.key())} | more


# ----------------------------------------------------------------------------------------------------------------------
# Answers.


def check_answer(answer):
    assert answer.header("Content-Type") == JSON
    assert answer.header("x-amzn-RequestId")
    assert int(answer.header("Content-Length")) == len(answer.body)
    assert answer.header("Date")
    if answer.header("x-amz-crc32") is not None:
        assert answer.header("x-amz-crc32") == crc32(answer.body)


def test_3_2_headers_of_an_answer():
    answer = call("ListTables", {})
    assert answer.status == 200
    check_answer(answer)


@pytest.mark.parametrize(
    "operation, body",
    [
        ("DescribeTable", {"TableName": "conformance-unknown"}),
        ("ListTables", {"Limit": 0}),
        ("Dog", {}),
        ("ListTables", b"{"),
    ],
)
def test_3_2_headers_of_an_error(operation, body):
    answer = call(operation, body)
    assert answer.status == 400
    check_answer(answer)


def test_3_2_request_ids_differ():
    assert len({call("ListTables", {}).header("x-amzn-RequestId") for _ in range(5)}) == 5


def test_3_2_empty_answers(hash_table):
    assert call("PutItem", put_body(hash_table)).body == b"{}"
    assert call("DeleteItem", {"TableName": hash_table.name, "Key": item_of(hash_table.key())}).body == b"{}"
    assert call("GetItem", {"TableName": hash_table.name, "Key": item_of(hash_table.key())}).body == b"{}"


def test_2_2_tagging_answers_nothing_at_all(tables):
    table = tables.create("p:S")
    tagged = call("TagResource", {"ResourceArn": table.arn, "Tags": [{"Key": "a", "Value": "b"}]})
    untagged = call("UntagResource", {"ResourceArn": table.arn, "TagKeys": ["a"]})
    for answer in (tagged, untagged):
        assert (answer.status, answer.body) == (200, b"")
        assert answer.header("x-amz-crc32") in (None, "0")


def test_3_2_times_are_numbers(hash_table, filled):
    table = call("DescribeTable", {"TableName": hash_table.name}).json()["Table"]
    assert isinstance(table["CreationDateTime"], (int, float))
    stream = call("DescribeStream", {"StreamArn": filled[0].stream}).json()["StreamDescription"]
    assert isinstance(stream["CreationRequestDateTime"], (int, float))


def test_3_2_members_that_are_not_there_are_absent_rather_than_null(hash_table, filled):
    def nulls(value):
        if isinstance(value, dict):
            return any(inner is None or nulls(inner) for inner in value.values())
        return isinstance(value, list) and any(nulls(inner) for inner in value)

    answers = [
        call("DescribeTable", {"TableName": hash_table.name}),
        call("DescribeStream", {"StreamArn": filled[0].stream}),
        call("ListStreams", {}),
        call("ListTables", {}),
        call("DescribeTimeToLive", {"TableName": hash_table.name}),
    ]
    assert not any(nulls(answer.json()) for answer in answers)


def test_1_8_get_records_on_the_wire(filled):
    table, shard, _ = filled
    wish = {"StreamArn": table.stream, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
    at = call("GetShardIterator", wish).json()["ShardIterator"]
    record = call("GetRecords", {"ShardIterator": at, "Limit": 1}).json()["Records"][0]
    assert record.keys() == {"eventID", "eventName", "eventVersion", "eventSource", "awsRegion", "dynamodb"}
    members = {"ApproximateCreationDateTime", "Keys", "NewImage", "SequenceNumber", "SizeBytes", "StreamViewType"}
    assert record["dynamodb"].keys() == members
    assert isinstance(record["dynamodb"]["ApproximateCreationDateTime"], (int, float))
    assert isinstance(record["dynamodb"]["SizeBytes"], int)


def test_1_8_no_records_is_an_empty_list(filled):
    table, shard, _ = filled
    wish = {"StreamArn": table.stream, "ShardId": shard, "ShardIteratorType": "LATEST"}
    at = call("GetShardIterator", wish).json()["ShardIterator"]
    answer = call("GetRecords", {"ShardIterator": at}).json()
    assert answer["Records"] == [] and isinstance(answer["NextShardIterator"], str)


# ----------------------------------------------------------------------------------------------------------------------
# Errors.


def error_cases(table):
    key = item_of(table.key())
    schema = schema_of("p:S") | {"BillingMode": "PAY_PER_REQUEST"}
    failing = {"TableName": table.name, "Key": key, "ConditionExpression": "attribute_exists(p)"}
    v2012 = "com.amazonaws.dynamodb.v20120810#"
    service = "com.amazon.coral.service#"
    return {
        VALIDATION: ("ListTables", {"Limit": 0}, "com.amazon.coral.validate#", "message"),
        NOT_FOUND: ("DescribeTable", {"TableName": "conformance-unknown"}, v2012, "message"),
        IN_USE: ("CreateTable", {"TableName": table.name} | schema, v2012, "message"),
        "ConditionalCheckFailedException": ("DeleteItem", failing, v2012, "message"),
        SERIALIZATION: ("ListTables", {"Limit": "x"}, service, "Message"),
        UNKNOWN: ("Dog", {}, service, None),
    }


@pytest.mark.parametrize(
    "kind", [VALIDATION, NOT_FOUND, IN_USE, "ConditionalCheckFailedException", SERIALIZATION, UNKNOWN]
)
def test_3_3_shape_of_an_error(hash_table, kind):
    operation, body, namespace, member = error_cases(hash_table)[kind]
    answer = call(operation, body)
    assert answer.status == 400
    assert answer.json()["__type"] == namespace + kind
    if member:
        assert isinstance(answer.json()[member], str)


def test_3_3_clients_have_typed_exceptions(hash_table, db):
    with pytest.raises(db.exceptions.ResourceNotFoundException):
        db.describe_table(TableName="conformance-unknown")
    with pytest.raises(db.exceptions.ConditionalCheckFailedException):
        hash_table.put(hash_table.key(), ConditionExpression="attribute_exists(p)")
    with pytest.raises(db.exceptions.ResourceInUseException):
        db.create_table(TableName=hash_table.name, BillingMode="PAY_PER_REQUEST", **schema_of("p:S"))


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a\nb", "\u00e9", "a'b", "\u2028", "</script>"])
def test_3_3_messages_are_escaped(text):
    answer = call("Query", {"TableName": "some-table", "Select": text})
    assert answer.kind == VALIDATION
    assert f"'{text}'" in answer.message


def test_2_3_the_item_of_a_failed_condition_is_json_of_items(hash_table):
    key = hash_table.key()
    hash_table.put(key | {"b": b"\x00\xff", "n": 1})
    body = {
        "TableName": hash_table.name,
        "Key": item_of(key),
        "ConditionExpression": "attribute_exists(z)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    answer = call("DeleteItem", body)
    assert answer.json()["Item"] == item_of(key) | {"b": {"B": "AP8="}, "n": {"N": "1"}}


# ----------------------------------------------------------------------------------------------------------------------
# Bodies.


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'""', b"5", b"true", b"{", b"{]", b'{"a":}', b"dog", b"{}{}", b"\xff\xfe"]
)
def test_3_1_body_that_is_no_object(body):
    answer = call("ListTables", body)
    assert (answer.status, answer.kind) == (400, SERIALIZATION)


def test_3_1_json_that_cannot_be_read_has_no_message():
    body = call("ListTables", b"{").json()
    assert "message" not in body and "Message" not in body


def test_3_1_unknown_members_are_ignored_and_null_is_absent(hash_table):
    body = {"Limit": None, "Dog": {"a": [1]}, "ExclusiveStartTableName": None}
    assert call("ListTables", body).status == 200
    key = item_of(hash_table.key())
    body = {"TableName": hash_table.name, "Key": key, "ProjectionExpression": None, "AttributesToGet": None}
    assert call("GetItem", body).body == b"{}"


def test_3_1_the_last_of_equal_members_counts(hash_table):
    key = hash_table.key()
    hash_table.put(key)
    body = json.dumps({"Key": item_of(key)})[1:-1]
    answer = call("GetItem", f'{{"TableName":"conformance-unknown","TableName":"{hash_table.name}",{body}}}'.encode())
    assert answer.json() == {"Item": item_of(key)}


@pytest.mark.parametrize("opening, closing", [("[", "]"), ('{"a":', "}"), ('{"L":[', "]}"), ('{"M":{"a":', "}}")])
def test_3_1_deep_json_does_no_harm(hash_table, opening, closing):
    depth = 200_000
    inside = opening * depth + closing * depth
    for body in (inside, f'{{"TableName":"{hash_table.name}","Item":{{"p":{{"S":"a"}},"x":{inside}}}}}'):
        answer = call("PutItem", body.encode())
        assert 400 <= answer.status < 500
    assert call("ListTables", {}).status == 200


def test_3_1_escapes_and_surrogates(hash_table):
    p = unique()
    body = f'{{"TableName":"{hash_table.name}","Item":{{"p":{{"S":"{p}"}},"x":{{"S":"\\u00e9\\ud83d\\ude00\\u0000\\/"}}}}}}'
    assert call("PutItem", body.encode()).status == 200
    assert hash_table.get({"p": p})["x"] == "\u00e9\U0001f600\0/"


# ----------------------------------------------------------------------------------------------------------------------
# Targets, methods, paths.


@pytest.mark.parametrize(
    "target",
    [
        "DynamoDB_20120810.Dog",
        "DynamoDB_20120810.",
        "DynamoDB_20120810",
        "DynamoDB_20120810.listtables",
        "DynamoDB_20111205.ListTables",
        "Dog.ListTables",
        ".",
        "DynamoDB_20120810.ListStreams",
        "DynamoDBStreams_20120810.ListTables",
    ],
)
def test_3_1_unknown_target(target):
    answer = call(target, {})
    assert (answer.status, answer.kind) == (400, UNKNOWN)


def test_3_1_no_target():
    answer = call("ListTables", {}, headers={"X-Amz-Target": None})
    assert (answer.status, answer.kind) == (400, UNKNOWN)


@pytest.mark.parametrize(
    "kind",
    [JSON, JSON + "; charset=utf-8", JSON + ";charset=UTF-8", "application/json", "application/json; charset=utf-8"],
)
def test_3_1_content_types_that_are_taken(kind):
    answer = call("ListTables", {}, headers={"Content-Type": kind})
    assert answer.status == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "application/x-www-form-urlencoded", "dog"])
def test_3_1_other_content_types(kind):
    answer = call("ListTables", {}, headers={"Content-Type": kind})
    assert answer.status == 404
    assert answer.body.strip() == b"<UnknownOperationException/>"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_3_1_other_methods(method):
    answer = send(
        method, "/", b"{}", sign(method, "/", b"{}", {"Content-Type": JSON, "X-Amz-Target": TABLES + "ListTables"})
    )
    assert answer.status == 404
    assert answer.body.strip() == b"<UnknownOperationException/>"


@pytest.mark.parametrize("path", ["/dog", "/dog/", "/latest/meta-data"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_3_5_other_paths(method, path):
    headers = {"Content-Type": JSON, "X-Amz-Target": TABLES + "ListTables"}
    answer = send(method, path, b"{}", sign(method, path, b"{}", headers))
    assert 400 <= answer.status < 500


def test_3_5_health_without_a_signature():
    answer = send("GET", "/")
    assert answer.status == 200
    assert answer.body.decode().strip() == f"healthy: {wire.ADDRESS.netloc}"


def test_3_5_health_says_the_host_it_was_asked_by():
    answer = send("GET", "/", headers={"Host": "some.example:1234"})
    assert answer.body.decode().strip() == "healthy: some.example:1234"


def test_3_5_ping():
    assert send("GET", "/ping").status == 200


# ----------------------------------------------------------------------------------------------------------------------
# Sizes.


def padded(size):
    """A ListTables request of exactly this many bytes."""
    start, end = b'{"Dog":"', b'"}'
    return start + b"x" * (size - len(start) - len(end)) + end


@pytest.mark.parametrize("chunked", [False, True])
def test_3_1_a_body_may_be_large(chunked):
    assert call("ListTables", padded(MAX - 1024), chunked=chunked).status == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_3_1_a_body_may_be_too_large(chunked):
    assert call("ListTables", padded(MAX + 100_000), chunked=chunked).status == 413
    assert call("ListTables", {}).status == 200


def test_3_1_a_body_may_be_too_large_when_unpacked():
    body = gzip.compress(padded(MAX + 100_000), 1)
    assert call("ListTables", body, headers={"Content-Encoding": "gzip"}).status == 413


def test_3_1_chunks(hash_table):
    body = wire.bytes_of(put_body(hash_table, ReturnConsumedCapacity="TOTAL"))
    assert call("PutItem", body, chunked=True).json()["ConsumedCapacity"]["CapacityUnits"] == 1


@pytest.mark.parametrize(
    "headers", [{"X-Dog": "x" * 17_000}, {f"X-Dog-{at}": "x" * 1000 for at in range(17)}], ids=["one", "many"]
)
def test_3_1_headers_too_large(headers):
    answer = call("ListTables", {}, headers=headers)
    assert 400 <= answer.status < 500
    assert call("ListTables", {}).status == 200


def test_3_1_headers_may_be_long():
    assert call("ListTables", {}, headers={"X-Dog": "x" * 8000}).status == 200


def raw(request):
    """The status of the answer to bytes of one's own."""
    with socket.create_connection((wire.ADDRESS.hostname, wire.ADDRESS.port), timeout=30) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return int(connection.makefile("rb").readline().split()[1])


@pytest.mark.parametrize(
    "framing, body",
    [
        (b"Content-Length: 100", b"{}"),
        (b"Transfer-Encoding: chunked", b"-1\r\n{}\r\n0\r\n\r\n"),
        (b"Transfer-Encoding: chunked", b"2\r\n{}x\r\n0\r\n\r\n"),
        (b"Transfer-Encoding: chunked", b"ffffffffffffffffff\r\n{}"),
    ],
)
def test_3_3_a_body_that_breaks_off_is_the_fault_of_the_client(framing, body):
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-amz-json-1.0\r\n"
    assert raw(head + b"X-Amz-Target: DynamoDB_20120810.ListTables\r\n" + framing + b"\r\n\r\n" + body) == 400


def test_3_1_request_line_too_large():
    answer = send("GET", "/?" + "x" * 17_000)
    assert 400 <= answer.status < 500


# ----------------------------------------------------------------------------------------------------------------------
# Compression.


def deflate(body):
    return zlib.compress(body)


def gzip_in_two(body):
    half = len(body) // 2
    return gzip.compress(body[:half]) + gzip.compress(body[half:])


@pytest.mark.parametrize("encoding, pack", [("gzip", gzip.compress), ("gzip", gzip_in_two), ("deflate", deflate)])
def test_3_1_packed_requests(hash_table, encoding, pack):
    key = hash_table.key()
    body = pack(wire.bytes_of({"TableName": hash_table.name, "Item": item_of(key)}))
    assert call("PutItem", body, headers={"Content-Encoding": encoding}).body == b"{}"
    assert hash_table.get(key) == key


BROKEN = {
    "no gzip": b"{}",
    "empty": b"",
    "cut": gzip.compress(b'{"Limit":1}')[:-6],
    "changed": gzip.compress(b'{"Limit":1}')[:-5] + b"\x00\x00\x00\x00\x00",
    "with more behind": gzip.compress(b"{}") + b"dog",
}


@pytest.mark.parametrize("case", BROKEN)
def test_3_1_broken_gzip_is_an_internal_error(case):
    answer = call("ListTables", BROKEN[case], headers={"Content-Encoding": "gzip"})
    assert (answer.status, answer.kind) == (500, "InternalServerError")


@pytest.mark.parametrize("encoding", ["br", "dog", "gzip, gzip, dog"])
def test_3_1_other_encodings(encoding):
    answer = call("ListTables", {}, headers={"Content-Encoding": encoding})
    assert answer.status in (400, 500)


@pytest.fixture(scope="module")
def large(hash_table):
    key = hash_table.key()
    hash_table.put(key | {"x": "x" * 20_000})
    return {"TableName": hash_table.name, "Key": item_of(key), "ConsistentRead": True}


@pytest.mark.parametrize(
    "accepted, encoding",
    [
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("gzip, deflate", ("gzip", "deflate")),
        ("deflate;q=0.1, gzip;q=0.9", "gzip"),
        ("deflate;q=0.9, gzip;q=0.1", "deflate"),
        ("gzip;q=0", None),
        ("identity", None),
        ("br", None),
        ("br, gzip", "gzip"),
    ],
)
def test_3_2_packed_answers(large, accepted, encoding):
    answer = call("GetItem", large, headers={"Accept-Encoding": accepted})
    used = answer.header("Content-Encoding")
    assert used in (encoding if isinstance(encoding, tuple) else (encoding,))
    unpack = {None: bytes, "gzip": gzip.decompress, "deflate": zlib.decompress}[used]
    assert json.loads(unpack(answer.body))["Item"]["x"] == av("x" * 20_000)
    check_answer(answer)


def test_3_2_small_answers_are_not_packed():
    answer = call("DescribeLimits", {}, headers={"Accept-Encoding": "gzip"})
    assert answer.header("Content-Encoding") is None
    check_answer(answer)


# ----------------------------------------------------------------------------------------------------------------------
# Connections.


def test_3_1_a_connection_is_used_again_after_anything():
    connection = connect()
    steps = [
        (call("ListTables", {}, connection=connection), 200),
        (call("ListTables", {"Limit": 0}, connection=connection), 400),
        (call("ListTables", b"{", connection=connection), 400),
        (call("Dog", {}, connection=connection), 400),
        (call("ListTables", {}, signed=False, connection=connection), 400),
        (call("ListTables", b"dog", headers={"Content-Encoding": "gzip"}, connection=connection), 500),
        (call("ListTables", {}, headers={"Content-Type": "text/plain"}, connection=connection), 404),
        (call("ListTables", {}, connection=connection, chunked=True), 200),
        (send("GET", "/", connection=connection), 200),
        (call("ListTables", {}, connection=connection), 200),
    ]
    assert [answer.status for answer, _ in steps] == [status for _, status in steps]
    connection.close()


def test_3_1_a_connection_is_closed_on_request():
    connection = connect()
    headers = {"Connection": "close", "Content-Type": JSON, "X-Amz-Target": TABLES + "ListTables"}
    connection.request("POST", "/", b"{}", sign("POST", "/", b"{}", headers))
    sock = connection.sock
    answer = connection.getresponse()
    assert answer.status == 200
    assert json.loads(answer.read())
    sock_end = sock.recv(1) if sock and sock.fileno() >= 0 else b""
    assert sock_end == b""
    connection.close()


def test_3_1_unknown_headers_are_ignored():
    headers = {
        "x-amz-user-agent": "aws-sdk-js",
        "amz-sdk-invocation-id": unique(),
        "amz-sdk-request": "attempt=1; max=3",
        "x-amz-checksum-crc32": "AAAAAA==",
        "X-Amz-Account-Id-Endpoint-Mode": "preferred",
    }
    assert call("ListTables", {}, headers=headers).status == 200


# ----------------------------------------------------------------------------------------------------------------------
# Browsers.


def test_3_2_origin_is_answered():
    answer = call("ListTables", {}, headers={"Origin": "https://some.example"})
    assert answer.status == 200
    assert answer.header("Access-Control-Allow-Origin") == "*"
    exposed = answer.header("Access-Control-Expose-Headers").lower()
    assert "x-amzn-requestid" in exposed and "x-amz-crc32" in exposed


def test_3_2_origin_is_answered_on_errors():
    answer = call("ListTables", {"Limit": 0}, headers={"Origin": "https://some.example"})
    assert answer.status == 400 and answer.header("Access-Control-Allow-Origin") == "*"


def test_3_2_no_origin_no_cors():
    answer = call("ListTables", {})
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


def test_3_2_pre_flight():
    headers = {
        "Origin": "https://some.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-amz-target,authorization,x-dog",
    }
    answer = send("OPTIONS", "/", headers=headers)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.header("Access-Control-Allow-Origin") == "*"
    assert answer.header("Access-Control-Allow-Methods") == "POST"
    assert answer.header("Access-Control-Allow-Headers") == "x-amz-target,authorization,x-dog"
    assert answer.header("Access-Control-Max-Age") == "172800"
