"""Reads streams as the Kinesis Client Library with its DynamoDB adapter does: one lease for each shard, kept in a table;
parents before their children; checkpoints; workers that die and others that go on."""

import boto3
from botocore.awsrequest import AWSResponse

import session
from ledger import Ledger, check_records, count
from session import code, own, plain

DYNAMODB = session.client("dynamodb")
STREAMS = session.client("dynamodbstreams", node=2)
NAME = session.new_name("kcl")
LEASES = boto3.resource("dynamodb", endpoint_url=session.ENDPOINTS[-1]).Table(f"{NAME}-leases")
TABLE = boto3.resource("dynamodb", endpoint_url=session.ENDPOINTS[0]).Table(NAME)

HORIZON, SHARD_END = "TRIM_HORIZON", "SHARD_END"
CHECKPOINT_EVERY = 10
EXPIRED_EVERY = 7


class Killed(Exception):
    """The worker is gone in the middle of its work."""


# ---- the tree of shards

def all_streams():
    """The ARNs of the table's streams, one to a page."""
    found, start = [], {}
    while True:
        page = STREAMS.list_streams(TableName=NAME, Limit=1, **start)
        found += [stream["StreamArn"] for stream in page["Streams"]]
        if "LastEvaluatedStreamArn" not in page:
            return found
        start = {"ExclusiveStartStreamArn": page["LastEvaluatedStreamArn"]}


def all_shards(arn):
    """The status of the stream and its shards by id, one to a page. As the library does, it goes on after the last shard
    of the page, whatever the page says that is."""
    found, start = [], {}
    while True:
        page = STREAMS.describe_stream(StreamArn=arn, Limit=1, **start)["StreamDescription"]
        found += page["Shards"]
        if "LastEvaluatedShardId" not in page:
            break
        assert page["LastEvaluatedShardId"] == page["Shards"][-1]["ShardId"], page
        start = {"ExclusiveStartShardId": page["Shards"][-1]["ShardId"]}
    ids = [shard["ShardId"] for shard in found]
    assert ids == sorted(set(ids)), f"not sorted: {ids}"
    return page["StreamStatus"], {shard["ShardId"]: shard for shard in found}


def check_tree(status, shards):
    """What the library takes for granted."""
    parents = {shard.get("ParentShardId") for shard in shards.values()}
    for name, shard in shards.items():
        parent = shards.get(shard.get("ParentShardId"))
        bounds = shard["SequenceNumberRange"]
        is_open = "EndingSequenceNumber" not in bounds
        assert not (is_open and name in parents), f"{name} is open and has children"
        assert is_open or name in parents or status in ("DISABLING", "DISABLED"), f"{name} is closed without children"
        assert status != "DISABLED" or not is_open, f"{name} is open in a disabled stream"
        if parent:
            assert name > shard["ParentShardId"], f"{name} sorts before its parent"
            end = int(parent["SequenceNumberRange"]["EndingSequenceNumber"])
            assert end < int(bounds["StartingSequenceNumber"]), f"{name} begins before its parent ends"


def runnable(parents, checkpoints):
    """The shards that may be read now, of `parents` by shard: not those that are done, and none whose parent is there and
    is not done. A parent that is not there any more is done: all its records are gone."""
    done = lambda shard: shard not in parents or checkpoints.get(shard) == SHARD_END
    return [shard for shard in sorted(parents) if not done(shard) and done(parents[shard])]


def check_runnable():
    """A root that was trimmed, its child that split in two, and a root without children."""
    parents = {"b": "a", "c": "b", "d": "b", "e": None}
    for checkpoints, expected in [
        ({}, ["b", "e"]),
        ({"b": "17"}, ["b", "e"]),
        ({"b": SHARD_END}, ["c", "d", "e"]),
        ({"b": SHARD_END, "d": SHARD_END, "e": SHARD_END}, ["c"]),
    ]:
        assert runnable(parents, checkpoints) == expected, (checkpoints, expected)


# ---- leases

def create_leases():
    schema = {
        "KeySchema": [{"AttributeName": "lease", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "lease", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    session.repeated(lambda: DYNAMODB.create_table(TableName=LEASES.name, **schema), "ResourceInUseException")
    DYNAMODB.get_waiter("table_exists").wait(TableName=LEASES.name, WaiterConfig=session.PATIENCE)


def write_lease(old, new):
    """Writes a lease that nobody has changed since `old`: each write counts it up."""
    put = {"Item": new, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    if old is None:
        put |= {"ConditionExpression": "attribute_not_exists(lease)"}
    else:
        put |= {
            "ConditionExpression": "#c = :counter AND #o = :owner",
            "ExpressionAttributeNames": {"#c": "counter", "#o": "owner"},
            "ExpressionAttributeValues": {":counter": old["counter"], ":owner": old["owner"]},
        }
    own(lambda: LEASES.put_item(**put), new)


def new_lease(arn, shard):
    parent = shard.get("ParentShardId")
    return {"lease": shard["ShardId"], "stream": arn, "parent": parent, "checkpoint": HORIZON, "owner": "nobody", "counter": 0}


# ---- workers

class Processor:
    """The user's code. It lives longer than workers, as what it wrote somewhere would."""

    def __init__(self):
        self.records, self.safe, self.repeats = {}, {}, {}

    def take(self, shard, record):
        self.records.setdefault(shard, []).append(record)

    def checkpointed(self, shard):
        self.safe[shard] = len(self.records.get(shard, []))

    def worker_died(self):
        """What came after the last checkpoints has to come again. Returns how much that is."""
        for shard, records in self.records.items():
            safe = self.safe.get(shard, 0)
            self.repeats[shard] = (safe, records[safe:])
            del records[safe:]
        return sum(len(lost) for _, lost in self.repeats.values())

    def all(self):
        return sum(self.records.values(), [])

    def check_repeats(self):
        for shard, (safe, lost) in self.repeats.items():
            again = self.records[shard][safe:safe + len(lost)]
            assert again == lost, f"{shard} goes on with\n{again}\ninstead of\n{lost}"


class Worker:
    """Reads all shards of a stream, each from its checkpoint."""

    def __init__(self, name, arn, processor, dies_after=None):
        self.name, self.arn, self.processor, self.dies_after = name, arn, processor, dies_after
        self.leases, self.iterators, self.last, self.pending = {}, {}, {}, {}
        self.find_leases()

    def find_leases(self):
        """Makes a lease for each shard that has none, and takes all."""
        pages = DYNAMODB.get_paginator("scan").paginate(TableName=LEASES.name, ConsistentRead=True)
        known = {item["lease"]: item for page in pages for item in map(plain, page["Items"]) if item["stream"] == self.arn}
        status, shards = all_shards(self.arn)
        check_tree(status, shards)
        for name, shard in shards.items():
            if name not in known:
                known[name] = new_lease(self.arn, shard)
                write_lease(None, known[name])
        for lease in known.values():
            self.update(lease, owner=self.name)

    def update(self, lease, **more):
        new = lease | more | {"counter": lease["counter"] + 1}
        write_lease(lease, new)
        self.leases[lease["lease"]] = new

    def add_children(self, parent):
        """As newer versions of the adapter do, the children of a shard that ended are asked for by name."""
        only = {"Type": "CHILD_SHARDS", "ShardId": parent}
        page = STREAMS.describe_stream(StreamArn=self.arn, ShardFilter=only)["StreamDescription"]
        listed = [shard for shard in all_shards(self.arn)[1].values() if shard.get("ParentShardId") == parent]
        assert page["Shards"] == listed, f"{page['Shards']} instead of {listed}"
        for shard in listed:
            if shard["ShardId"] not in self.leases:
                lease = new_lease(self.arn, shard)
                write_lease(None, lease)
                self.update(lease, owner=self.name)

    def iterator(self, shard):
        """From where the worker is, which may be ahead of the checkpoint."""
        last = self.last.get(shard, self.leases[shard]["checkpoint"])
        start = {"ShardIteratorType": HORIZON}
        if last != HORIZON:
            start = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": last}
        return STREAMS.get_shard_iterator(StreamArn=self.arn, ShardId=shard, **start)["ShardIterator"]

    def checkpoint(self, shard, value):
        self.update(self.leases[shard], checkpoint=value)
        self.processor.checkpointed(shard)
        self.pending[shard] = 0

    def read(self, shard):
        """A page of a shard."""
        try:
            iterator = self.iterators.get(shard) or self.iterator(shard)
            page = STREAMS.get_records(ShardIterator=iterator, Limit=6)
        except STREAMS.exceptions.ExpiredIteratorException:
            self.iterators[shard] = None
            return
        for record in page["Records"]:
            self.process(shard, record)
        self.iterators[shard] = page.get("NextShardIterator")
        if self.iterators[shard] is None:
            self.checkpoint(shard, SHARD_END)
            self.add_children(shard)

    def process(self, shard, record):
        if self.dies_after == 0:
            raise Killed
        number = record["dynamodb"]["SequenceNumber"]
        last = self.last.get(shard, self.leases[shard]["checkpoint"])
        assert last == HORIZON or int(number) > int(last), f"{number} after {last}"
        self.processor.take(shard, record)
        self.last[shard] = number
        self.pending[shard] = self.pending.get(shard, 0) + 1
        if self.dies_after is not None:
            self.dies_after -= 1
        if self.pending[shard] == CHECKPOINT_EVERY:
            self.checkpoint(shard, number)

    def turn(self):
        """A page of each shard that may be read. Returns whether all are done."""
        parents = {shard: lease["parent"] for shard, lease in self.leases.items()}
        shards = runnable(parents, {shard: lease["checkpoint"] for shard, lease in self.leases.items()})
        for shard in shards:
            self.read(shard)
        return not shards


class Expiry:
    """Answers some calls as a node does 15 minutes later. The calls do not get as far as a node."""

    def __init__(self):
        self.calls = 0
        STREAMS.meta.events.register("before-call.dynamodb-streams.GetRecords", self.answer)

    def answer(self, request_signer, **_):
        self.calls += 1
        if self.calls % EXPIRED_EVERY:
            return None
        error = {"Code": "ExpiredIteratorException", "Message": "The provided iterator exceeds the maximum age allowed."}
        return AWSResponse("", 400, {}, None), {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 400}}


# ---- the test

def write(ledger, begin, end):
    """A few changes for each of these versions: items made, changed, removed, and made anew."""
    for version in range(begin, end):
        for station in ["BER", "CGN", "FRA", "HAM", "MUC", "STR"]:
            key, new = {"station": station, "minute": version % 3}, {"version": version, "wind": version * 2}
            old = ledger.items.get((station, version % 3))
            condition = {"ConditionExpression": "attribute_not_exists(version)"}
            if old:
                condition = {
                    "ConditionExpression": "version = :v", "ExpressionAttributeValues": {":v": old["version"]},
                }
            condition |= {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
            if old and version % 5 == 0:
                own(lambda: TABLE.delete_item(Key=key, **condition), None)
                ledger.delete((station, version % 3))
            else:
                own(lambda: TABLE.put_item(Item=key | new, **condition), key | new)
                ledger.put(key | new)


def run_until_killed(worker):
    try:
        session.until("the end of the worker", worker.turn)
    except Killed:
        return
    raise AssertionError("the worker was not killed")


def check_zombie(worker):
    """A worker that comes back after others have its leases finds that out."""
    shard = next(iter(worker.leases))
    try:
        worker.update(worker.leases[shard], checkpoint=HORIZON)
    except DYNAMODB.exceptions.ClientError as error:
        assert code(error) == "ConditionalCheckFailedException", error
        return
    raise AssertionError("two workers have the same lease")


def main():
    check_runnable()
    session.create_table(DYNAMODB, NAME)
    create_leases()
    ledger, expiry = Ledger(), Expiry()
    write(ledger, 1, 4)

    first = session.set_stream(DYNAMODB, NAME, True)
    ledger.start_stream()
    write(ledger, 4, 16)
    first_processor = Processor()
    dead = Worker("first", first, first_processor, dies_after=43)
    run_until_killed(dead)
    assert first_processor.worker_died() > 0, "the worker died right after its checkpoints: nothing is shown by that"
    write(ledger, 16, 22)
    session.set_stream(DYNAMODB, NAME, False)
    ledger.stop_stream()
    first_changes = ledger.changes
    write(ledger, 22, 25)

    second = session.set_stream(DYNAMODB, NAME, True)
    ledger.start_stream()
    assert all_streams() == sorted([first, second]), all_streams()
    write(ledger, 25, 37)

    # The closed stream, from the checkpoints of the dead to its end.
    heir = Worker("heir", first, first_processor)
    check_zombie(dead)
    session.until("the end of all shards", heir.turn)
    first_processor.check_repeats()
    check_records(first_changes, first_processor.all(), first)
    assert all(lease["checkpoint"] == SHARD_END for lease in heir.leases.values()), heir.leases

    # The open one, by one worker until it dies, and by another past the end.
    processor = Processor()
    run_until_killed(Worker("second", second, processor, dies_after=30))
    assert processor.worker_died() > 0, "nothing is shown by that death"
    worker = Worker("third", second, processor)
    session.until("all records", lambda: worker.turn() or len(processor.all()) >= count(ledger.changes))
    write(ledger, 37, 40)
    session.set_stream(DYNAMODB, NAME, False)
    ledger.stop_stream()
    session.until("the end of all shards", worker.turn)
    processor.check_repeats()
    check_records(ledger.changes, processor.all(), second)
    assert expiry.calls > EXPIRED_EVERY, "no iterator expired"
    for table in (NAME, LEASES.name):
        session.delete_table(DYNAMODB, table)


if __name__ == "__main__":
    main()
