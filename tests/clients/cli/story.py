"""The AWS command line (the program is the argument): the life of a table and of its stream, told by its output, its exit
codes and what it says of errors.

Nodes may die meanwhile, and then the command line repeats requests, of which earlier ones may have been carried out. So
each write says what the item becomes, and has a condition on the version before it; if the condition fails where nodes
die, the item is read, and if it is as it should become, the write was carried out by an earlier attempt. A command that
gets no answer at all fails the test, as at most one node is down: nothing is left that may or may not have happened, and
items and stream must be exactly what was written."""

import concurrent.futures
import json
import os
import subprocess
import sys
import time
import uuid

PROGRAM = sys.argv[1]
ENDPOINT = os.environ["WATERTABLE_ENDPOINTS"].split(",")[0]
NODES_DIE = bool(os.environ.get("WATERTABLE_NODES_DIE"))
POOL = concurrent.futures.ThreadPoolExecutor(4)
NAME = f"cli-{uuid.uuid4().hex[:12]}"
DEADLINE_SECONDS = 60
# The exit code for what the service refuses.
REFUSED = 254 if "aws-cli/2" in subprocess.check_output([PROGRAM, "--version"], text=True) else 255


def run(*words):
    """Exit code, output and errors of a command."""
    command = [PROGRAM, *words, "--endpoint-url", ENDPOINT, "--output", "json"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr.strip()


def aws(*words):
    """The answer of a command that has to succeed."""
    exit_code, output, errors = run(*words)
    assert exit_code == 0 and not errors, f"{words} ended with {exit_code}: {errors}"
    return json.loads(output) if output.strip() else None


def dynamodb(operation, *words):
    return aws("dynamodb", operation, "--table-name", NAME, *words)


def fails(name, operation, text, *words):
    """A command that the service refuses."""
    exit_code, output, errors = run("dynamodb", *words)
    called = "".join(part.title() for part in operation.split("-"))
    said = f"An error occurred ({name}) when calling the {called} operation: "
    assert exit_code == REFUSED, f"{words} ended with {exit_code}: {output}{errors}"
    assert said in errors and text in errors and not output.strip(), f"{errors!r} has no {said + text!r}"


def repeated(operation, names, *words):
    """A command on the table, and the errors that say that an earlier attempt was carried out. Returns whether there was
    such an error: then the caller makes sure."""
    exit_code, _, errors = run("dynamodb", operation, "--table-name", NAME, *words)
    is_done = NODES_DIE and exit_code == REFUSED and any(f"({name})" in errors for name in names)
    assert exit_code == 0 or is_done, f"{operation} ended with {exit_code}: {errors}"
    return is_done


# ---- items

def item(station, minute, version, **more):
    numbers = {"minute": minute, "version": version, **more}
    return {"station": {"S": station}} | {name: {"N": str(number)} for name, number in numbers.items()}


def key(of):
    return {name: of[name] for name in ("station", "minute")}


def get(of):
    answer = dynamodb("get-item", "--key", json.dumps(key(of)), "--consistent-read")
    return answer["Item"] if answer else None


def write(before, after, *words):
    """A write that makes `after` of `before`; either may be nothing."""
    condition = ["--condition-expression", "attribute_not_exists(version)"]
    if before:
        values = {":before": before["version"]} | ({":after": after["version"]} if "update-item" in words else {})
        condition = ["--condition-expression", "version = :before", "--expression-attribute-values", json.dumps(values)]
    operation, *rest = words
    if repeated(operation, ["ConditionalCheckFailedException"], *rest, *condition):
        assert get(after or before) == after, f"{get(after or before)} instead of {after}"


def put(before, after):
    write(before, after, "put-item", "--item", json.dumps(after))


def change(before, after):
    update = ["--key", json.dumps(key(before)), "--update-expression", "SET version = :after"]
    write(before, after, "update-item", *update)


def delete(before):
    write(before, None, "delete-item", "--key", json.dumps(key(before)))


def write_batch(items):
    left = {NAME: [{"PutRequest": {"Item": item}} for item in items]}
    deadline = time.monotonic() + DEADLINE_SECONDS
    while left:
        assert time.monotonic() < deadline, f"unprocessed to the end: {left}"
        left = aws("dynamodb", "batch-write-item", "--request-items", json.dumps(left))["UnprocessedItems"]


# ---- tables and streams

def create_table():
    repeated(
        "create-table", ["ResourceInUseException"], "--billing-mode", "PAY_PER_REQUEST",
        "--key-schema", "AttributeName=station,KeyType=HASH", "AttributeName=minute,KeyType=RANGE",
        "--attribute-definitions", "AttributeName=station,AttributeType=S", "AttributeName=minute,AttributeType=N",
    )
    aws("dynamodb", "wait", "table-exists", "--table-name", NAME)


def set_stream(specification):
    """Turns the stream on or off, and returns its ARN."""
    names = ["ResourceInUseException", "ValidationException"]
    repeated("update-table", names, "--stream-specification", specification)
    aws("dynamodb", "wait", "table-exists", "--table-name", NAME)
    table = dynamodb("describe-table")["Table"]
    is_on = table.get("StreamSpecification", {}).get("StreamEnabled", False)
    assert is_on == specification.startswith("StreamEnabled=true"), table
    return table["LatestStreamArn"]


def shards(arn):
    """All shards, page by page."""
    found, start = [], []
    while True:
        page = aws("dynamodbstreams", "describe-stream", "--stream-arn", arn, "--limit", "3", *start)["StreamDescription"]
        found += page["Shards"]
        if "LastEvaluatedShardId" not in page:
            return found
        start = ["--exclusive-start-shard-id", page["LastEvaluatedShardId"]]


def horizons(arn):
    """An iterator at the beginning of each shard."""
    def horizon(shard):
        words = ["--shard-id", shard["ShardId"], "--shard-iterator-type", "TRIM_HORIZON"]
        return aws("dynamodbstreams", "get-shard-iterator", "--stream-arn", arn, *words)["ShardIterator"]

    return list(POOL.map(horizon, shards(arn)))


def read(arn, count=None):
    """The records of all shards: so many of a stream that is on, or all to the ends of one that is off."""
    get_records = lambda iterator: iterator and aws("dynamodbstreams", "get-records", "--shard-iterator", iterator)
    iterators = horizons(arn)
    records, deadline = [[] for _ in iterators], time.monotonic() + DEADLINE_SECONDS
    while any(iterators) and (count is None or sum(map(len, records)) < count):
        assert time.monotonic() < deadline, f"the end is not there after {DEADLINE_SECONDS} s: {records}"
        pages = [page or {"Records": []} for page in POOL.map(get_records, iterators)]
        for known, page in zip(records, pages):
            known += page["Records"]
        iterators = [page.get("NextShardIterator") for page in pages]
        assert count is None or all(iterators), "a shard of a stream that is on has ended"
    return sum(records, [])


def check_records(found, expected):
    """Each key's records in their order: event name, old image, new image."""
    by_key = {}
    for record in found:
        change = record["dynamodb"]
        assert change["StreamViewType"] == "NEW_AND_OLD_IMAGES", record
        minute = int(change["Keys"]["minute"]["N"])
        said = record["eventName"], change.get("OldImage"), change.get("NewImage")
        by_key.setdefault((change["Keys"]["station"]["S"], minute), []).append(said)
    assert by_key == expected, f"{by_key}\ninstead of\n{expected}"


# ---- the story

def check_reads(reports):
    """Pages that the command line puts together, and pages by hand."""
    values = json.dumps({":s": {"S": "HAM"}, ":m": {"N": "5"}})
    query = [
        "--key-condition-expression", "station = :s AND #m > :m", "--expression-attribute-names", '{"#m": "minute"}',
        "--expression-attribute-values", values, "--consistent-read", "--no-scan-index-forward",
    ]
    assert dynamodb("query", *query, "--page-size", "4")["Items"] == reports[:5:-1]
    first = dynamodb("query", *query, "--max-items", "3")
    rest = dynamodb("query", *query, "--starting-token", first["NextToken"])
    assert first["Items"] + rest["Items"] == reports[:5:-1], (first, rest)
    wanted = {NAME: {"Keys": [key(report) for report in reports], "ConsistentRead": True}}
    answer = aws("dynamodb", "batch-get-item", "--request-items", json.dumps(wanted))
    assert sorted(answer["Responses"][NAME], key=lambda item: int(item["minute"]["N"])) == reports, answer


def check_items(expected):
    found = dynamodb("scan", "--consistent-read", "--page-size", "9")["Items"]
    by_key = lambda item: (item["station"]["S"], int(item["minute"]["N"]))
    assert sorted(found, key=by_key) == sorted(expected, key=by_key), found


def check_failures(ber):
    on, gone = ["--table-name", NAME], ["--table-name", NAME + "-gone"]
    condition = ["--condition-expression", "attribute_not_exists(version)"]
    fails(
        "ConditionalCheckFailedException", "put-item", "The conditional request failed",
        "put-item", *on, "--item", json.dumps(ber), *condition,
    )
    not_found = "Requested resource not found: Table: "
    fails("ResourceNotFoundException", "describe-table", not_found, "describe-table", *gone)
    fails(
        "ResourceInUseException", "create-table", f"Table already exists: {NAME}", "create-table", *on,
        "--key-schema", "AttributeName=station,KeyType=HASH", "--billing-mode", "PAY_PER_REQUEST",
        "--attribute-definitions", "AttributeName=station,AttributeType=S",
    )
    empty = json.dumps(ber | {"tags": {"SS": []}})
    fails("ValidationException", "put-item", "An string set  may not be empty", "put-item", *on, "--item", empty)
    wrong = json.dumps(key(ber) | {"minute": {"S": "1"}})
    text = "The provided key element does not match the schema"
    fails("ValidationException", "get-item", text, "get-item", *on, "--key", wrong)


def main():
    create_table()
    reports = [item("HAM", minute, 1, wind=minute) for minute in range(20)]
    write_batch(reports)
    check_reads(reports)
    ber = [item("BER", 1, version, wind=7) for version in range(6)]
    put(None, ber[0])
    put(ber[0], ber[1])

    arn = set_stream("StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES")
    listed = aws("dynamodbstreams", "list-streams", "--table-name", NAME)["Streams"]
    assert [stream["StreamArn"] for stream in listed] == [arn], listed
    change(ber[1], ber[2])
    change(ber[2], ber[3])
    put(ber[3], ber[3])
    delete(ber[3])
    put(None, ber[4])
    more = [item("CGN", minute, 1) for minute in range(10)]
    write_batch(more)
    delete(reports[0])
    expected = {("CGN", minute): [("INSERT", None, more[minute])] for minute in range(10)}
    expected["HAM", 0] = [("REMOVE", reports[0], None)]
    expected["BER", 1] = [
        ("MODIFY", ber[1], ber[2]), ("MODIFY", ber[2], ber[3]), ("REMOVE", ber[3], None), ("INSERT", None, ber[4]),
    ]
    check_failures(ber[4])
    assert get(ber[4]) == ber[4] and get(reports[0]) is None
    check_items([ber[4], *more, *reports[1:]])
    records = read(arn, sum(map(len, expected.values())))
    check_records(records, expected)

    assert set_stream("StreamEnabled=false") == arn
    repeated("delete-table", ["ResourceInUseException", "ResourceNotFoundException"])
    aws("dynamodb", "wait", "table-not-exists", "--table-name", NAME)
    # A stream outlives its table, and says the same.
    assert read(arn) == records


if __name__ == "__main__":
    main()
