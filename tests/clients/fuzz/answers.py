"""What must be true of any answer."""

import json
import re
import zlib

import grammar
import values
import wire

TYPE = re.compile(r"[a-z0-9.]+#[A-Za-z]+\Z")
# What other paths and methods answer with.
PLAIN, METRICS = "text/plain; charset=utf-8", "text/plain; version=0.0.4"
# The errors an answer may name.
ERRORS = {
    "ValidationException", "SerializationException", "ResourceNotFoundException", "ResourceInUseException",
    "ConditionalCheckFailedException", "UnknownOperationException", "TableNotFoundException", "LimitExceededException",
    "TrimmedDataAccessException", "ExpiredIteratorException", "ThrottlingException", "RequestEntityTooLargeException",
    "MissingAuthenticationTokenException", "IncompleteSignatureException", "InvalidSignatureException",
    "UnrecognizedClientException", "InternalServerError", "TagResourceLimitExceeded",
}


def error_name(answer):
    """The type of an error, without its namespace, or None."""
    try:
        return json.loads(answer.plain_body())["__type"].split("#")[-1]
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error):
        return None


def problems(answer, operation=None, may_be_500=False, is_lax=False):
    """What is wrong with an answer, as a list of texts. `is_lax`: the request may be one that HTTP itself refuses."""
    found = []
    allowed = {200, 400, 404, 413} | ({500} if may_be_500 else set())
    if is_lax:
        allowed |= {405, 408, 411, 414, 417, 431, 501, 505}
    if answer.status not in allowed:
        found.append(f"status {answer.status}")
    if answer.header("content-type") != "application/x-amz-json-1.0":
        is_plain = answer.status == 404 or (is_lax and (answer.status != 200 or not answer.body))
        is_health = is_lax and answer.status == 200 and answer.header("content-type") in (None, PLAIN, METRICS)
        if not is_plain and not is_health:
            found.append(f"content type {answer.header('content-type')}")
        return found
    if not answer.header("x-amzn-requestid"):
        found.append("no request id")
    if answer.header("x-amz-crc32") != str(zlib.crc32(answer.body)):
        found.append(f"crc32 {answer.header('x-amz-crc32')} for {zlib.crc32(answer.body)}")
    return found + _body_problems(answer, operation)


def _body_problems(answer, operation):
    try:
        body = answer.plain_body()
    except zlib.error as error:
        return [f"the body does not unpack: {error}"]
    if not body and answer.status == 200 and operation in ("TagResource", "UntagResource", None):
        return []
    try:
        tree = json.loads(body.decode("utf-8"))
    except ValueError as error:
        return [f"the body is not JSON: {error}"]
    if not isinstance(tree, dict):
        return ["the body is no object"]
    if answer.status == 200:
        return _shape_problems(tree, operation)
    kind = tree.get("__type")
    if not isinstance(kind, str) or not TYPE.match(kind) or kind.split("#")[1] not in ERRORS:
        return [f"__type {kind!r}"]
    message = tree.get("message", tree.get("Message", ""))
    if not isinstance(message, str):
        return ["a message that is no text"]
    return []


def _shape_problems(tree, operation):
    model = grammar.MODELS.get(wire.target(operation).split("_")[0]) if operation else None
    shape = model.operation_model(operation).output_shape if model else None
    try:
        if shape:
            _check(tree, shape, shape.name)
    except values.Invalid as error:
        return [f"the body is not of its shape: {error}"]
    return []


def _check(tree, shape, path):
    """Compares an answer with the shape the model gives it; every item in it must be as the service stores items."""
    kind = shape.type_name
    if shape.name == "AttributeValue":
        values.stored_item({"v": tree})
    elif kind == "structure":
        if not isinstance(tree, dict) or set(tree) - set(shape.members) or set(shape.required_members) - set(tree):
            raise values.Invalid(f"{path}: members")
        for member, inner in tree.items():
            _check(inner, shape.members[member], f"{path}.{member}")
    elif kind == "list":
        for inner in _of_kind(tree, list, path):
            _check(inner, shape.member, f"{path}[]")
    elif kind == "map":
        for inner in _of_kind(tree, dict, path).values():
            _check(inner, shape.value, f"{path}{{}}")
    elif kind == "boolean":
        _of_kind(tree, bool, path)
    elif kind in ("integer", "long"):
        _of_kind(tree, int, path)
    elif kind in ("timestamp", "double", "float"):
        _of_kind(tree, (int, float), path)
    else:
        _of_kind(tree, str, path)
        if shape.enum and tree not in shape.enum:
            raise values.Invalid(f"{path}: {tree!r} is not in its enum")


def _of_kind(tree, kind, path):
    if not isinstance(tree, kind) or (kind is not bool and isinstance(tree, bool)):
        raise values.Invalid(f"{path}: {type(tree).__name__}")
    return tree
