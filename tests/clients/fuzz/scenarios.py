"""What one worker does: requests, and what must hold between their answers.

Every worker has tables of its own, so what it reads is what it wrote."""

import json
import random
import time

import answers
import expressions
import grammar
import mutations
import values
import wire


class Finding(Exception):
    """Something that must not be."""

    def __init__(self, kind, detail):
        super().__init__(f"{kind}: {detail}")
        self.kind, self.detail = kind, detail


class Worker:
    """One stream of requests."""

    def __init__(self, address, host, seed, number):
        self.rng, self.host = random.Random(f"{seed}/{number}"), host
        self.prefix = f"fuzz-{seed % 10**9}-{number}"
        self.connection, self.other = wire.Connection(address), wire.Connection(address)
        self.tables = [
            grammar.Table(f"{self.prefix}-s", "p:S"),
            grammar.Table(f"{self.prefix}-nb", "p:N c:B", "KEYS_ONLY"),
            grammar.Table(f"{self.prefix}-bs", "p:B c:S", "NEW_AND_OLD_IMAGES"),
            grammar.Table(f"{self.prefix}-sn", "p:S c:N", None),
        ]
        # Requests that may end unanswered may be carried out later: nothing is compared in the table they go to.
        self.wild = grammar.Table(f"{self.prefix}-hostile", "p:S c:N")
        # What was sent since the scenario began: a finding is replayed from it.
        self.history, self.requests, self.throttled, self.seen = [], 0, 0, {}
        self.stream_tables = {}
        self.known = {"p": {"S": "known"}, "text": {"S": "\0 é 😀"}, "n": {"N": "1.5"}}

    # ---- one exchange

    def send(self, sending, operation=None):
        """Sends and checks; the last answer, or None if the connection ended where it may."""
        self.history.append(sending)
        self.requests += max(sending.answers, 1)
        connection = self.other if sending.is_lax or sending.ends else self.connection
        answer = None
        try:
            connection.send(sending.pieces, sending.ends)
            for _ in range(sending.answers):
                answer = connection.receive(sending.is_head)
                self.check(answer, sending, operation)
        except wire.Closed as error:
            connection.close()
            if not (sending.is_lax or sending.ends):
                raise Finding("closed", f"{operation}: the node ended the connection instead of an answer: {error}") from error
        except (wire.Late, wire.Broken) as error:
            connection.close()
            raise Finding("hang" if isinstance(error, wire.Late) else "http", f"{operation}: {error}") from error
        if connection is self.other or (answer and answer.header("connection") == "close"):
            connection.close()
        return answer

    def check(self, answer, sending, operation):
        """What must hold of any answer."""
        found = answers.problems(answer, operation, sending.may_be_500, sending.is_lax)
        if found:
            raise Finding("answer", f"{operation}: {'; '.join(found)}: {answer.text()}")
        if answer.status != 200 and b"ConditionalCheck" not in answer.body[:100] and len(answer.body) > 4 * sum(map(len, filter(mutations.is_bytes, sending.pieces))) + 100_000:
            raise Finding("large error", f"{operation}: {len(answer.body)} bytes: {answer.text()}")
        name = answers.error_name(answer) if answer.status != 200 else "ok"
        self.seen[f"{operation} {name}"] = self.seen.get(f"{operation} {name}", 0) + 1
        self.throttled += name == "ThrottlingException"

    def ask(self, operation, request):
        """A well-formed request: the answer, its JSON."""
        body = values.dump(request, self.rng)
        sending = mutations.Sending(wire.encode(wire.headers(operation, self.host), body), is_lax=False)
        answer = self.send(sending, operation)
        return answer, json.loads(answer.body) if answer.body else {}

    def must(self, operation, request):
        """A request that must succeed: its JSON."""
        answer, tree = self.ask(operation, request)
        if answer.status != 200:
            raise Finding("refused", f"{operation} of valid members: {answer.text()}")
        return tree

    def item(self, table, key):
        """An item as it is now: its JSON or None."""
        found = self.must("GetItem", {"TableName": table.name, "Key": key, "ConsistentRead": True}).get("Item")
        return found

    def form(self, item):
        """The canonical form of an item that was answered."""
        if item is None:
            return None
        try:
            return values.stored_item(item)
        except values.Invalid as error:
            raise Finding("stored", f"an item that may not be: {error}: {str(item)[:500]}") from error

    # ---- items

    def put(self):
        """A put that is right is read back equal; one that is wrong is refused and changes nothing."""
        rng, table = self.rng, self.rng.choice(self.tables)
        operation, request = grammar.put(rng, table, rng.choice([0, 0, 0.03, 0.1]))
        if rng.random() < 0.03:
            request["Item"]["mm"] = values.deep(rng, rng.choice([30, 31, 32, 33, 40]))
        if rng.random() < 0.02:
            request["Item"]["ss"] = {"S": rng.choice(["x", "é", "\0"]) * rng.choice([1000, 200_000, 409_000, 409_600, 500_000])}
        self.write(table, operation, request, {name: request["Item"][name] for name in table.kinds})

    def write(self, table, operation, request, key):
        """PutItem, UpdateItem, DeleteItem: with what was there before and after."""
        before = self.form(self.item(table, key)) if self.valid_key(key) else None
        answer, tree = self.ask(operation, request)
        if not self.valid_key(key):
            if answer.status == 200:
                raise Finding("accepted", f"{operation} with a key that is wrong: {key}")
            return
        after = self.form(self.item(table, key))
        if answer.status != 200:
            if before != after:
                raise Finding("changed", f"{operation} answered {answer.text()} and changed {before} to {after}")
            self.refused(operation, request, tree, before)
            return
        self.returned(operation, request, tree, before, after)
        if operation == "PutItem":
            self.stored(request["Item"], after)
        if operation == "DeleteItem" and after is not None:
            raise Finding("readback", f"a deleted item is there: {after}")

    @staticmethod
    def valid_key(key):
        """Whether the values of a key are right."""
        try:
            values.canonical_item(key)
        except (values.Invalid, values.Unsure):
            return False
        return True

    def stored(self, item, after):
        """An item that was put is there and equal, and was right."""
        try:
            expected = values.canonical_item(item)
        except values.Invalid as error:
            raise Finding("accepted", f"PutItem took what is wrong ({error}): {str(item)[:800]}") from error
        except values.Unsure:
            return
        if expected != after:
            raise Finding("readback", f"put {expected}, read {after}")

    def refused(self, operation, request, tree, before):
        """Why a request was refused must be a reason."""
        name, message = tree["__type"].split("#")[1], str(tree.get("message", tree.get("Message", "")))
        if "Item" in tree and self.form(tree["Item"]) != before:
            raise Finding("condition item", f"{tree['Item']} is not {before}")
        if name == "SerializationException" or "Syntax error" in message or "has exceeded the maximum" in message:
            self.refused_rightly(operation, request, message)
        elif operation == "PutItem" and name == "ValidationException" and "ConditionExpression" not in request:
            self.refused_rightly(operation, request, message)

    def refused_rightly(self, operation, request, message):
        """Finds a fault in a request that was refused for one."""
        try:
            values.canonical_item(request.get("Item", {}))
            values.canonical_item(request.get("ExpressionAttributeValues", {}))
        except (values.Invalid, values.Unsure):
            return
        item = request.get("Item", {})
        if sum(len(name.encode()) + values.size(inner) for name, inner in item.items()) > values.ITEM_BYTES_MAX:
            return
        raise Finding("refused", f"{operation} of valid members: {message}")

    def returned(self, operation, request, tree, before, after):
        """ReturnValues against what was read before and after."""
        wanted, shown = request.get("ReturnValues", "NONE"), self.form(tree.get("Attributes"))
        whole = {"NONE": None, "ALL_OLD": before, "ALL_NEW": after}
        if wanted in whole and shown != whole[wanted]:
            raise Finding("returned", f"{operation} {wanted} answered {shown}, not {whole[wanted]}")
        if wanted in ("UPDATED_OLD", "UPDATED_NEW") and shown is not None:
            names = {name for name, _ in (before if wanted == "UPDATED_OLD" else after) or ()}
            if not {name for name, _ in shown} <= names:
                raise Finding("returned", f"{operation} {wanted} answered {shown} of {before} and {after}")

    def update(self):
        """An update shows what it did."""
        table = self.rng.choice(self.tables)
        operation, request = grammar.update(self.rng, table)
        self.write(table, operation, request, request["Key"])

    def delete(self):
        """A delete shows what was there."""
        table = self.rng.choice(self.tables)
        operation, request = grammar.delete(self.rng, table)
        self.write(table, operation, request, request["Key"])

    def any_valid(self):
        """Any request that is right by its shape."""
        operation, request = grammar.valid(self.rng, self.tables)
        self.ask(operation, request)

    # ---- wrong requests

    def mutated(self):
        """A request with a changed tree: if it is refused, the item it names is as before."""
        rng, table = self.rng, self.rng.choice(self.tables)
        if rng.random() < 0.5:
            operation, request = grammar.shaped(rng, self.tables)
            self.ask(operation, mutations.tree(rng, request) if rng.random() < 0.8 else mutations.duplicated(rng, request))
            return
        operation, request = rng.choice([grammar.put, grammar.update, grammar.delete, grammar.get, grammar.read_many])(rng, table)
        key = request.get("Key") or request.get("Item")
        key = {name: key[name] for name in table.kinds} if key else None
        before = self.item(table, key) if key and self.valid_key(key) else None
        answer, tree = self.ask(operation, mutations.tree(rng, request))
        if key and self.valid_key(key) and answer.status == 400 and self.form(self.item(table, key)) != self.form(before):
            raise Finding("changed", f"{operation} answered {answer.text()} and changed {before}")

    def hostile(self):
        """A request sent in a hostile way."""
        operation, request = grammar.valid(self.rng, [self.wild])
        if operation in ("DeleteTable", "UpdateTable", "CreateTable"):
            operation, request = "DescribeTable", {"TableName": self.wild.name}
        if self.rng.random() < 0.2:
            request = mutations.tree(self.rng, request)
        # An altered body may have altered its operation's name too: its shape is not known.
        self.send(mutations.sending(self.rng, operation, request, self.host))

    def big(self):
        """Bodies near 16 MB."""
        operation, request = grammar.valid(self.rng, [self.wild])
        self.send(mutations.big(self.rng, operation, values.dump(request), self.host), None)

    # ---- many items

    def pages(self):
        """Pages of any size hold the same items in the same order as one page; so do segments."""
        rng, table = self.rng, self.rng.choice(self.tables)
        whole = self.walk("Scan", {"TableName": table.name, "ConsistentRead": True})
        paged = self.walk("Scan", {"TableName": table.name, "ConsistentRead": True, "Limit": rng.choice([1, 2, 5])})
        if [self.form(item) for item in whole] != [self.form(item) for item in paged]:
            raise Finding("pages", f"Scan of {table.name}: {len(whole)} items in one walk, {len(paged)} in pages")
        total = rng.choice([1, 2, 3, 5, 16])
        parts = []
        for segment in range(total):
            request = {"TableName": table.name, "ConsistentRead": True, "Segment": segment, "TotalSegments": total}
            parts += self.walk("Scan", request)
        if sorted(map(str, parts)) != sorted(map(str, whole)) and self.forms(parts) != self.forms(whole):
            raise Finding("segments", f"Scan of {table.name} in {total} segments: {len(parts)} of {len(whole)} items")
        self.queries(table, whole)

    def forms(self, items):
        """Items without their order."""
        return {self.form(item) for item in items}

    def queries(self, table, whole):
        """A query shows the items of its partition, in order both ways."""
        key = table.key(self.rng)
        same = values.canonical(key[table.hash])
        expected = {self.form(item) for item in whole if values.canonical(item[table.hash]) == same}
        request = {
            "TableName": table.name, "ConsistentRead": True, "KeyConditionExpression": "p = :p",
            "ExpressionAttributeValues": {":p": key[table.hash]},
        }
        forward = self.walk("Query", {**request, "Limit": self.rng.choice([1, 3, 100])})
        back = self.walk("Query", {**request, "ScanIndexForward": False, "Limit": self.rng.choice([1, 3, 100])})
        if self.forms(forward) != expected or len(forward) != len(expected):
            raise Finding("query", f"{request} shows {len(forward)} items, Scan {len(expected)}")
        if [self.form(item) for item in forward] != [self.form(item) for item in reversed(back)]:
            raise Finding("query", f"{request}: the two directions differ")

    def walk(self, operation, request):
        """All items over all pages."""
        items, request = [], dict(request)
        for _ in range(5000):
            page = self.must(operation, request)
            if page["Count"] != len(page.get("Items", [])) or page["Count"] > page["ScannedCount"]:
                raise Finding("count", f"{operation} {request}: {page['Count']}, {page['ScannedCount']}")
            items += page["Items"]
            if "LastEvaluatedKey" not in page:
                return items
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
        raise Finding("pages", f"{operation} {request} does not end")

    def filters(self):
        """A condition and its negation split the items of a table in two."""
        rng, table = self.rng, self.rng.choice(self.tables)
        expression = expressions.Expression(rng)
        condition = expression.condition()
        counts = []
        for text in ("", condition, f"NOT ({condition})"):
            if not text:
                members = {"FilterExpression": "attribute_exists(p)"}
            else:
                members = {"FilterExpression": text, **expression.parameters()}
            answer, tree = self.ask("Scan", {"TableName": table.name, "ConsistentRead": True, **members})
            if answer.status != 200:
                if "Syntax error" in tree.get("message", "") and "redundant" not in tree.get("message", ""):
                    raise Finding("refused", f"Scan {members}: {answer.text()}")
                return
            counts.append((tree["Count"], "LastEvaluatedKey" in tree))
        if not any(more for _, more in counts) and counts[1][0] + counts[2][0] != counts[0][0]:
            raise Finding("filter", f"{condition}: {counts} of {table.name}, {expression.parameters()}")

    def get_batch(self):
        """A batch shows what single reads show."""
        table = self.rng.choice(self.tables)
        keys = {values.canonical_item(key): key for key in (table.key(self.rng) for _ in range(8)) if self.valid_key(key)}
        one = {"Keys": list(keys.values()), "ConsistentRead": True}
        tree = self.must("BatchGetItem", {"RequestItems": {table.name: one}})
        if tree["UnprocessedKeys"]:
            return
        single = [self.item(table, key) for key in keys.values()]
        if self.forms(tree["Responses"][table.name]) != self.forms([item for item in single if item]):
            raise Finding("batch", f"BatchGetItem of {list(keys.values())} shows {tree['Responses']}, GetItem {single}")

    # ---- health

    def prepare(self):
        """Makes the tables."""
        for table in [*self.tables, self.wild]:
            self.ask("CreateTable", table.creation())
        for table in [*self.tables, self.wild]:
            self.until_active(table.name)
        self.must("PutItem", {"TableName": self.tables[0].name, "Item": self.known})

    def until_active(self, name):
        """Waits for a table."""
        for _ in range(200):
            answer, tree = self.ask("DescribeTable", {"TableName": name})
            if answer.status == 200 and tree["Table"]["TableStatus"] == "ACTIVE":
                return
            time.sleep(0.05)
        raise Finding("table", f"{name} does not become active")

    def healthy(self):
        """An item that nobody writes is there."""
        found = self.item(self.tables[0], {"p": {"S": "known"}})
        if self.form(found) != values.canonical_item(self.known):
            raise Finding("known item", f"{found}")
