"""How these tests speak with the endpoint: clients, values, tables, waiting, refusals."""

import base64
import concurrent.futures
import itertools
import os
import re
import time
import uuid
from contextlib import contextmanager

import boto3
import pytest
from boto3.dynamodb.types import Binary, TypeDeserializer, TypeSerializer
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINTS = [
    endpoint.strip().rstrip("/")
    for endpoint in os.environ.get("WATERTABLE_ENDPOINTS", "http://127.0.0.1:8000").split(",")
    if endpoint.strip()
]
REGION = os.environ.get("AWS_DEFAULT_REGION", "us-east-1")
# `key:secret` of an access key the endpoint knows. Without it the endpoint is taken to accept any signature.
CREDENTIALS = os.environ.get("WATERTABLE_CREDENTIALS", "")
ACCESS_KEY, SECRET_KEY = CREDENTIALS.split(":", 1) if CREDENTIALS else ("conformance", "conformance")

VALIDATION = "ValidationException"
NOT_FOUND = "ResourceNotFoundException"
IN_USE = "ResourceInUseException"
SERIALIZATION = "SerializationException"
CONDITION_FAILED = "ConditionalCheckFailedException"
DEADLINE_SECONDS = 20


def client(service="dynamodb", endpoint=None):
    """A client that sends what it is given: botocore's own checks are off, and nothing is tried twice."""
    return boto3.client(
        service,
        endpoint_url=endpoint or ENDPOINTS[0],
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(
            parameter_validation=False,
            retries={"total_max_attempts": 1, "mode": "standard"},
            max_pool_connections=32,
            read_timeout=30,
        ),
    )


def unique():
    return uuid.uuid4().hex


# ----------------------------------------------------------------------------------------------------------------------
# Values: Python's on one side, DynamoDB's JSON on the other.


class Raw(dict):
    """An attribute value as it stands on the wire, for what Python's values cannot say."""


def av(value):
    """A Python value as an attribute value; containers may hold `Raw` values."""
    if isinstance(value, Raw):
        return dict(value)
    if isinstance(value, dict):
        return {"M": {name: av(inner) for name, inner in value.items()}}
    if isinstance(value, list):
        return {"L": [av(inner) for inner in value]}
    return TypeSerializer().serialize(value)


def item_of(values):
    return {name: av(value) for name, value in values.items()}


def plain_value(value):
    value = TypeDeserializer().deserialize(value)
    return plain_python(value)


def plain_python(value):
    if isinstance(value, Binary):
        return value.value
    if isinstance(value, dict):
        return {name: plain_python(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [plain_python(inner) for inner in value]
    if isinstance(value, set):
        return {plain_python(inner) for inner in value}
    return value


def plain(item):
    """An item as Python values; numbers are decimals and compare with integers."""
    return None if item is None else {name: plain_value(value) for name, value in item.items()}


def on_wire(value):
    """The JSON form of an attribute value: its bytes in base64."""
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: on_wire(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [on_wire(inner) for inner in value]
    return value


def referred(text, choices, sign):
    """Those of the choices a text refers to: what is not used must not be sent."""
    found = re.findall(sign + r"[A-Za-z0-9_]+", text)
    return {name: choices[name] for name in found if name in choices}


# ----------------------------------------------------------------------------------------------------------------------
# Waiting and being refused.


def until(probe, what, seconds=DEADLINE_SECONDS):
    """Asks until the answer is true, and gives it."""
    deadline = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not come to pass within {seconds} s")
        time.sleep(0.02)  # until the probe says yes


class Refusal:
    """What a refused request was answered with."""

    code = message = status = response = None

    def read(self, error):
        self.response = error.response
        self.code = error.response["Error"]["Code"]
        self.message = error.response["Error"].get("Message", "")
        self.status = error.response["ResponseMetadata"]["HTTPStatusCode"]


@contextmanager
def refused(code=VALIDATION, *fragments):
    """The request inside must be refused with this code, HTTP status 400 and a message with these fragments."""
    refusal = Refusal()
    try:
        yield refusal
    except ClientError as error:
        refusal.read(error)
    assert refusal.code, f"it was accepted, not refused with {code}"
    assert (refusal.code, refusal.status) == (code, 400), f"{refusal.code}: {refusal.message}"
    for fragment in fragments:
        assert fragment in refusal.message


# ----------------------------------------------------------------------------------------------------------------------
# Tables.


def schema_of(text):
    """`p:S c:N` as the parameters of CreateTable that say so."""
    parts = [part.split(":") for part in text.split()]
    return {
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": kind} for name, kind in parts],
        "KeySchema": [
            {"AttributeName": name, "KeyType": role} for (name, _), role in zip(parts, ("HASH", "RANGE"), strict=False)
        ],
    }


class Table:
    """A table with the few calls most tests need, in Python values."""

    numbers = itertools.count(1)

    def __init__(self, db, name, schema, description):
        self.db, self.name, self.description = db, name, description
        self.kinds = [part.split(":") for part in schema.split()]
        self.arn = description["TableArn"]
        self.stream = description.get("LatestStreamArn")

    def key(self, **fixed):
        """A key no other test uses."""
        make = {
            "S": unique,
            "N": lambda: uuid.uuid4().int % 10**15,
            "B": lambda: uuid.uuid4().bytes,
        }
        return {name: fixed.get(name, make[kind]()) for name, kind in self.kinds}

    def put(self, item, **more):
        return self.db.put_item(TableName=self.name, Item=item_of(item), **more)

    def get_raw(self, key, **more):
        return self.db.get_item(TableName=self.name, Key=item_of(key), ConsistentRead=True, **more)

    def get(self, key, **more):
        return plain(self.get_raw(key, **more).get("Item"))

    def delete(self, key, **more):
        return self.db.delete_item(TableName=self.name, Key=item_of(key), **more)

    def update(self, key, expression=None, values=None, names=None, **more):
        if expression is not None:
            more["UpdateExpression"] = expression
        if values is not None:
            more["ExpressionAttributeValues"] = item_of(values)
        if names is not None:
            more["ExpressionAttributeNames"] = names
        return self.db.update_item(TableName=self.name, Key=item_of(key), **more)

    def query(self, **more):
        more.setdefault("ConsistentRead", True)
        return self.db.query(TableName=self.name, **more)

    def scan(self, **more):
        more.setdefault("ConsistentRead", True)
        return self.db.scan(TableName=self.name, **more)

    def put_many(self, items):
        """Writes items 25 at a time."""
        for at in range(0, len(items), 25):
            requests = [{"PutRequest": {"Item": item_of(item)}} for item in items[at : at + 25]]
            answer = self.db.batch_write_item(RequestItems={self.name: requests})
            assert answer["UnprocessedItems"] == {}


def table_status(db, name):
    """The status of a table, or nothing if there is no such table."""
    try:
        return db.describe_table(TableName=name)["Table"]["TableStatus"]
    except ClientError as error:
        if error.response["Error"]["Code"] != NOT_FOUND:
            raise
        return None


def until_active(db, name):
    until(lambda: table_status(db, name) == "ACTIVE", f"{name} being active")


def until_gone(db, name):
    until(lambda: table_status(db, name) is None, f"{name} being deleted")


class Tables:
    """Creates tables, and deletes all of them at the end."""

    def __init__(self, db):
        self.db, self.names = db, []

    def name(self):
        """A name for a table a test creates itself; it is deleted at the end if it exists."""
        name = f"conformance-{unique()}"
        self.names.append(name)
        return name

    def create(self, schema="p:S", **parameters):
        name = parameters.pop("TableName", None) or self.name()
        if "ProvisionedThroughput" not in parameters:
            parameters.setdefault("BillingMode", "PAY_PER_REQUEST")
        answer = self.db.create_table(TableName=name, **schema_of(schema), **parameters)
        until_active(self.db, name)
        return Table(self.db, name, schema, answer["TableDescription"])

    def drop(self):
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            list(threads.map(self.drop_one, self.names))

    def drop_one(self, name):
        try:
            self.db.delete_table(TableName=name)
        except ClientError as error:
            # Some are gone already, some were never made; one that still stands does not disturb another run.
            assert error.response["Error"]["Code"] in (NOT_FOUND, IN_USE, VALIDATION)
