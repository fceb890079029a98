"""The members of requests as the published service models have them: each is read, and held to its constraints."""

import botocore.session
import pytest

import wire
from test_model import NOT_YET
from wire import STREAMS, TABLES

# Members that are refused as a whole, so what is in them is not looked at. This list may only shrink: a member below one
# of these that is looked at is a failure.
NOT_LOOKED_INTO = {
    "CreateTable.GlobalSecondaryIndexes",
    "CreateTable.LocalSecondaryIndexes",
    "CreateTable.GlobalTableSettingsReplicationMode",
    "CreateTable.GlobalTableSourceArn",
    "CreateTable.VectorIndexes",
    "UpdateTable.DisassociationProtectionEnabled",
    "UpdateTable.GlobalSecondaryIndexUpdates",
    "UpdateTable.GlobalTableSettingsReplicationMode",
    "UpdateTable.GlobalTableWitnessUpdates",
    "UpdateTable.MultiRegionConsistency",
    "UpdateTable.ReplicaUpdates",
    "UpdateTable.VectorIndexUpdates",
}
# Constraints that are not those of the shape: told in the operation's own words, or in DynamoDB's own form.
OTHER_WORDS = {
    # Encryption with a key of one's own is refused.
    "CreateTable.SSESpecification.SSEType",
    "UpdateTable.SSESpecification.SSEType",
}
WRONG_KIND = {"list": "x", "map": "x", "structure": "x"}  # an object is wrong for all others


def walk(shape, path, wrap, seen=()):
    """Yields (path of names, path in messages, shape, what makes a request of a value of it) for everything below."""
    if shape.type_name == "structure":
        if shape.name == "AttributeValue" or shape.name in seen:
            return
        for name, member in shape.members.items():
            at = name[0].lower() + name[1:]
            nested = lambda value, name=name: wrap({name: value})  # noqa: E731: a closure for each member
            yield path[0] + [name], path[1] + [at], member, nested
            yield from walk(member, (path[0] + [name], path[1] + [at]), nested, (*seen, shape.name))
    elif shape.type_name == "list":
        nested = lambda value: wrap([value])  # noqa: E731
        yield from walk(shape.member, (path[0], path[1] + ["1", "member"]), nested, seen)
    elif shape.type_name == "map":
        nested = lambda value: wrap({"some-key": value})  # noqa: E731
        yield from walk(shape.value, (path[0], path[1] + ["some-key", "member"]), nested, seen)


def members():
    for service, prefix in [("dynamodb", TABLES), ("dynamodbstreams", STREAMS)]:
        model = botocore.session.get_session().get_service_model(service)
        for name in model.operation_names:
            if name not in NOT_YET:
                shape = model.operation_model(name).input_shape
                for path, at, member, wrap in walk(shape, ([name], []), lambda value: value):
                    yield prefix + name, ".".join(path), ".".join(at), member, wrap


def looked_into(path):
    parts = path.split(".")
    return not any(".".join(parts[:length]) in NOT_LOOKED_INTO for length in range(2, len(parts)))


MEMBERS = list(members())


@pytest.mark.parametrize("target, path, at, shape, wrap", MEMBERS, ids=[member[1] for member in MEMBERS])
def test_c_every_member_is_read(target, path, at, shape, wrap):
    answer = wire.call(target, wrap(WRONG_KIND.get(shape.type_name, {"a": "structure"})))
    read = answer.kind == "SerializationException"
    whole = path in NOT_LOOKED_INTO and shape.type_name != "list"  # read over, whatever it is
    assert read == (looked_into(path) and not whole), answer.body


def violations(shape):
    """Values that break a constraint of a shape, and the constraint's text."""
    metadata = shape.metadata
    kind = shape.type_name
    if "enum" in metadata:
        yield "NONSENSE", "Member must satisfy enum value set: ["
        return
    if kind in ("integer", "long"):
        if "min" in metadata:
            yield metadata["min"] - 1, f"Member must have value greater than or equal to {metadata['min']}"
        if "max" in metadata:
            yield metadata["max"] + 1, f"Member must have value less than or equal to {metadata['max']}"
    elif kind == "string":
        if metadata.get("min"):
            short = f"Member must have length greater than or equal to {metadata['min']}"
            yield "a" * (metadata["min"] - 1), short
        if "max" in metadata:
            yield "a" * (metadata["max"] + 1), f"Member must have length less than or equal to {metadata['max']}"
        if "pattern" in metadata:
            yield "white space", f"Member must satisfy regular expression pattern: {metadata['pattern']}"
    elif kind in ("list", "map") and metadata.get("min"):
        empty = [] if kind == "list" else {}
        yield empty, f"Member must have length greater than or equal to {metadata['min']}"


CONSTRAINTS = [
    (target, path, at, wrap(value), text)
    for target, path, at, shape, wrap in MEMBERS
    for value, text in violations(shape)
    if looked_into(path) and path not in NOT_LOOKED_INTO and path not in OTHER_WORDS
]


@pytest.mark.parametrize("target, path, at, body, text", CONSTRAINTS, ids=[f"{case[1]}-{case[4][12:40]}" for case in CONSTRAINTS])
def test_c_every_constraint_holds(target, path, at, body, text):
    answer = wire.call(target, body)
    assert answer.kind == "ValidationException"
    assert f"' at '{at}' failed to satisfy constraint: {text}" in answer.message


def test_c_the_lists_name_members_of_the_models():
    assert {path for _, path, *_ in MEMBERS} >= NOT_LOOKED_INTO | OTHER_WORDS
