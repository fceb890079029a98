"""Projection expressions and what they leave of an item (section 2.4)."""

import pytest

from dynamo import VALIDATION, av, item_of, plain, referred, refused

ITEM = {
    "a": 1,
    "b": {"k": "v", "deep": {"x": 1, "y": 2}, "l": [{"q": 1}, {"q": 2}]},
    "l": [10, 20, [30, 31], {"k": "v", "w": 1}],
    "a.b": "dotted",
    "year": 1999,
    "s": {"x", "y"},
}
NAMES = {"#a": "a", "#b": "b", "#dot": "a.b", "#y": "year", "#k": "k", "#bk": "b.k", "#nothing": "nothing"}
PROJECTIONS = [
    ("a", {"a": 1}),
    ("a, s", {"a": 1, "s": {"x", "y"}}),
    (" a ,\ts ", {"a": 1, "s": {"x", "y"}}),
    ("b", {"b": ITEM["b"]}),
    ("nothing", {}),
    ("nothing, a", {"a": 1}),
    ("#a", {"a": 1}),
    ("#dot", {"a.b": "dotted"}),
    ("#y", {"year": 1999}),
    ("#nothing", {}),
    ("a.b", {}),
    ("#bk", {}),
    ("b.k", {"b": {"k": "v"}}),
    ("#b.#k", {"b": {"k": "v"}}),
    ("b.k, b.deep.x", {"b": {"k": "v", "deep": {"x": 1}}}),
    ("b.deep.x, b.deep.y", {"b": {"deep": {"x": 1, "y": 2}}}),
    ("b.nothing", {}),
    ("b.nothing, a", {"a": 1}),
    ("b.deep.nothing", {}),
    ("b.k.more", {}),
    ("l", {"l": ITEM["l"]}),
    ("l[0]", {"l": [10]}),
    ("l[1]", {"l": [20]}),
    ("l[2], l[0]", {"l": [10, [30, 31]]}),
    ("l[2][1]", {"l": [[31]]}),
    ("l[3].k", {"l": [{"k": "v"}]}),
    ("l[3].k, l[0]", {"l": [10, {"k": "v"}]}),
    ("l[9]", {}),
    ("l[9], l[1]", {"l": [20]}),
    ("b[0]", {}),
    ("a[0]", {}),
    ("l.k", {}),
    ("b.l[1].q", {"b": {"l": [{"q": 2}]}}),
    ("b.l[0].q, b.l[1].q", {"b": {"l": [{"q": 1}, {"q": 2}]}}),
    ("s", {"s": {"x", "y"}}),
]


def parameters(text):
    names = referred(text, NAMES, "#")
    return {"ProjectionExpression": text} | ({"ExpressionAttributeNames": names} if names else {})


@pytest.fixture(scope="module")
def document(table):
    key = table.key()
    table.put(key | ITEM)
    return key


@pytest.mark.parametrize("text, expected", PROJECTIONS)
def test_2_4_projection_of_get(table, document, text, expected):
    assert table.get(document, **parameters(text)) == expected


@pytest.mark.parametrize("text, expected", PROJECTIONS)
def test_2_4_projection_of_query(table, document, text, expected):
    values = {":p": av(document["p"])}
    answer = table.query(KeyConditionExpression="p = :p", ExpressionAttributeValues=values, **parameters(text))
    assert [plain(item) for item in answer["Items"]] == [expected]


@pytest.mark.parametrize("text, expected", PROJECTIONS[:20:3])
def test_2_4_projection_of_batch(table, document, text, expected):
    request = {"Keys": [item_of(document)], "ConsistentRead": True} | parameters(text)
    answer = table.db.batch_get_item(RequestItems={table.name: request})
    assert [plain(item) for item in answer["Responses"][table.name]] == [expected]


@pytest.mark.parametrize("text, expected", PROJECTIONS[:20:3])
def test_2_4_projection_of_scan(table, document, text, expected):
    given = parameters(text)
    answer = table.scan(FilterExpression="p = :p", ExpressionAttributeValues={":p": av(document["p"])}, **given)
    items = answer["Items"]
    while "LastEvaluatedKey" in answer:
        answer = table.scan(
            FilterExpression="p = :p",
            ExpressionAttributeValues={":p": av(document["p"])},
            ExclusiveStartKey=answer["LastEvaluatedKey"],
            **given,
        )
        items += answer["Items"]
    assert [plain(item) for item in items] == [expected]


def test_2_4_projection_of_keys(table, document):
    assert table.get(document, ProjectionExpression="p, c") == document


SYNTAX = 'Syntax error; token: "'
OVERLAP = "Two document paths overlap with each other; must remove or rewrite one of these paths; "
CONFLICT = "Two document paths conflict with each other; must remove or rewrite one of these paths; "
REFUSED = {
    "": "The expression can not be empty;",
    " ": "",
    ",": SYNTAX,
    "a,": SYNTAX,
    "a b": SYNTAX,
    "a,,b": SYNTAX,
    "a.": SYNTAX,
    ".a": SYNTAX,
    "a[": SYNTAX,
    "a[x]": SYNTAX,
    "a[-1]": SYNTAX,
    "[0]": SYNTAX,
    "_a": SYNTAX,
    "1a": SYNTAX,
    "a = b": SYNTAX,
    ":a": SYNTAX,
    "a; b": SYNTAX,
    "#": SYNTAX,
    "a, a": OVERLAP + "path one: [a], path two: [a]",
    "a, #a": OVERLAP + "path one: [a], path two: [a]",
    "b, b.k": OVERLAP,
    "b.deep.x, b.deep": OVERLAP,
    "l[0], l[0]": OVERLAP,
    "l, l[3].k": OVERLAP,
    "b.k, b[0]": CONFLICT,
    "l[3].k, l[3][0]": CONFLICT,
    "year": "Attribute name is a reserved keyword; reserved keyword: year",
    "a, b.Name": "Attribute name is a reserved keyword; reserved keyword: Name",
    "#undefined": "An expression attribute name used in the document path is not defined; attribute name: #undefined",
    "l[2147483648]": "List index is not within the allowable range",
    ".".join(["a"] * 33): "The document path has too many nesting levels; nesting levels: 33",
    "a".ljust(4097): "Expression size has exceeded the maximum allowed size; expression size: 4097",
}


@pytest.mark.parametrize("text", REFUSED)
@pytest.mark.parametrize("operation", ["get", "query", "scan", "batch"])
def test_2_4_projection_refused(table, operation, text):
    given, key = parameters(text), table.key()
    # A batch names the table's request in front of the text.
    with refused(VALIDATION, "Invalid ProjectionExpression: ", REFUSED[text]):
        if operation == "get":
            table.get_raw(key, **given)
        elif operation == "query":
            values = {":p": av(key["p"])}
            table.query(KeyConditionExpression="p = :p", ExpressionAttributeValues=values, **given)
        elif operation == "scan":
            table.scan(**given)
        else:
            table.db.batch_get_item(RequestItems={table.name: {"Keys": [item_of(key)]} | given})


@pytest.mark.parametrize(
    "given, text",
    [
        (
            {"ProjectionExpression": "a", "ExpressionAttributeNames": {"#b": "b"}},
            "Value provided in ExpressionAttributeNames unused in expressions: keys: {#b}",
        ),
        (
            {"ExpressionAttributeNames": {"#b": "b"}},
            "ExpressionAttributeNames can only be specified when using expressions",
        ),
        ({"ProjectionExpression": "a", "ExpressionAttributeNames": {}}, ""),
        (
            {"ProjectionExpression": "a", "ExpressionAttributeNames": {"b": "b"}},
            'ExpressionAttributeNames contains invalid key: Syntax error; key: "b"',
        ),
    ],
)
@pytest.mark.parametrize("operation", ["get", "scan", "batch"])
def test_2_4_names_of_a_projection(table, operation, given, text):
    key = table.key()
    with refused(VALIDATION, text):
        if operation == "get":
            table.get_raw(key, **given)
        elif operation == "scan":
            table.scan(**given)
        else:
            table.db.batch_get_item(RequestItems={table.name: {"Keys": [item_of(key)]} | given})
