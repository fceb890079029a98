"""Tables and streams that change under writes."""

import random
import threading
import time

import grammar
import mutations
import values
import wire
from scenarios import Finding


def iterators(worker):
    """Iterators of all types, then changed ones."""
    rng, table = worker.rng, worker.rng.choice(worker.tables[:3])
    streams = worker.must("ListStreams", {"TableName": table.name})["Streams"]
    if not streams:
        return
    arn = streams[0]["StreamArn"]
    shards = worker.must("DescribeStream", {"StreamArn": arn})["StreamDescription"]["Shards"]
    shard = rng.choice(shards)
    request = {"StreamArn": arn, "ShardId": shard["ShardId"]}
    kind = rng.choice(["TRIM_HORIZON", "LATEST", "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"])
    request["ShardIteratorType"] = kind
    if kind.endswith("NUMBER"):
        low = shard["SequenceNumberRange"]["StartingSequenceNumber"]
        request["SequenceNumber"] = rng.choice([low, low, str(int(low) + 1), "9" * 40, "0" * 21, "1" * 21])
    answer, tree = worker.ask("GetShardIterator", request)
    if answer.status != 200:
        return
    iterator = tree["ShardIterator"]
    worker.ask("GetRecords", {"ShardIterator": iterator, "Limit": rng.choice([1, 10, 1000])})
    for _ in range(5):
        worker.ask("GetRecords", {"ShardIterator": mutations.text(rng, iterator)})
    worker.ask("GetShardIterator", mutations.tree(rng, request))
    worker.ask("DescribeStream", {"StreamArn": mutations.text(rng, arn)})


def stream(worker, arn):
    """All records of a stream, shard by shard, parents first."""
    shards, start = [], {}
    while True:
        described = worker.must("DescribeStream", {"StreamArn": arn, **start})["StreamDescription"]
        shards += described["Shards"]
        if "LastEvaluatedShardId" not in described:
            break
        start = {"ExclusiveStartShardId": described["LastEvaluatedShardId"]}
    records = []
    for shard in shards:
        request = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = worker.must("GetShardIterator", request)["ShardIterator"]
        empty, last = 0, -1
        while iterator and empty < 3:
            page = worker.must("GetRecords", {"ShardIterator": iterator})
            empty = 0 if page["Records"] else empty + 1
            for record in page["Records"]:
                number = int(record["dynamodb"]["SequenceNumber"])
                if number <= last:
                    raise Finding("stream", f"sequence numbers fall: {last}, {number} in {shard['ShardId']}")
                last = number
            records += page["Records"]
            iterator = page.get("NextShardIterator")
    return records


def replayed(worker):
    """A table of its own, written at random; its stream tells what is in it, and every old image is the new one before."""
    rng = worker.rng
    table = grammar.Table(f"{worker.prefix}-r{rng.randrange(10**6)}", rng.choice(["p:S", "p:N c:B", "p:S c:N"]))
    arn = worker.must("CreateTable", table.creation())["TableDescription"]["LatestStreamArn"]
    worker.until_active(table.name)
    for _ in range(rng.randrange(20, 120)):
        make = rng.choice([grammar.put, grammar.update, grammar.delete, None])
        worker.ask(*(make(rng, table) if make else grammar.batch(rng, [table])))
    items = {}
    for record in stream(worker, arn):
        change = record["dynamodb"]
        key = worker.form(change["Keys"])
        old, new = worker.form(change.get("OldImage")), worker.form(change.get("NewImage"))
        name = "INSERT" if old is None else "REMOVE" if new is None else "MODIFY"
        if items.get(key) != old or record["eventName"] != name or old == new:
            raise Finding("stream", f"{record['eventName']} {old} -> {new} after {items.get(key)}")
        items[key] = new
    shown = {worker.form(item) for item in worker.walk("Scan", {"TableName": table.name, "ConsistentRead": True})}
    if shown != {item for item in items.values() if item is not None}:
        raise Finding("stream", f"the stream of {table.name} does not tell its items")
    worker.must("DeleteTable", {"TableName": table.name})


def churn(worker):
    """A table is made, written from another connection, altered and deleted at the same time."""
    rng = worker.rng
    table = grammar.Table(f"{worker.prefix}-c{rng.randrange(3)}", "p:S")
    stop, found = threading.Event(), []
    writer = threading.Thread(target=_write, args=(worker, table, stop, found, rng.random()))
    writer.start()
    try:
        for _ in range(rng.randrange(3, 12)):
            enabled = rng.random() < 0.6
            streams = {"StreamEnabled": enabled}
            if enabled:
                streams["StreamViewType"] = rng.choice(["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"])
            operation, request = rng.choice([
                ("CreateTable", table.creation()), ("DeleteTable", {"TableName": table.name}),
                ("UpdateTable", {"TableName": table.name, "StreamSpecification": streams}),
                ("UpdateTable", {"TableName": table.name, "StreamSpecification": streams}),
                ("UpdateTable", {"TableName": table.name, "DeletionProtectionEnabled": False}),
                ("TagResource", {"ResourceArn": f"arn:aws:dynamodb:us-east-1:000000000000:table/{table.name}",
                                 "Tags": [{"Key": "k", "Value": values.word(rng)}]}),
                ("DescribeTable", {"TableName": table.name}), ("ListStreams", {"TableName": table.name}),
                ("ListTables", {}), ("DescribeTimeToLive", {"TableName": table.name}),
            ])
            worker.ask(operation, request)
            time.sleep(rng.choice([0, 0, 0.01, 0.1]))
    finally:
        stop.set()
        writer.join()
    worker.ask("DeleteTable", {"TableName": table.name})
    if found:
        raise Finding("churn", found[0])


def _write(worker, table, stop, found, seed):
    """Writes until told to stop; an answer is either good, or that the table is not there."""
    rng, connection = random.Random(seed), wire.Connection(worker.connection.address)
    while not stop.is_set() and not found:
        operation, request = rng.choice([grammar.put, grammar.update, grammar.delete, grammar.read_many])(rng, table)
        try:
            body = values.dump(request)
            connection.send([wire.encode(wire.headers(operation, worker.host), body)])
            answer = connection.receive()
            if answer.status not in (200, 400):
                found.append(f"{operation} {body!r}: {answer.text()}")
        except (wire.Late, wire.Broken, wire.Closed) as error:
            found.append(f"{operation}: {error!r}")
    connection.close()
