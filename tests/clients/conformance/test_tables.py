"""Tables: creating, changing, deleting, describing, listing; limits and endpoints (sections 2.1.3, 2.2)."""

import http.client
import re
import time
import urllib.parse

import pytest

from dynamo import (
    ENDPOINTS,
    IN_USE,
    NOT_FOUND,
    VALIDATION,
    client,
    refused,
    schema_of,
    table_status,
    until,
    until_active,
    until_gone,
)

ON_DEMAND = {"BillingMode": "PAY_PER_REQUEST"}
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
ABSENT = {
    "StreamSpecification",
    "LatestStreamArn",
    "LatestStreamLabel",
    "SSEDescription",
    "LocalSecondaryIndexes",
    "GlobalSecondaryIndexes",
    "Replicas",
    "RestoreSummary",
    "ArchivalSummary",
}


def described(db, name):
    return db.describe_table(TableName=name)["Table"]


def throughput(read, write):
    return {"ReadCapacityUnits": read, "WriteCapacityUnits": write}


def units_of(description):
    given = description["ProvisionedThroughput"]
    return given["ReadCapacityUnits"], given["WriteCapacityUnits"]


# ----------------------------------------------------------------------------------------------------------------------
# CreateTable.


@pytest.mark.parametrize("schema", ["p:S", "p:N", "p:B", "p:S c:S", "p:N c:B", "p:B c:N"])
def test_2_2_create(tables, db, schema):
    before = time.time()
    table = tables.create(schema)
    created, later = table.description, described(db, table.name)
    assert created["TableStatus"] == "CREATING" and later["TableStatus"] == "ACTIVE"
    for description in (created, later):
        assert description["TableName"] == table.name
        assert description["KeySchema"] == schema_of(schema)["KeySchema"]
        definitions = sorted(description["AttributeDefinitions"], key=str)
        assert definitions == sorted(schema_of(schema)["AttributeDefinitions"], key=str)
        assert re.fullmatch(rf"arn:aws:dynamodb:[-a-z0-9]+:\d{{12}}:table/{table.name}", description["TableArn"])
        assert UUID.fullmatch(description["TableId"])
        assert before - 2 <= description["CreationDateTime"].timestamp() <= time.time() + 2
        assert description["ItemCount"] == 0 and description["TableSizeBytes"] == 0
        assert not ABSENT & description.keys()
    for member in ("TableArn", "TableId", "CreationDateTime"):
        assert created[member] == later[member]


def test_2_2_on_demand(tables, db):
    table = tables.create("p:S")
    for description in (table.description, described(db, table.name)):
        assert description["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
        assert units_of(description) == (0, 0)
        assert description["ProvisionedThroughput"]["NumberOfDecreasesToday"] == 0
    assert "LastUpdateToPayPerRequestDateTime" in described(db, table.name)["BillingModeSummary"]


def test_2_2_warm_throughput_of_a_new_table(tables, db):
    warm = described(db, tables.create("p:S").name)["WarmThroughput"]
    assert (warm["ReadUnitsPerSecond"], warm["WriteUnitsPerSecond"]) == (12000, 4000)


@pytest.mark.parametrize("mode", [{}, {"BillingMode": "PROVISIONED"}], ids=str)
def test_2_2_provisioned(tables, db, mode):
    table = tables.create("p:S", ProvisionedThroughput=throughput(3, 7), **mode)
    for description in (table.description, described(db, table.name)):
        assert units_of(description) == (3, 7)
        assert description["ProvisionedThroughput"]["NumberOfDecreasesToday"] == 0
        assert "BillingModeSummary" not in description


STORED = {
    "infrequent access": (
        {"TableClass": "STANDARD_INFREQUENT_ACCESS"},
        lambda table: table["TableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS",
    ),
    "protection": ({"DeletionProtectionEnabled": True}, lambda table: table["DeletionProtectionEnabled"] is True),
    "no protection": ({"DeletionProtectionEnabled": False}, lambda table: table["DeletionProtectionEnabled"] is False),
    "on-demand limits": (
        {"OnDemandThroughput": {"MaxReadRequestUnits": 100, "MaxWriteRequestUnits": 50}},
        lambda table: table["OnDemandThroughput"] == {"MaxReadRequestUnits": 100, "MaxWriteRequestUnits": 50},
    ),
    "warm throughput": (
        {"WarmThroughput": {"ReadUnitsPerSecond": 13000, "WriteUnitsPerSecond": 5000}},
        lambda table: (
            (table["WarmThroughput"]["ReadUnitsPerSecond"], table["WarmThroughput"]["WriteUnitsPerSecond"])
            == (13000, 5000)
        ),
    ),
    "default encryption": ({"SSESpecification": {"Enabled": False}}, lambda table: "SSEDescription" not in table),
}


@pytest.mark.parametrize("case", STORED)
def test_2_2_options_are_stored(tables, db, case):
    parameters, is_there = STORED[case]
    table = tables.create("p:S", **parameters)
    try:
        assert is_there(described(db, table.name))
    finally:
        if case == "protection":
            db.update_table(TableName=table.name, DeletionProtectionEnabled=False)


def test_2_2_a_table_that_exists(hash_table, db):
    with refused(IN_USE, f"Table already exists: {hash_table.name}"):
        db.create_table(TableName=hash_table.name, **schema_of("p:S"), **ON_DEMAND)
    assert described(db, hash_table.name)["TableStatus"] == "ACTIVE"


def hash_key(name="p"):
    return {"AttributeName": name, "KeyType": "HASH"}


def range_key(name="c"):
    return {"AttributeName": name, "KeyType": "RANGE"}


def attribute(name, kind="S"):
    return {"AttributeName": name, "AttributeType": kind}


NOT_DEFINED = "Some index key attributes are not defined in AttributeDefinitions. Keys: ["
ONE = {"KeySchema": [hash_key()], "AttributeDefinitions": [attribute("p")]}
TWO = {"KeySchema": [hash_key(), range_key()], "AttributeDefinitions": [attribute("p"), attribute("c")]}
# Changes to parameters that are right; a None leaves the parameter out.
REFUSED = {
    "no definitions": (ONE | {"AttributeDefinitions": None}, ""),
    "empty definitions": (ONE | {"AttributeDefinitions": []}, ""),
    "no key schema": (ONE | {"KeySchema": None}, ""),
    "empty key schema": (ONE | {"KeySchema": []}, ""),
    "first is not a partition key": (
        ONE | {"KeySchema": [range_key("p")]},
        "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
    ),
    "two in disorder": (
        TWO | {"KeySchema": [range_key(), hash_key()]},
        "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
    ),
    "second is a partition key": (
        TWO | {"KeySchema": [hash_key(), hash_key("c")]},
        "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type",
    ),
    "one name twice": (
        ONE | {"KeySchema": [hash_key(), range_key("p")]},
        "Both the Hash Key and the Range Key element in the KeySchema have the same name",
    ),
    "three keys": (
        {
            "KeySchema": [hash_key(), range_key(), range_key("d")],
            "AttributeDefinitions": [attribute("p"), attribute("c"), attribute("d")],
        },
        "",
    ),
    "key not defined": (ONE | {"AttributeDefinitions": [attribute("q")]}, NOT_DEFINED),
    "sort key not defined": (TWO | {"AttributeDefinitions": [attribute("p")]}, ""),
    "spurious definition": (ONE | {"AttributeDefinitions": [attribute("p"), attribute("x")]}, ""),
    "definition twice": (ONE | {"AttributeDefinitions": [attribute("p"), attribute("p")]}, "Duplicate"),
    "definition twice, differing": (ONE | {"AttributeDefinitions": [attribute("p"), attribute("p", "N")]}, "Duplicate"),
    "unknown type": (ONE | {"AttributeDefinitions": [attribute("p", "BOOL")]}, "Member must satisfy enum value set: ["),
    "type in lower case": (
        ONE | {"AttributeDefinitions": [attribute("p", "s")]},
        "Member must satisfy enum value set: [",
    ),
    "unknown key type": (
        ONE | {"KeySchema": [{"AttributeName": "p", "KeyType": "DOG"}]},
        "Member must satisfy enum value set: [",
    ),
    "long attribute name": (
        {"KeySchema": [hash_key("a" * 256)], "AttributeDefinitions": [attribute("a" * 256)]},
        "Member must have length less than or equal to 255",
    ),
    "long name before what does not match": (
        {"KeySchema": [hash_key("a" * 256)], "AttributeDefinitions": [attribute("b")]},
        "Member must have length less than or equal to 255",
    ),
    "empty attribute name": (
        {"KeySchema": [hash_key("")], "AttributeDefinitions": [attribute("")]},
        "Member must have length greater than or equal to 1",
    ),
    "units on demand": (
        ONE | {"ProvisionedThroughput": throughput(1, 1)},
        "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
    ),
    "no units": (
        ONE | {"BillingMode": "PROVISIONED"},
        "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
    ),
    "neither mode nor units": (
        ONE | {"BillingMode": None},
        "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
    ),
    "no read units": (
        ONE | {"BillingMode": "PROVISIONED", "ProvisionedThroughput": throughput(0, 1)},
        "Member must have value greater than or equal to 1",
    ),
    "no write units": (
        ONE | {"BillingMode": "PROVISIONED", "ProvisionedThroughput": throughput(1, 0)},
        "Member must have value greater than or equal to 1",
    ),
    "half the units": (ONE | {"BillingMode": "PROVISIONED", "ProvisionedThroughput": {"ReadCapacityUnits": 1}}, ""),
    "mode in lower case": (ONE | {"BillingMode": "pay_per_request"}, "Member must satisfy enum value set: ["),
    "unknown mode": (ONE | {"BillingMode": "DOG"}, "Member must satisfy enum value set: ["),
    "unknown class": (ONE | {"TableClass": "GOLD"}, "Member must satisfy enum value set: ["),
}


@pytest.mark.parametrize("case", REFUSED)
def test_2_2_create_refused(tables, db, case):
    changes, text = REFUSED[case]
    name = tables.name()
    parameters = {member: value for member, value in (ON_DEMAND | changes).items() if value is not None}
    with refused(VALIDATION, text):
        db.create_table(TableName=name, **parameters)
    assert table_status(db, name) is None


LENGTH = "TableName must be at least 3 characters long and at most 255 characters long"
PATTERN = "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"


@pytest.mark.parametrize(
    "name, text",
    [
        ("ab", LENGTH),
        ("a", LENGTH),
        ("a" * 256, LENGTH),
        ("a b c", PATTERN),
        ("abc!", PATTERN),
        ("\u00e9\u00e9\u00e9", PATTERN),
        ("a/b/c", PATTERN),
        (None, "Member must not be null"),
    ],
)
def test_2_1_3_name_refused(db, name, text):
    parameters = {} if name is None else {"TableName": name}
    with refused(VALIDATION, text):
        db.create_table(**parameters, **schema_of("p:S"), **ON_DEMAND)


@pytest.mark.parametrize("start", ["abc", "A.b-c_", "000", "..."])
def test_2_1_3_name_taken(tables, db, start):
    name = start + tables.name()[len(start) :]
    tables.names.append(name)
    db.create_table(TableName=name, **schema_of("p:S"), **ON_DEMAND)
    until_active(db, name)
    assert described(db, name)["TableName"] == name


def test_2_1_3_longest_names(tables, db):
    name, attribute_name = tables.name().ljust(255, "x"), "a" * 255
    tables.names.append(name)
    db.create_table(TableName=name, **schema_of(f"{attribute_name}:S"), **ON_DEMAND)
    until_active(db, name)
    db.put_item(TableName=name, Item={attribute_name: {"S": "x"}})
    db.delete_table(TableName=name)


def test_2_2_a_name_can_be_used_again(tables, db):
    first = tables.create("p:S")
    first.put({"p": "a"})
    db.delete_table(TableName=first.name)
    until_gone(db, first.name)
    second = tables.create("p:S", TableName=first.name)
    assert second.scan()["Items"] == []
    assert second.description["TableId"] != first.description["TableId"]


# ----------------------------------------------------------------------------------------------------------------------
# DescribeTable, DeleteTable.


def test_2_2_describe_of_an_unknown_table(db):
    with refused(NOT_FOUND) as refusal:
        db.describe_table(TableName="conformance-unknown")
    assert refusal.message == "Requested resource not found: Table: conformance-unknown not found"


def test_2_1_3_describe_by_arn(hash_table, db):
    assert described(db, hash_table.arn)["TableName"] == hash_table.name


@pytest.mark.parametrize("operation", ["describe_table", "delete_table", "update_table", "describe_time_to_live"])
def test_2_1_3_malformed_name(db, operation):
    for name in ("no name", "a!c"):
        with refused():
            getattr(db, operation)(TableName=name)


def test_2_2_delete(tables, db):
    table = tables.create("p:S c:S")
    description = db.delete_table(TableName=table.name)["TableDescription"]
    assert description["TableStatus"] == "DELETING"
    assert description["TableName"] == table.name and description["TableArn"] == table.arn
    assert not {"KeySchema", "AttributeDefinitions", "CreationDateTime"} & description.keys()
    until_gone(db, table.name)
    assert table.name not in listed(db)
    with refused(NOT_FOUND):
        table.get({"p": "a", "c": "a"})


def test_2_2_delete_of_an_unknown_table(db):
    with refused(NOT_FOUND, "Requested resource not found"):
        db.delete_table(TableName="conformance-unknown")


def test_2_2_delete_twice(tables, db):
    """While it is being deleted that is no error; afterwards the table is unknown."""
    table = tables.create("p:S")
    db.delete_table(TableName=table.name)
    try:
        status = db.delete_table(TableName=table.name)["TableDescription"]["TableStatus"]
        assert status == "DELETING"
    except db.exceptions.ResourceNotFoundException:
        assert table_status(db, table.name) is None
    until_gone(db, table.name)


def test_2_2_protection(tables, db):
    table = tables.create("p:S", DeletionProtectionEnabled=True)
    with refused():
        db.delete_table(TableName=table.name)
    assert described(db, table.name)["TableStatus"] == "ACTIVE"
    db.update_table(TableName=table.name, DeletionProtectionEnabled=False)
    until_active(db, table.name)
    assert described(db, table.name)["DeletionProtectionEnabled"] is False
    db.delete_table(TableName=table.name)
    until_gone(db, table.name)


# ----------------------------------------------------------------------------------------------------------------------
# UpdateTable.


def test_2_2_update_of_nothing(hash_table, db):
    text = (
        "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or "
        "SSESpecification or ReplicaUpdates is required"
    )
    with refused(VALIDATION, text):
        db.update_table(TableName=hash_table.name)
    with refused(VALIDATION, text):
        db.update_table(TableName=hash_table.name, GlobalSecondaryIndexUpdates=[])


def test_2_2_update_of_an_unknown_table(db):
    with refused(NOT_FOUND):
        db.update_table(TableName="conformance-unknown", **ON_DEMAND)


def test_2_2_update_of_throughput(tables, db):
    table = tables.create("p:S", ProvisionedThroughput=throughput(1, 2))
    with refused():
        db.update_table(TableName=table.name, ProvisionedThroughput=throughput(1, 2))
    db.update_table(TableName=table.name, ProvisionedThroughput=throughput(5, 6))
    until(lambda: units_of(described(db, table.name)) == (5, 6), "the new throughput")
    until_active(db, table.name)
    db.update_table(TableName=table.name, ProvisionedThroughput=throughput(2, 2))
    until(lambda: units_of(described(db, table.name)) == (2, 2), "the new throughput")


def test_2_2_the_times_of_changes_of_throughput(tables, db):
    table = tables.create("p:S", ProvisionedThroughput=throughput(1, 1))
    for units, member in ((5, "LastIncreaseDateTime"), (2, "LastDecreaseDateTime")):
        db.update_table(TableName=table.name, ProvisionedThroughput=throughput(units, units))
        until_active(db, table.name)
        assert member in described(db, table.name)["ProvisionedThroughput"]


def test_2_2_update_of_the_billing_mode(tables, db):
    table = tables.create("p:S", ProvisionedThroughput=throughput(1, 2))
    table.put({"p": "a"})
    db.update_table(TableName=table.name, **ON_DEMAND)
    until_active(db, table.name)
    until(lambda: units_of(described(db, table.name)) == (0, 0), "no provisioned throughput")
    assert described(db, table.name)["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    db.update_table(TableName=table.name, BillingMode="PROVISIONED", ProvisionedThroughput=throughput(3, 4))
    until(lambda: units_of(described(db, table.name)) == (3, 4), "the provisioned throughput")
    assert described(db, table.name)["BillingModeSummary"]["BillingMode"] == "PROVISIONED"
    assert table.get({"p": "a"}) == {"p": "a"}


@pytest.mark.parametrize(
    "parameters",
    [
        {"BillingMode": "PAY_PER_REQUEST", "ProvisionedThroughput": throughput(1, 1)},
        {"BillingMode": "PROVISIONED"},
        {"BillingMode": "DOG"},
        {"ProvisionedThroughput": throughput(0, 1)},
        {"ProvisionedThroughput": {"ReadCapacityUnits": 1}},
        {"TableClass": "GOLD"},
    ],
    ids=str,
)
def test_2_2_update_refused(hash_table, db, parameters):
    with refused():
        db.update_table(TableName=hash_table.name, **parameters)


def test_2_2_update_of_the_class(tables, db):
    table = tables.create("p:S")
    db.update_table(TableName=table.name, TableClass="STANDARD_INFREQUENT_ACCESS")
    until(
        lambda: (
            described(db, table.name).get("TableClassSummary", {}).get("TableClass") == "STANDARD_INFREQUENT_ACCESS"
        ),
        "the class",
    )


# ----------------------------------------------------------------------------------------------------------------------
# ListTables.


def listed(db, **more):
    names = []
    while True:
        page = db.list_tables(**more)
        names += page["TableNames"]
        if "LastEvaluatedTableName" not in page:
            return names
        assert page["LastEvaluatedTableName"] == page["TableNames"][-1]
        more["ExclusiveStartTableName"] = page["LastEvaluatedTableName"]


@pytest.mark.parametrize("limit", [0, -1, 101])
def test_2_2_list_limit(db, limit):
    with refused():
        db.list_tables(Limit=limit)


def test_2_2_list_is_in_order_page_by_page(hash_table, table, number_table, db):
    whole = listed(db)
    assert whole == sorted(whole)
    assert {hash_table.name, table.name, number_table.name} <= set(whole)
    for limit in (1, 2, 100):
        assert listed(db, Limit=limit) == whole


def test_2_2_list_after_a_name_that_does_not_exist(hash_table, db):
    name = hash_table.name
    names = db.list_tables(ExclusiveStartTableName=name[:-1])["TableNames"]
    assert all(other > name[:-1] for other in names)
    assert name in names or len(names) == 100
    after = db.list_tables(ExclusiveStartTableName="z" * 255)
    assert after["TableNames"] == [] and "LastEvaluatedTableName" not in after


def test_2_2_list_shows_nothing_internal(streamed, db):
    """A stream adds no table."""
    before = set(listed(db))
    table, _ = streamed("KEYS_ONLY", "p:N")
    assert set(listed(db)) - before <= {table.name}


def test_d27_paginator_and_waiters(tables, db):
    table = tables.create("p:S")
    db.get_waiter("table_exists").wait(TableName=table.name, WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    pages = db.get_paginator("list_tables").paginate(PaginationConfig={"PageSize": 1})
    assert table.name in [name for page in pages for name in page["TableNames"]]
    db.delete_table(TableName=table.name)
    until_gone(db, table.name)
    db.get_waiter("table_not_exists").wait(TableName=table.name, WaiterConfig={"Delay": 1, "MaxAttempts": 20})


@pytest.mark.skipif(len(ENDPOINTS) < 2, reason="there is one endpoint")
def test_2_2_a_table_is_known_on_every_node(tables):
    table = tables.create("p:S")
    for endpoint in ENDPOINTS:
        other = client(endpoint=endpoint)
        until_active(other, table.name)
        assert described(other, table.name)["TableId"] == table.description["TableId"]
        assert table.name in listed(other)


# ----------------------------------------------------------------------------------------------------------------------
# What else is described.


def test_2_2_describe_limits(db):
    answer = db.describe_limits()
    assert answer["AccountMaxReadCapacityUnits"] == 80000 and answer["AccountMaxWriteCapacityUnits"] == 80000
    assert answer["TableMaxReadCapacityUnits"] == 40000 and answer["TableMaxWriteCapacityUnits"] == 40000


def test_2_2_describe_endpoints_gives_one_that_serves(db):
    endpoints = db.describe_endpoints()["Endpoints"]
    assert len(endpoints) == 1
    assert endpoints[0]["CachePeriodInMinutes"] == 1440
    address = endpoints[0]["Address"]
    assert "://" not in address
    scheme = urllib.parse.urlsplit(ENDPOINTS[0]).scheme
    kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    connection = kind(address, timeout=10)
    connection.request("GET", "/")
    assert connection.getresponse().status == 200
    connection.close()


def test_2_2_time_to_live_is_off(hash_table, db):
    description = db.describe_time_to_live(TableName=hash_table.name)["TimeToLiveDescription"]
    assert description == {"TimeToLiveStatus": "DISABLED"}


def test_2_2_time_to_live_of_an_unknown_table(db):
    with refused(NOT_FOUND):
        db.describe_time_to_live(TableName="conformance-unknown")
