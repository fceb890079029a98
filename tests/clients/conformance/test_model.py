"""The operations of the published service models: each is answered, or listed here as not there yet."""

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
