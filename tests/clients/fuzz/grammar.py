"""Valid requests, and random ones by the shapes of the service's model (botocore's, as data, if it is installed)."""

import expressions
import values
import wire

try:
    import botocore.loaders
    import botocore.model

    def _model(service):
        loaded = botocore.loaders.Loader().load_service_model(service, "service-2")
        return botocore.model.ServiceModel(loaded)

    MODELS = {"DynamoDB": _model("dynamodb"), "DynamoDBStreams": _model("dynamodbstreams")}
except ImportError:
    MODELS = {}

OPERATIONS = (
    "BatchGetItem BatchWriteItem CreateTable DeleteItem DeleteTable DescribeContinuousBackups DescribeEndpoints "
    "DescribeLimits DescribeTable DescribeTimeToLive GetItem ListTables ListTagsOfResource PutItem Query Scan TagResource "
    "UntagResource UpdateItem UpdateTable DescribeStream GetRecords GetShardIterator ListStreams"
).split()


class Table:
    """A table the fuzzer writes to."""

    def __init__(self, name, key, view="NEW_AND_OLD_IMAGES"):
        self.name, self.view, self.kinds = name, view, dict(part.split(":") for part in key.split())
        self.hash, self.range = (list(self.kinds) + [None])[:2]

    def creation(self):
        """The request that makes it."""
        kinds = [{"AttributeName": name, "AttributeType": kind} for name, kind in self.kinds.items()]
        roles = zip(self.kinds, ["HASH", "RANGE"])
        request = {
            "TableName": self.name,
            "AttributeDefinitions": kinds,
            "KeySchema": [{"AttributeName": name, "KeyType": role} for name, role in roles],
            "BillingMode": "PAY_PER_REQUEST",
        }
        if self.view:
            request["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": self.view}
        return request

    def key(self, rng):
        """A valid key; few enough that requests meet."""
        key = {self.hash: _key_value(rng, self.kinds[self.hash])}
        if self.range:
            key[self.range] = self.range_value(rng)
        return key

    def range_value(self, rng):
        """A value of the sort key."""
        return _key_value(rng, self.kinds[self.range])

    def item(self, rng, hostile=0.0):
        """An item."""
        names = rng.sample(values.NAMES, rng.randrange(8))
        item = {name: self.likely(rng, name, hostile) for name in names}
        return {**item, **self.key(rng)}

    def likely(self, rng, name, hostile):
        """A value of the type that expressions expect under a name, mostly."""
        if rng.random() < 0.4:
            return values.value(rng, 3, hostile)
        if name == "nn":
            return {"N": values.number(rng, hostile)}
        if name == "ll":
            return {"L": [values.value(rng, 1, hostile) for _ in range(rng.randrange(4))]}
        if name in ("mm", "aa"):
            return {"M": {values.name(rng): values.value(rng, 2, hostile) for _ in range(rng.randrange(4))}}
        return rng.choice([{"S": values.word(rng)}, {"SS": ["a", "c"]}, {"NS": ["1", "2"]}, {"BS": ["AA=="]}])


def _key_value(rng, kind):
    if kind == "N":
        notation = rng.choice(["1", "1.0", "+1", "1e0", "2", "-3", "0", "-0", "0.5", ".5", "1e125", "1E-130", "-1e-130"])
        return {"N": notation if rng.random() < 0.8 else values.number(rng)}
    if kind == "S":
        odd = ["k" * 1024, "\0", "\uffff", "😀", "a\0", "a\0\xff", "/", "\U0010ffff"]
        return {"S": rng.choice(["a", "b", "c", "d"]) if rng.random() < 0.8 else rng.choice(odd)}
    return {"B": rng.choice(["AA==", "AAA=", "/w==", "AAD/", "//8=", "QQ=="])}


# ---- operations on items


def put(rng, table, hostile=0.0):
    """PutItem."""
    request = {"TableName": table.name, "Item": table.item(rng, hostile)}
    if rng.random() < 0.3:
        expression = expressions.Expression(rng)
        request["ConditionExpression"] = expression.condition()
        request.update(expression.parameters())
    return "PutItem", _returning(rng, request, ["NONE", "ALL_OLD"])


def delete(rng, table):
    """DeleteItem."""
    request = {"TableName": table.name, "Key": table.key(rng)}
    if rng.random() < 0.5:
        expression = expressions.Expression(rng)
        request["ConditionExpression"] = expression.condition()
        request.update(expression.parameters())
    return "DeleteItem", _returning(rng, request, ["NONE", "ALL_OLD"])


def update(rng, table):
    """UpdateItem."""
    request = {"TableName": table.name, "Key": table.key(rng)}
    expression = expressions.Expression(rng)
    if rng.random() < 0.95:
        request["UpdateExpression"] = expression.update()
    if rng.random() < 0.3:
        request["ConditionExpression"] = expression.condition()
    request.update(expression.parameters())
    return "UpdateItem", _returning(rng, request, ["NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"])


def _returning(rng, request, kinds):
    if rng.random() < 0.7:
        request["ReturnValues"] = rng.choice(kinds)
    if rng.random() < 0.3:
        request["ReturnConsumedCapacity"] = rng.choice(["NONE", "TOTAL", "INDEXES"])
    if "ConditionExpression" in request and rng.random() < 0.5:
        request["ReturnValuesOnConditionCheckFailure"] = rng.choice(["ALL_OLD", "NONE"])
    return request


def get(rng, table):
    """GetItem."""
    request = {"TableName": table.name, "Key": table.key(rng), "ConsistentRead": rng.random() < 0.7}
    if rng.random() < 0.5:
        expression = expressions.Expression(rng)
        request["ProjectionExpression"] = expression.projection()
        request.update(expression.parameters())
    return "GetItem", request


def read_many(rng, table):
    """Query or Scan."""
    expression, request = expressions.Expression(rng), {"TableName": table.name, "ConsistentRead": rng.random() < 0.8}
    operation = rng.choice(["Query", "Scan"])
    if operation == "Query":
        request["KeyConditionExpression"] = expression.key_condition(table, table.key(rng))
        request["ScanIndexForward"] = rng.random() < 0.5
    elif rng.random() < 0.3:
        request["TotalSegments"] = rng.choice([1, 2, 3, 7, 1000000])
        request["Segment"] = rng.randrange(request["TotalSegments"])
    if rng.random() < 0.5:
        request["FilterExpression"] = expression.condition()
    if rng.random() < 0.3:
        request["ProjectionExpression"] = expression.projection()
    elif rng.random() < 0.3:
        request["Select"] = rng.choice(["ALL_ATTRIBUTES", "COUNT"])
    if rng.random() < 0.5:
        request["Limit"] = rng.choice([1, 2, 3, 10, 2**31 - 1])
    if rng.random() < 0.2:
        request["ExclusiveStartKey"] = table.key(rng)
    request.update(expression.parameters())
    return operation, request


def batch(rng, tables):
    """BatchWriteItem or BatchGetItem."""
    table = rng.choice(tables)
    if rng.random() < 0.5:
        writes = []
        for _ in range(rng.choice([1, 3, 25])):
            is_put = rng.random() < 0.6
            one = {"PutRequest": {"Item": table.item(rng)}} if is_put else {"DeleteRequest": {"Key": table.key(rng)}}
            writes.append(one)
        return "BatchWriteItem", {"RequestItems": {table.name: writes}}
    keys = [table.key(rng) for _ in range(rng.choice([1, 5, 100]))]
    one = {"Keys": keys, "ConsistentRead": rng.random() < 0.5}
    if rng.random() < 0.3:
        expression = expressions.Expression(rng)
        one["ProjectionExpression"] = expression.projection()
        one.update({k: v for k, v in expression.parameters().items() if k == "ExpressionAttributeNames"})
    return "BatchGetItem", {"RequestItems": {table.name: one}}


def valid(rng, tables):
    """A request that is right by its shape."""
    make = rng.choice([put, put, delete, update, update, update, get, read_many, read_many, batch, shaped])
    if make in (batch, shaped):
        return make(rng, tables)
    return make(rng, rng.choice(tables))


# ---- by shape


def shaped(rng, tables):
    """Any operation, members chosen by its shape; nothing that removes or stops the tables themselves."""
    operation = rng.choice(OPERATIONS)
    model = MODELS.get(wire.target(operation).split("_")[0])
    if model is None:
        return "ListTables", {}
    shape = model.operation_model(operation).input_shape
    request = of_shape(rng, shape, tables, 0) if shape else {}
    if operation in ("CreateTable", "DeleteTable", "UpdateTable") and "TableName" in request:
        request["TableName"] = rng.choice(["fuzz-nowhere", "a", "x" * 256, "bad name", tables[0].name + "-other"])
    return operation, request


def of_shape(rng, shape, tables, depth):
    """Something of a shape."""
    if shape.name == "AttributeValue":
        return values.value(rng, 2, 0.02)
    kind = shape.type_name
    if kind == "structure":
        wanted = 0.9 if depth == 0 and len(shape.members) < 6 else 0.25
        chosen = [m for m in shape.members if rng.random() < (0.97 if m in shape.required_members else wanted)]
        if depth > 6:
            chosen = [member for member in chosen if member in shape.required_members]
        return {member: of_shape(rng, shape.members[member], tables, depth + 1) for member in chosen}
    if kind == "list":
        count = max(shape.metadata.get("min", 0), rng.choice([0, 1, 1, 2]))
        return [of_shape(rng, shape.member, tables, depth + 1) for _ in range(min(count, 3))]
    if kind == "map":
        if shape.name in ("Key", "PutItemInputAttributeMap"):
            return rng.choice(tables).key(rng)
        pairs = range(rng.choice([0, 1, 1, 2]))
        return {_key(rng, shape, tables): of_shape(rng, shape.value, tables, depth + 1) for _ in pairs}
    if kind == "boolean":
        return rng.random() < 0.5
    if kind in ("integer", "long"):
        low = shape.metadata.get("min", 0)
        return rng.choice([low, low + 1, shape.metadata.get("max", 100), rng.randrange(-5, 1000), 2**31, 2**63 - 1])
    if kind in ("timestamp", "double", "float"):
        return rng.choice([0, 1.5, -1, 1e20, 1795369190.5])
    return _string(rng, shape, tables)


def _key(rng, shape, tables):
    if "Table" in shape.key.name:
        return rng.choice(tables).name
    return rng.choice(values.NAMES + list(rng.choice(tables).kinds) + ["#a", ":a"])


def _string(rng, shape, tables):
    if shape.enum:
        return rng.choice(shape.enum)
    table = rng.choice(tables)
    arn = f"arn:aws:dynamodb:us-east-1:000000000000:table/{table.name}"
    if "Table" in shape.name:
        return table.name if rng.random() < 0.8 else arn
    if "Arn" in shape.name:
        return rng.choice([arn, arn + "/stream/2026-01-01T00:00:00.000", "arn:aws:x", arn + "/index/abc", "", "a" * 1284])
    expression = expressions.Expression(rng)
    makes = {"ConditionExpression": expression.condition, "UpdateExpression": expression.update,
             "ProjectionExpression": expression.projection, "KeyExpression": expression.condition}
    if shape.name in makes:
        return makes[shape.name]()
    low = max(shape.metadata.get("min", 1), 1)
    return rng.choice(["aa", "x" * low, rng.choice(list(table.kinds)), values.string(rng), "y" * (low + 30), "1" * low])
