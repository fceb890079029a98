"""Clients, and how scripts deal with answers that were lost.

Nodes may die under a script. A request whose answer is lost is sent again by the SDK, and the first attempt may have been
carried out, or may be carried out later. The scripts do what a careful user does, and then hold the database to the word:

- A write says what an item becomes; repeated, it changes nothing and makes no record. Where it does depend on the item (an
  increment), it has a condition on the version it starts from.
- Every write to a key that is written several times has such a condition (`absent` or the version before), so that an
  attempt that arrives behind later writes is refused. Batches, which have no conditions, only touch keys that nothing else
  touches meanwhile.
- If the condition fails and the item it failed on is what this very write was to leave behind (each write of a key has a
  version of its own), then an earlier attempt was carried out, and the write counts as acknowledged: `own` says so. This is
  allowed only where nodes die; elsewhere no attempt is ever repeated, and a failed condition is a failed test.
- A write that all attempts of the SDK leave without an answer ends the script: at most one node is down, and nothing
  excuses the other two. So there are no writes of unknown outcome in the ledger, and the items and the stream must be
  exactly it: each acknowledged change once, in order per key, and nothing else.

What this leaves open: the attempt that created an item, arriving after that item was deleted. An attempt ends within
milliseconds of its node, and several acknowledged writes lie between those two."""

import os
import time
import uuid

import boto3
from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import ClientError

ENDPOINTS = os.environ["WATERTABLE_ENDPOINTS"].split(",")
NODES_DIE = bool(os.environ.get("WATERTABLE_NODES_DIE"))
DEADLINE_SECONDS = 60
# Waiters look every 20 s by themselves.
PATIENCE = {"Delay": 1, "MaxAttempts": DEADLINE_SECONDS}

SCHEMA = {
    "KeySchema": [
        {"AttributeName": "station", "KeyType": "HASH"},
        {"AttributeName": "minute", "KeyType": "RANGE"},
    ],
    "AttributeDefinitions": [
        {"AttributeName": "station", "AttributeType": "S"},
        {"AttributeName": "minute", "AttributeType": "N"},
    ],
    "BillingMode": "PAY_PER_REQUEST",
}


def client(service, node=0):
    return boto3.client(service, endpoint_url=ENDPOINTS[node % len(ENDPOINTS)])


def new_name(kind):
    return f"{kind}-{uuid.uuid4().hex[:12]}"


def code(error):
    return error.response["Error"]["Code"]


def message(error):
    return error.response["Error"]["Message"]


def plain(item):
    """An item of the wire as Python's values; None stays None."""
    read = TypeDeserializer().deserialize
    return None if item is None else {name: read(value) for name, value in item.items()}


def own(write, after):
    """A conditional write that leaves `after` behind, or nothing if that is None."""
    try:
        write()
    except ClientError as error:
        found = error.response.get("Item")
        is_own = (found if after is None or found is None else plain(found)) == after
        if not (NODES_DIE and code(error) == "ConditionalCheckFailedException" and is_own):
            raise


def repeated(call, *codes):
    """A call on a table, with the errors that say that an earlier attempt was carried out. What follows makes sure."""
    try:
        call()
    except ClientError as error:
        if not (NODES_DIE and code(error) in codes):
            raise


def create_table(dynamodb, table):
    repeated(lambda: dynamodb.create_table(TableName=table, **SCHEMA), "ResourceInUseException")
    dynamodb.get_waiter("table_exists").wait(TableName=table, WaiterConfig=PATIENCE)


def set_stream(dynamodb, table, enabled):
    """Turns the stream on or off, and returns its ARN when that is done."""
    wanted = {"StreamEnabled": enabled} | ({"StreamViewType": "NEW_AND_OLD_IMAGES"} if enabled else {})
    update = lambda: dynamodb.update_table(TableName=table, StreamSpecification=wanted)
    repeated(update, "ResourceInUseException", "ValidationException")
    dynamodb.get_waiter("table_exists").wait(TableName=table, WaiterConfig=PATIENCE)
    found = dynamodb.describe_table(TableName=table)["Table"]
    assert found.get("StreamSpecification") == (wanted if enabled else None), found
    return found["LatestStreamArn"]


def delete_table(dynamodb, table):
    repeated(
        lambda: dynamodb.delete_table(TableName=table), "ResourceInUseException", "ResourceNotFoundException"
    )
    dynamodb.get_waiter("table_not_exists").wait(TableName=table, WaiterConfig=PATIENCE)


def until(what, is_there):
    """The first true answer of `is_there`, asked again and again until the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (found := is_there()):
        assert time.monotonic() < deadline, f"{what}: not after {DEADLINE_SECONDS} s"
        time.sleep(0.1)
    return found
