"""The tables and clients the tests share. A test takes keys of its own, so tests do not see each other."""

import pytest

import dynamo
import stream_reader

VIEWS = ["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"]


@pytest.fixture(scope="session")
def db():
    return dynamo.client("dynamodb")


@pytest.fixture(scope="session")
def streams():
    return dynamo.client("dynamodbstreams")


@pytest.fixture(scope="session")
def tables(db):
    tables = dynamo.Tables(db)
    yield tables
    tables.drop()


@pytest.fixture(scope="session")
def hash_table(tables):
    """Partition key `p`, a string."""
    return tables.create("p:S")


@pytest.fixture(scope="session")
def table(tables):
    """Partition key `p` and sort key `c`, both strings."""
    return tables.create("p:S c:S")


@pytest.fixture(scope="session")
def number_table(tables):
    """Partition key `p` and sort key `c`, both numbers."""
    return tables.create("p:N c:N")


@pytest.fixture(scope="session")
def binary_table(tables):
    """Partition key `p` and sort key `c`, both bytes."""
    return tables.create("p:B c:B")


@pytest.fixture(scope="session")
def streamed(tables, streams):
    """Gives a table with a stream of a view type, and the reader of that stream."""
    made = {}

    def get(view, schema="p:S c:S"):
        if (view, schema) not in made:
            specification = {"StreamEnabled": True, "StreamViewType": view}
            table = tables.create(schema, StreamSpecification=specification)
            made[view, schema] = table, stream_reader.Reader(streams, table.stream)
        return made[view, schema]

    return get


@pytest.fixture(scope="session", params=VIEWS)
def view(request):
    return request.param


@pytest.fixture(scope="session")
def filled(tables, streams):
    """A table with a stream of 30 records of one partition key; the shard they are in; the records."""
    table = tables.create("p:S c:S", StreamSpecification=stream_reader.STREAM)
    keys = [{"p": "one", "c": f"{number:03}"} for number in range(30)]
    table.put_many(keys)
    reader = stream_reader.Reader(streams, table.stream)
    for key in keys:
        reader.until_count(key, 1)
    records = reader.records
    assert len(records) == 30
    return table, reader.shard_of[records[0]["dynamodb"]["SequenceNumber"]], records


@pytest.fixture(scope="session")
def disabled(tables, db, streams):
    """A table whose stream is disabled, with a record in it."""
    table = tables.create("p:S", StreamSpecification=stream_reader.STREAM)
    table.put({"p": "a", "x": 1})
    stream_reader.disable(db, table)
    stream_reader.until_status(streams, table.stream, "DISABLED")
    return table
