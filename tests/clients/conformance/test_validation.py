"""What is said of requests that break the constraints of their shapes, and in which order things are judged (3.1)."""

import re

import pytest

import wire
from dynamo import NOT_FOUND, SERIALIZATION, VALIDATION, item_of

KEY = item_of({"p": "a", "c": "a"})
NULL = "Member must not be null"


def least(value):
    return f"Member must have value greater than or equal to {value}"


def most(value):
    return f"Member must have value less than or equal to {value}"


def at_least_long(value):
    return f"Member must have length greater than or equal to {value}"


def at_most_long(value):
    return f"Member must have length less than or equal to {value}"


def one_of(*values):
    return set(values)


CAPACITY = one_of("INDEXES", "TOTAL", "NONE")
RETURNED = one_of("NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW")
ON_FAILURE = one_of("ALL_OLD", "NONE")
SELECT = one_of("ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES", "SPECIFIC_ATTRIBUTES", "COUNT")
OPERATOR = one_of(
    "EQ", "NE", "IN", "LE", "LT", "GE", "GT", "BETWEEN", "NOT_NULL", "NULL", "CONTAINS", "NOT_CONTAINS", "BEGINS_WITH"
)
NAME = {"TableName": "some-table"}
ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/some-table/stream/2020-01-01T00:00:00.000"
SHARD = "shardId-00000000000000000000-00000000"
ITERATOR = {"StreamArn": ARN, "ShardId": SHARD, "ShardIteratorType": "LATEST"}
CREATE = {
    "TableName": "some-table",
    "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}

# Operation, request, the value as the message has it, the path of the member, the constraint (a set: of an enumeration).
VIOLATIONS = [
    ("GetItem", {"Key": KEY}, "null", "tableName", NULL),
    ("GetItem", NAME, "null", "key", NULL),
    ("GetItem", NAME | {"Key": None}, "null", "key", NULL),
    ("GetItem", NAME | {"Key": KEY, "AttributesToGet": []}, "'[]'", "attributesToGet", at_least_long(1)),
    ("GetItem", NAME | {"Key": KEY, "ReturnConsumedCapacity": "all"}, "'all'", "returnConsumedCapacity", CAPACITY),
    ("PutItem", {"Item": KEY}, "null", "tableName", NULL),
    ("PutItem", NAME, "null", "item", NULL),
    ("PutItem", NAME | {"Item": KEY, "ReturnValues": "OLD"}, "'OLD'", "returnValues", RETURNED),
    ("PutItem", NAME | {"Item": KEY, "ReturnConsumedCapacity": ""}, "''", "returnConsumedCapacity", CAPACITY),
    (
        "PutItem",
        NAME | {"Item": KEY, "ReturnItemCollectionMetrics": "NO"},
        "'NO'",
        "returnItemCollectionMetrics",
        one_of("SIZE", "NONE"),
    ),
    (
        "PutItem",
        NAME | {"Item": KEY, "ConditionalOperator": "XOR"},
        "'XOR'",
        "conditionalOperator",
        one_of("AND", "OR"),
    ),
    (
        "PutItem",
        NAME | {"Item": KEY, "ReturnValuesOnConditionCheckFailure": "ALL"},
        "'ALL'",
        "returnValuesOnConditionCheckFailure",
        ON_FAILURE,
    ),
    ("UpdateItem", NAME, "null", "key", NULL),
    ("UpdateItem", NAME | {"Key": KEY, "ReturnValues": "new"}, "'new'", "returnValues", RETURNED),
    (
        "UpdateItem",
        NAME | {"Key": KEY, "AttributeUpdates": {"a": {"Action": "SET"}}},
        "'SET'",
        "attributeUpdates.a.member.action",
        one_of("ADD", "PUT", "DELETE"),
    ),
    ("DeleteItem", NAME, "null", "key", NULL),
    (
        "DeleteItem",
        NAME | {"Key": KEY, "Expected": {"a": {"ComparisonOperator": "eq"}}},
        "'eq'",
        "expected.a.member.comparisonOperator",
        OPERATOR,
    ),
    ("Query", {}, "null", "tableName", NULL),
    ("Query", NAME | {"Limit": 0}, "'0'", "limit", least(1)),
    ("Query", NAME | {"Limit": -7}, "'-7'", "limit", least(1)),
    ("Query", NAME | {"Select": "ALL"}, "'ALL'", "select", SELECT),
    ("Query", NAME | {"IndexName": "ab"}, "'ab'", "indexName", at_least_long(3)),
    ("Query", NAME | {"IndexName": "a" * 256}, "'" + "a" * 256 + "'", "indexName", at_most_long(255)),
    (
        "Query",
        NAME | {"IndexName": "a b"},
        "'a b'",
        "indexName",
        "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
    ),
    (
        "Query",
        NAME | {"KeyConditions": {"a": {"ComparisonOperator": "IS"}}},
        "'IS'",
        "keyConditions.a.member.comparisonOperator",
        OPERATOR,
    ),
    ("Query", NAME | {"KeyConditions": {"a": {}}}, "null", "keyConditions.a.member.comparisonOperator", NULL),
    ("Scan", NAME | {"Limit": 0}, "'0'", "limit", least(1)),
    ("Scan", NAME | {"TotalSegments": 0, "Segment": 0}, "'0'", "totalSegments", least(1)),
    ("Scan", NAME | {"TotalSegments": 1000001, "Segment": 0}, "'1000001'", "totalSegments", most(1000000)),
    ("Scan", NAME | {"TotalSegments": 1, "Segment": -1}, "'-1'", "segment", least(0)),
    ("Scan", NAME | {"TotalSegments": 1, "Segment": 1000000}, "'1000000'", "segment", most(999999)),
    ("Scan", NAME | {"Select": "count"}, "'count'", "select", SELECT),
    ("ListTables", {"Limit": 0}, "'0'", "limit", least(1)),
    ("ListTables", {"Limit": 101}, "'101'", "limit", most(100)),
    ("BatchGetItem", {}, "null", "requestItems", NULL),
    ("BatchWriteItem", {}, "null", "requestItems", NULL),
    ("BatchGetItem", {"RequestItems": {"some-table": {}}}, "null", "requestItems.some-table.member.keys", NULL),
    (
        "BatchGetItem",
        {"RequestItems": {"some-table": {"Keys": []}}},
        "'[]'",
        "requestItems.some-table.member.keys",
        at_least_long(1),
    ),
    ("CreateTable", CREATE | {"KeySchema": [{"KeyType": "HASH"}]}, "null", "keySchema.1.member.attributeName", NULL),
    ("CreateTable", CREATE | {"KeySchema": [{"AttributeName": "p"}]}, "null", "keySchema.1.member.keyType", NULL),
    (
        "CreateTable",
        CREATE | {"KeySchema": [{"AttributeName": "p", "KeyType": "hash"}]},
        "'hash'",
        "keySchema.1.member.keyType",
        one_of("HASH", "RANGE"),
    ),
    (
        "CreateTable",
        CREATE
        | {
            "AttributeDefinitions": [
                {"AttributeName": "p", "AttributeType": "S"},
                {"AttributeName": "c" * 256, "AttributeType": "S"},
            ]
        },
        "'" + "c" * 256 + "'",
        "attributeDefinitions.2.member.attributeName",
        at_most_long(255),
    ),
    (
        "CreateTable",
        CREATE | {"AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "X"}]},
        "'X'",
        "attributeDefinitions.1.member.attributeType",
        one_of("S", "N", "B"),
    ),
    (
        "CreateTable",
        CREATE | {"AttributeDefinitions": [{"AttributeName": "p"}]},
        "null",
        "attributeDefinitions.1.member.attributeType",
        NULL,
    ),
    (
        "CreateTable",
        CREATE | {"BillingMode": "FREE"},
        "'FREE'",
        "billingMode",
        one_of("PROVISIONED", "PAY_PER_REQUEST"),
    ),
    (
        "CreateTable",
        CREATE | {"TableClass": "GOLD"},
        "'GOLD'",
        "tableClass",
        one_of("STANDARD", "STANDARD_INFREQUENT_ACCESS"),
    ),
    (
        "CreateTable",
        CREATE
        | {"BillingMode": "PROVISIONED", "ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 1}},
        "'0'",
        "provisionedThroughput.readCapacityUnits",
        least(1),
    ),
    (
        "CreateTable",
        CREATE | {"BillingMode": "PROVISIONED", "ProvisionedThroughput": {"ReadCapacityUnits": 1}},
        "null",
        "provisionedThroughput.writeCapacityUnits",
        NULL,
    ),
    ("CreateTable", CREATE | {"StreamSpecification": {}}, "null", "streamSpecification.streamEnabled", NULL),
    (
        "CreateTable",
        CREATE | {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "Fisk"}},
        "'Fisk'",
        "streamSpecification.streamViewType",
        one_of("NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES", "KEYS_ONLY"),
    ),
    ("CreateTable", CREATE | {"Tags": [{"Key": "a"}]}, "null", "tags.1.member.value", NULL),
    ("CreateTable", CREATE | {"Tags": [{"Key": "", "Value": ""}]}, "''", "tags.1.member.key", at_least_long(1)),
    ("UpdateTable", {}, "null", "tableName", NULL),
    ("DeleteTable", {}, "null", "tableName", NULL),
    ("DescribeTable", {}, "null", "tableName", NULL),
    ("DescribeTimeToLive", {}, "null", "tableName", NULL),
    ("TagResource", {"ResourceArn": ARN}, "null", "tags", NULL),
    ("UntagResource", {"ResourceArn": ARN}, "null", "tagKeys", NULL),
    ("ListTagsOfResource", {}, "null", "resourceArn", NULL),
    ("ListStreams", {"Limit": 0}, "'0'", "limit", least(1)),
    ("ListStreams", {"Limit": 101}, "'101'", "limit", most(100)),
    ("ListStreams", {"ExclusiveStartStreamArn": "short"}, "'short'", "exclusiveStartStreamArn", at_least_long(37)),
    ("DescribeStream", {}, "null", "streamArn", NULL),
    ("DescribeStream", {"StreamArn": "short"}, "'short'", "streamArn", at_least_long(37)),
    ("DescribeStream", {"StreamArn": ARN, "Limit": 0}, "'0'", "limit", least(1)),
    (
        "DescribeStream",
        {"StreamArn": ARN, "ExclusiveStartShardId": "short"},
        "'short'",
        "exclusiveStartShardId",
        at_least_long(28),
    ),
    ("GetShardIterator", ITERATOR | {"ShardId": None}, "null", "shardId", NULL),
    ("GetShardIterator", ITERATOR | {"ShardId": "short"}, "'short'", "shardId", at_least_long(28)),
    ("GetShardIterator", ITERATOR | {"ShardId": "s" * 66}, "'" + "s" * 66 + "'", "shardId", at_most_long(65)),
    (
        "GetShardIterator",
        ITERATOR | {"ShardIteratorType": "NOW"},
        "'NOW'",
        "shardIteratorType",
        one_of("TRIM_HORIZON", "LATEST", "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER", "AT_TIMESTAMP"),
    ),
    (
        "GetShardIterator",
        ITERATOR | {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": "1" * 20},
        "'" + "1" * 20 + "'",
        "sequenceNumber",
        at_least_long(21),
    ),
    ("GetRecords", {}, "null", "shardIterator", NULL),
    ("GetRecords", {"ShardIterator": "x", "Limit": 0}, "'0'", "limit", least(1)),
    ("GetRecords", {"ShardIterator": "x", "Limit": 1001}, "'1001'", "limit", most(1000)),
    ("GetRecords", {"ShardIterator": ""}, "''", "shardIterator", at_least_long(1)),
]


def check_violation(message, value, path, constraint):
    start = f"Value {value} at '{path}' failed to satisfy constraint: "
    assert start in message
    rest = message.split(start, 1)[1]
    if isinstance(constraint, str):
        assert rest.startswith(constraint)
        return
    listed = re.match(r"Member must satisfy enum value set: \[([A-Z_, ]*)\]", rest)
    assert listed and set(listed.group(1).split(", ")) == constraint


@pytest.mark.parametrize(
    "operation, body, value, path, constraint",
    VIOLATIONS,
    ids=[f"{case[0]}-{case[3]}-{case[2][:12]}" for case in VIOLATIONS],
)
def test_3_1_one_violation(operation, body, value, path, constraint):
    answer = wire.call(operation, body)
    assert (answer.status, answer.kind) == (400, VALIDATION)
    assert answer.message.startswith("1 validation error detected: ")
    check_violation(answer.message, value, path, constraint)


def test_3_1_all_violations_are_told():
    body = {"TableName": "some-table", "Limit": 0, "Select": "ALL", "ReturnConsumedCapacity": "no"}
    answer = wire.call("Scan", body)
    assert answer.kind == VALIDATION
    assert answer.message.startswith("3 validation errors detected: ")
    check_violation(answer.message, "'0'", "limit", least(1))
    check_violation(answer.message, "'ALL'", "select", SELECT)
    check_violation(answer.message, "'no'", "returnConsumedCapacity", CAPACITY)
    assert answer.message.count("; ") >= 2


def test_3_1_at_most_ten_violations_are_told():
    schema = [{"AttributeName": f"a{at}", "AttributeType": "X"} for at in range(15)]
    answer = wire.call("CreateTable", CREATE | {"AttributeDefinitions": schema})
    assert re.match(r"1[05] validation errors detected: ", answer.message), "the number told or that found"
    assert answer.message.count("failed to satisfy constraint") == 10


def test_3_1_places_in_lists_count_from_one():
    schema = [{"AttributeName": "p", "AttributeType": kind} for kind in ("S", "X", "S", "Y")]
    answer = wire.call("CreateTable", CREATE | {"AttributeDefinitions": schema})
    assert answer.message.startswith("2 validation errors detected: ")
    for place, value in ((2, "'X'"), (4, "'Y'")):
        check_violation(answer.message, value, f"attributeDefinitions.{place}.member.attributeType", {"S", "N", "B"})


@pytest.mark.parametrize(
    "operation, name",
    [
        (operation, name)
        for operation in ("CreateTable", "GetItem", "DescribeTable", "DeleteTable", "UpdateTable", "Query")
        for name in ("a", "ab")
    ]
    + [("CreateTable", "a" * 256)],
)
def test_3_1_the_length_of_a_table_name_has_its_own_text(operation, name):
    more = {
        "CreateTable": CREATE,
        "GetItem": {"Key": KEY},
        "UpdateTable": {"BillingMode": "PAY_PER_REQUEST"},
        "Query": {"KeyConditionExpression": "p = :p", "ExpressionAttributeValues": item_of({":p": "a"})},
    }
    answer = wire.call(operation, more.get(operation, {}) | {"TableName": name})
    assert answer.kind == VALIDATION
    assert "TableName must be at least 3 characters long and at most 255 characters long" in answer.message


# ----------------------------------------------------------------------------------------------------------------------
# JSON of the wrong kind.

WRONG_KINDS = [
    ("GetItem", {"TableName": 5, "Key": KEY}),
    ("GetItem", {"TableName": ["x"], "Key": KEY}),
    ("GetItem", {"TableName": {}, "Key": KEY}),
    ("GetItem", NAME | {"Key": "a"}),
    ("GetItem", NAME | {"Key": []}),
    ("GetItem", NAME | {"Key": {"p": "a"}}),
    ("GetItem", NAME | {"Key": KEY, "ConsistentRead": "maybe"}),
    ("GetItem", NAME | {"Key": KEY, "AttributesToGet": "a"}),
    ("GetItem", NAME | {"Key": KEY, "AttributesToGet": [1]}),
    ("GetItem", NAME | {"Key": KEY, "ExpressionAttributeNames": ["a"]}),
    ("GetItem", NAME | {"Key": KEY, "ExpressionAttributeNames": {"#a": 5}}),
    ("GetItem", NAME | {"Key": KEY, "ProjectionExpression": 5}),
    ("PutItem", NAME | {"Item": []}),
    ("PutItem", NAME | {"Item": KEY, "Expected": []}),
    ("PutItem", NAME | {"Item": KEY, "ReturnValues": 5}),
    ("UpdateItem", NAME | {"Key": KEY, "UpdateExpression": {}}),
    ("UpdateItem", NAME | {"Key": KEY, "AttributeUpdates": {"a": "b"}}),
    ("Query", NAME | {"Limit": "one"}),
    ("Query", NAME | {"ScanIndexForward": "back"}),
    ("Query", NAME | {"KeyConditions": []}),
    ("Scan", NAME | {"Segment": {}}),
    ("Scan", NAME | {"TotalSegments": "two"}),
    ("ListTables", {"Limit": "ten"}),
    ("ListTables", {"Limit": []}),
    ("CreateTable", CREATE | {"KeySchema": {}}),
    ("CreateTable", CREATE | {"KeySchema": ["p"]}),
    ("CreateTable", CREATE | {"AttributeDefinitions": "p"}),
    ("CreateTable", CREATE | {"Tags": {"a": "b"}}),
    ("BatchGetItem", {"RequestItems": []}),
    ("BatchWriteItem", {"RequestItems": {"some-table": {}}}),
    ("BatchWriteItem", {"RequestItems": "x"}),
    ("GetRecords", {"ShardIterator": 5}),
    ("DescribeStream", {"StreamArn": {}}),
]


@pytest.mark.parametrize("operation, body", WRONG_KINDS, ids=[f"{case[0]}-{at}" for at, case in enumerate(WRONG_KINDS)])
def test_3_1_wrong_json_kind(operation, body):
    answer = wire.call(operation, body)
    assert (answer.status, answer.kind) == (400, SERIALIZATION)
    assert "Message" in answer.json()


# ----------------------------------------------------------------------------------------------------------------------
# What is judged first.


def test_3_1_json_before_the_target():
    answer = wire.call("DynamoDB_20120810.Dog", b"{")
    assert answer.kind == SERIALIZATION


def test_3_1_target_before_the_signature():
    assert wire.call("DynamoDB_20120810.Dog", {}, signed=False).kind == "UnknownOperationException"


def test_3_1_json_before_the_signature():
    assert wire.call("ListTables", b"{", signed=False).kind == SERIALIZATION


def test_3_1_signature_before_types():
    assert wire.call("ListTables", {"Limit": "ten"}, signed=False).kind == "MissingAuthenticationTokenException"


def test_3_1_types_before_constraints():
    assert wire.call("Scan", {"Limit": 0, "Segment": "x"}).kind == SERIALIZATION


def test_3_1_constraints_before_the_operation():
    answer = wire.call("Query", NAME | {"Limit": 0})
    assert answer.message.startswith("1 validation error detected: ")


@pytest.mark.parametrize(
    "operation, body",
    [
        ("PutItem", {"Item": KEY, "ReturnValues": "ALL_NEW"}),
        ("PutItem", {"Item": KEY, "ConditionExpression": "dog("}),
        ("PutItem", {"Item": KEY | {"x": {"N": "dog"}}}),
        ("PutItem", {"Item": KEY | {"x": {"SS": []}}}),
        ("UpdateItem", {"Key": KEY, "UpdateExpression": "dog"}),
        ("UpdateItem", {"Key": KEY, "ExpressionAttributeNames": {"#a": "a"}}),
        ("GetItem", {"Key": KEY, "ProjectionExpression": "a, a"}),
        ("Query", {}),
        ("Scan", {"Segment": 1}),
        ("Scan", {"FilterExpression": "a = :a"}),
    ],
)
def test_3_1_the_operation_before_the_table(operation, body):
    answer = wire.call(operation, {"TableName": "conformance-unknown"} | body)
    assert answer.kind == VALIDATION


@pytest.mark.parametrize(
    "operation, body",
    [
        ("PutItem", {"Item": {}}),
        ("PutItem", {"Item": item_of({"x": 1})}),
        ("GetItem", {"Key": item_of({"x": 1})}),
        (
            "UpdateItem",
            {
                "Key": item_of({"x": 1}),
                "UpdateExpression": "SET y = :y",
                "ExpressionAttributeValues": item_of({":y": 1}),
            },
        ),
        ("DeleteItem", {"Key": {}}),
    ],
)
def test_3_1_the_table_before_the_item(operation, body):
    assert wire.call(operation, {"TableName": "conformance-unknown"} | body).kind == NOT_FOUND
