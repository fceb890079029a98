"""Reads a stream as a careful consumer does: all shards, from the oldest record on."""

from dynamo import item_of, unique, until, until_active

STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
NO_SHARD = "shardId-00000000000000000000-00000000"


def enable(db, table, view="NEW_AND_OLD_IMAGES"):
    specification = {"StreamEnabled": True, "StreamViewType": view}
    answer = db.update_table(TableName=table.name, StreamSpecification=specification)
    until_active(db, table.name)
    return answer["TableDescription"]


def disable(db, table):
    answer = db.update_table(TableName=table.name, StreamSpecification={"StreamEnabled": False})
    until_active(db, table.name)
    return answer["TableDescription"]


def described(streams, arn, **more):
    return streams.describe_stream(StreamArn=arn, **more)["StreamDescription"]


def until_status(streams, arn, status):
    until(lambda: described(streams, arn)["StreamStatus"] == status, f"a stream being {status}")


def all_shards(streams, arn, **more):
    """Every shard of a stream, over as many pages as it takes."""
    shards, start = [], {}
    while True:
        page = streams.describe_stream(StreamArn=arn, **start, **more)["StreamDescription"]
        shards += page["Shards"]
        if "LastEvaluatedShardId" not in page:
            return shards
        assert page["LastEvaluatedShardId"] == page["Shards"][-1]["ShardId"]
        start = {"ExclusiveStartShardId": page["LastEvaluatedShardId"]}


def iterator(streams, arn, shard, kind="TRIM_HORIZON", **more):
    shard = shard if isinstance(shard, str) else shard["ShardId"]
    answer = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType=kind, **more)
    return answer["ShardIterator"]


def page(streams, at, **more):
    """A page of records, and the iterator that follows it if there is one."""
    answer = streams.get_records(ShardIterator=at, **more)
    assert isinstance(answer["Records"], list)
    return answer["Records"], answer.get("NextShardIterator")


def drain(streams, arn, shard, kind="TRIM_HORIZON", **more):
    """All records of a closed shard."""
    records, at = [], iterator(streams, arn, shard, kind, **more)
    while at is not None:
        found, at = page(streams, at)
        records += found
    return records


def read_present(streams, at):
    """What a shard holds from here on now: pages until one is empty."""
    records = []
    while at is not None:
        found, at = page(streams, at)
        if not found:
            break
        records += found
    return records


class Reader:
    """Follows a stream and remembers what it saw, so that each test reads only what is new."""

    def __init__(self, streams, arn):
        self.streams, self.arn = streams, arn
        self.iterators, self.done, self.records, self.shard_of = {}, set(), [], {}

    def read(self):
        for shard in all_shards(self.streams, self.arn):
            shard = shard["ShardId"]
            if shard in self.done:
                continue
            if shard not in self.iterators:
                self.iterators[shard] = iterator(self.streams, self.arn, shard)
            self.read_shard(shard)

    def read_shard(self, shard):
        while True:
            found, following = page(self.streams, self.iterators[shard])
            for record in found:
                self.shard_of[record["dynamodb"]["SequenceNumber"]] = shard
            self.records += found
            if following is None:
                self.done.add(shard)
                return
            self.iterators[shard] = following
            if not found:
                return

    def of(self, key):
        """The records of an item so far, in order."""
        wanted = item_of(key)
        return [record for record in self.records if record["dynamodb"]["Keys"] == wanted]

    def all_of(self, table, key):
        """All records of an item. A last write behind them, of the same partition key, tells that none is missing."""
        behind = unique()
        if "c" in key:
            last = {"p": key["p"], "c": f"~{behind}"}
            table.put(last)
            self.until_count(last, 1)
            return self.of(key)
        table.put(key | {"behind": behind})
        image = {"behind": {"S": behind}}

        def there():
            self.read()
            return any(image.items() <= record["dynamodb"]["NewImage"].items() for record in self.of(key)[-1:])

        until(there, "the last record")
        return self.of(key)[:-1]

    def until_count(self, key, count):
        """Reads until an item has that many records."""

        def there():
            self.read()
            return len(self.of(key)) >= count

        until(there, f"{count} records of an item")
        return self.of(key)
