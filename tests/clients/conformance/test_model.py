"""The operations of the published service models: each is answered, or listed here as not there yet."""

import pathlib
import re

import botocore.session
import pytest

import wire
from wire import STREAMS, TABLES

# What the endpoint does not know. This list may only shrink: an operation in it that is answered is a failure.
NOT_YET = {
    "BatchExecuteStatement",
    "CancelBulkOperation",
    "CreateBackup",
    "CreateGlobalTable",
    "DeleteBackup",
    "DeleteResourcePolicy",
    "DescribeBackup",
    "DescribeBulkOperation",
    "DescribeContributorInsights",
    "DescribeExport",
    "DescribeGlobalTable",
    "DescribeGlobalTableSettings",
    "DescribeImport",
    "DescribeKinesisStreamingDestination",
    "DescribeTableReplicaAutoScaling",
    "DisableKinesisStreamingDestination",
    "EnableKinesisStreamingDestination",
    "ExecuteStatement",
    "ExecuteTransaction",
    "ExportTableToPointInTime",
    "GetResourcePolicy",
    "ImportTable",
    "ListBackups",
    "ListBulkOperations",
    "ListContributorInsights",
    "ListExports",
    "ListGlobalTables",
    "ListImports",
    "PutResourcePolicy",
    "RestoreTableFromBackup",
    "RestoreTableToPointInTime",
    "SearchVectors",
    "StartBulkPutItems",
    "TransactGetItems",
    "TransactWriteItems",
    "UpdateContinuousBackups",
    "UpdateContributorInsights",
    "UpdateGlobalTable",
    "UpdateGlobalTableSettings",
    "UpdateKinesisStreamingDestination",
    "UpdateTableReplicaAutoScaling",
    "UpdateTimeToLive",
}


def model(service):
    return botocore.session.get_session().get_service_model(service)


OPERATIONS = [(TABLES, name) for name in model("dynamodb").operation_names]
OPERATIONS += [(STREAMS, name) for name in model("dynamodbstreams").operation_names]


@pytest.mark.parametrize("prefix, operation", OPERATIONS, ids=[name for _, name in OPERATIONS])
def test_c_operation_is_known_or_listed(prefix, operation):
    answer = wire.call(prefix + operation, {})
    unknown = answer.status == 400 and answer.kind == "UnknownOperationException"
    assert unknown == (operation in NOT_YET)
    if operation in ("DescribeEndpoints", "DescribeLimits", "ListTables", "ListStreams"):
        assert answer.status == 200
    elif not unknown:
        assert (answer.status, answer.kind) == (400, "ValidationException"), "each of them needs some member"


def test_c_the_list_names_operations_of_the_models():
    assert {name for _, name in OPERATIONS} >= NOT_YET


@pytest.mark.parametrize("service, prefix", [("dynamodb", TABLES), ("dynamodbstreams", STREAMS)])
def test_3_1_the_models_name_the_same_prefixes(service, prefix):
    assert model(service).metadata["targetPrefix"] + "." == prefix
    assert model(service).metadata["jsonVersion"] == "1.0"


# ---- errors

# Errors of the operations there are that nothing causes here yet. This list may only shrink.
NEVER_YET = {
    "ItemCollectionSizeLimitExceededException",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "ReplicatedWriteConflictException",
    "RequestLimitExceeded",
    "TransactionConflictException",
}
# What any operation may answer; the models name these nowhere.
COMMON = {
    "AccessDeniedException",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "RequestEntityTooLargeException",
    "SerializationException",
    "ServiceUnavailable",
    "UnknownOperationException",
    "UnrecognizedClientException",
    "ValidationException",
}
TABLE_OF_ERRORS = [pathlib.Path(__file__).parents[3] / "src" / "api" / name for name in ("error.rs", "auth.rs")]


def answered_errors():
    """The names in the endpoint's own table of errors."""
    text = "".join(path.read_text() for path in TABLE_OF_ERRORS)
    return set(re.findall(r'"([A-Z]\w+(?:Exception|Error|Unavailable))"', text)) - {"OutcomeUnknown"}


def modelled_errors():
    errors = set()
    for service in ("dynamodb", "dynamodbstreams"):
        for name in model(service).operation_names:
            if name not in NOT_YET:
                errors |= {shape.name for shape in model(service).operation_model(name).error_shapes}
    return errors


def test_b_every_error_is_one_of_the_models():
    assert answered_errors() - COMMON <= modelled_errors()
    assert COMMON <= answered_errors()


def test_b_every_error_of_the_models_is_answered_or_listed():
    assert modelled_errors() - answered_errors() == NEVER_YET
