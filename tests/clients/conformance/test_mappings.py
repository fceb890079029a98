"""Event source mappings: the control API of AWS Lambda for the streams of tables (sections 4.1, 4.5)."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import dynamo
from dynamo import until
from stream_reader import STREAM

INVALID = "InvalidParameterValueException"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@pytest.fixture(scope="session")
def functions():
    return dynamo.client("lambda")


@pytest.fixture(scope="session")
def fed(tables):
    """A table whose stream is on."""
    return tables.create("p:S", StreamSpecification=STREAM)


class Function:
    """A function at an address: it keeps the records it is called with."""

    def __init__(self):
        self.records = []
        function = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                event = json.loads(self.rfile.read(int(self.headers["content-length"])))
                function.records += event["Records"]
                self.send_response(200)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/function"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def function():
    function = Function()
    yield function
    function.server.shutdown()


@pytest.fixture
def create(functions, fed):
    """Creates mappings, and deletes them at the end."""
    made = []

    def create(**more):
        parameters = {
            "FunctionName": f"http://127.0.0.1:9/{dynamo.unique()}",
            "EventSourceArn": fed.stream,
            "StartingPosition": "LATEST",
            "Enabled": False,
        }
        mapping = functions.create_event_source_mapping(**parameters | more)
        made.append(mapping["UUID"])
        return mapping

    yield create
    for uuid in made:
        try:
            functions.delete_event_source_mapping(UUID=uuid)
        except functions.exceptions.ResourceNotFoundException:
            pass  # the test has deleted it


def refused(call, code, *fragments, status=400):
    refusal = dynamo.Refusal()
    try:
        call()
    except dynamo.ClientError as error:
        refusal.read(error)
    assert refusal.code, f"it was accepted, not refused with {code}"
    assert (refusal.code, refusal.status) == (code, status), f"{refusal.code}: {refusal.message}"
    for fragment in fragments:
        assert fragment in refusal.message
    return refusal


def test_4_1_a_mapping_is_told_with_its_defaults(create, fed):
    name = f"http://127.0.0.1:9/{dynamo.unique()}"
    mapping = create(FunctionName=name, Enabled=True)
    assert UUID.fullmatch(mapping.pop("UUID"))
    assert ":event-source-mapping:" in mapping.pop("EventSourceMappingArn")
    assert mapping.pop("LastModified")
    assert mapping.pop("ResponseMetadata")["HTTPStatusCode"] == 202
    assert mapping == {
        "EventSourceArn": fed.stream,
        "FunctionArn": name,
        "State": "Creating",
        "StateTransitionReason": "User action",
        "LastProcessingResult": "No records processed",
        "BatchSize": 100,
        "MaximumBatchingWindowInSeconds": 0,
        "ParallelizationFactor": 1,
        "MaximumRecordAgeInSeconds": -1,
        "MaximumRetryAttempts": -1,
        "BisectBatchOnFunctionError": False,
        "TumblingWindowInSeconds": 0,
        "FunctionResponseTypes": [],
        "DestinationConfig": {"OnFailure": {}},
        "StartingPosition": "LATEST",
    }


def test_4_1_a_mapping_is_read_again(create, functions):
    asked = {
        "BatchSize": 7,
        "MaximumBatchingWindowInSeconds": 3,
        "ParallelizationFactor": 2,
        "MaximumRecordAgeInSeconds": 3600,
        "MaximumRetryAttempts": 5,
        "BisectBatchOnFunctionError": True,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "FilterCriteria": {"Filters": [{"Pattern": '{"eventName":["INSERT"]}'}]},
        "StartingPosition": "TRIM_HORIZON",
    }
    uuid = create(**asked)["UUID"]
    found = functions.get_event_source_mapping(UUID=uuid)
    assert {name: found[name] for name in asked} == asked
    assert found["State"] == "Disabled"


@pytest.mark.parametrize(
    "wrong, code, fragment",
    [
        ({"BatchSize": 0}, "ValidationException", "'batchSize'"),
        ({"BatchSize": 10001}, "ValidationException", "less than or equal to 10000"),
        ({"ParallelizationFactor": 11}, "ValidationException", "'parallelizationFactor'"),
        ({"MaximumRecordAgeInSeconds": 59}, INVALID, "60"),
        ({"MaximumRetryAttempts": -2}, "ValidationException", "'maximumRetryAttempts'"),
        ({"StartingPosition": "AT_TIMESTAMP"}, INVALID, "Unsupported starting position for arn type"),
        ({"FilterCriteria": {"Filters": [{"Pattern": '{"eventName":"INSERT"}'}]}}, INVALID, "Invalid filter pattern definition."),
        ({"DestinationConfig": {"OnSuccess": {"Destination": "http://a"}}}, INVALID, "Unsupported DestinationConfig"),
        ({"Topics": ["a"]}, INVALID, "Topics"),
        ({"EventSourceArn": "arn:aws:sqs:us-east-1:000000000000:queue"}, INVALID, "event source"),
        ({"FunctionName": "no such function"}, INVALID, "function name"),
    ],
)
def test_4_1_what_is_wrong_is_refused(create, wrong, code, fragment):
    refused(lambda: create(**wrong), code, fragment)


def test_4_1_a_stream_feeds_a_function_once(create, fed):
    name = f"http://127.0.0.1:9/{dynamo.unique()}"
    uuid = create(FunctionName=name)["UUID"]
    refusal = refused(lambda: create(FunctionName=name), "ResourceConflictException", status=409)
    assert refusal.message == (
        f'The event source arn (" {fed.stream} ") and function (" {name} ") provided mapping already exists. '
        f"Please update or delete the existing mapping with UUID {uuid}"
    )


def test_4_1_mappings_are_listed_page_by_page(create, functions, fed):
    made = {create()["UUID"] for _ in range(5)}
    pages = functions.get_paginator("list_event_source_mappings").paginate(
        EventSourceArn=fed.stream, PaginationConfig={"PageSize": 2}
    )
    pages = [page["EventSourceMappings"] for page in pages]
    assert all(len(page) <= 2 for page in pages)
    assert made <= {mapping["UUID"] for page in pages for mapping in page}
    name = f"http://127.0.0.1:9/{dynamo.unique()}"
    uuid = create(FunctionName=name)["UUID"]
    found = functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    assert [mapping["UUID"] for mapping in found] == [uuid]


def test_4_1_a_mapping_is_changed_and_deleted(create, functions):
    uuid = create()["UUID"]
    assert functions.update_event_source_mapping(UUID=uuid, Enabled=True, BatchSize=9)["State"] == "Enabling"
    found = functions.get_event_source_mapping(UUID=uuid)
    assert (found["State"], found["BatchSize"]) == ("Enabled", 9)
    filters = {"Filters": [{"Pattern": '{"eventName":["REMOVE"]}'}]}
    functions.update_event_source_mapping(UUID=uuid, FilterCriteria=filters)
    assert functions.get_event_source_mapping(UUID=uuid)["FilterCriteria"] == filters
    functions.update_event_source_mapping(UUID=uuid, FilterCriteria={})
    assert "FilterCriteria" not in functions.get_event_source_mapping(UUID=uuid)
    assert functions.update_event_source_mapping(UUID=uuid, Enabled=False)["State"] == "Disabling"
    assert functions.delete_event_source_mapping(UUID=uuid)["State"] == "Deleting"
    for call in (functions.get_event_source_mapping, functions.delete_event_source_mapping):
        refused(lambda: call(UUID=uuid), "ResourceNotFoundException", status=404)


def test_4_3_a_function_gets_what_the_stream_shows(create, fed, function):
    create(FunctionName=function.url, Enabled=True)
    item = {"p": dynamo.unique(), "n": 1}
    fed.put(item)
    fed.delete({"p": item["p"]})

    def told():
        return [record for record in function.records if record["dynamodb"]["Keys"]["p"]["S"] == item["p"]]

    until(lambda: len(told()) == 2, "both changes being told of")
    first, second = told()
    assert [first["eventName"], second["eventName"]] == ["INSERT", "REMOVE"]
    assert first["eventSourceARN"] == fed.stream
    assert first["dynamodb"]["NewImage"] == dynamo.item_of(item)
    assert second["dynamodb"]["OldImage"] == dynamo.item_of(item)
    assert isinstance(first["dynamodb"]["ApproximateCreationDateTime"], int)


def test_4_5_filters_let_through_what_they_name(create, fed, function):
    mark = dynamo.unique()
    pattern = {"dynamodb": {"NewImage": {"mark": {"S": [mark]}, "n": {"N": ["1", "3"]}}}}
    filters = {"Filters": [{"Pattern": json.dumps(pattern)}]}
    create(FunctionName=function.url, Enabled=True, FilterCriteria=filters)
    key = dynamo.unique()
    for number in range(5):
        fed.put({"p": key, "mark": mark, "n": number})

    def told():
        return [record["dynamodb"]["NewImage"]["n"]["N"] for record in function.records]

    until(lambda: told() == ["1", "3"], "what passes being told of")
