"""What was acknowledged: the items there must be, and the records there must be."""

from session import plain


def key_of(item):
    return item["station"], int(item["minute"])


class Ledger:
    """Items by key, and for each key what its records must say, in order: event name, old image, new image."""

    def __init__(self):
        self.items, self.changes, self.has_stream = {}, {}, False

    def start_stream(self):
        self.changes, self.has_stream = {}, True

    def stop_stream(self):
        self.has_stream = False

    def put(self, item):
        self.change(key_of(item), item)
        return item

    def delete(self, key):
        self.change(key, None)

    def change(self, key, new):
        old = self.items.pop(key, None)
        if new is not None:
            self.items[key] = new
        if self.has_stream and old != new:
            event = "INSERT" if old is None else "REMOVE" if new is None else "MODIFY"
            self.changes.setdefault(key, []).append((event, old, new))

    def check_items(self, found):
        """All items, as a scan finds them."""
        assert len(found) == len(self.items), f"{len(found)} items instead of {len(self.items)}"
        for item in found:
            assert self.items.get(key_of(item)) == item, f"{item} instead of {self.items.get(key_of(item))}"


def count(changes):
    """How many records there must be."""
    return sum(map(len, changes.values()))


def check_records(changes, records, stream_arn):
    """All records of a stream, each shard's in its order."""
    found, ids = {}, set()
    for record in records:
        change = record["dynamodb"]
        keys, old, new = (plain(change.get(part)) for part in ("Keys", "OldImage", "NewImage"))
        assert keys == {name: (new or old)[name] for name in ("station", "minute")}, record
        assert change["StreamViewType"] == "NEW_AND_OLD_IMAGES" and change["SizeBytes"] > 0, record
        assert record["eventSource"] == "aws:dynamodb" and f":{record['awsRegion']}:" in stream_arn, record
        ids.add(record["eventID"])
        found.setdefault(key_of(keys), []).append((record["eventName"], old, new))
    assert len(ids) == len(records), f"{len(ids)} ids of {len(records)} records"
    for key in sorted(found.keys() | changes.keys()):
        expected = changes.get(key, [])
        assert found.get(key, []) == expected, f"{key}:\n{found.get(key)}\ninstead of\n{expected}"
