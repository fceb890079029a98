"""Query: key conditions, order, pages, filters, selection (sections 2.3, 2.4; appendix D 22)."""

import pytest

from dynamo import ENDPOINTS, NOT_FOUND, VALIDATION, Table, av, client, item_of, plain, referred, refused, unique

LETTERS = ["a", "ab", "abc", "b", "ba", "c", "d"]


@pytest.fixture(scope="module")
def p(table):
    """The partition key of items with the sort keys of LETTERS, each with its number."""
    p = unique()
    table.put_many([{"p": p, "c": letter, "n": at, "even": at % 2 == 0} for at, letter in enumerate(LETTERS)])
    return p


def values_of(p):
    return {":p": p, ":a": "a", ":b": "b", ":bb": "bb", ":c": "c", ":z": "z", ":ab": "ab", ":one": 1, ":three": 3}


def query(table, p, text, **more):
    """A query by a key condition; the values its expressions mention are added."""
    names = {"#p": "p", "#c": "c", "#n": "n"}
    texts = " ".join([text, more.get("FilterExpression", ""), more.get("ProjectionExpression", "")])
    given = {"KeyConditionExpression": text, "ExpressionAttributeValues": item_of(referred(texts, values_of(p), ":"))}
    if not given["ExpressionAttributeValues"]:
        del given["ExpressionAttributeValues"]
    used = referred(texts, names, "#")
    if used:
        given["ExpressionAttributeNames"] = used
    return table.query(**given, **more)


def sorts(answer):
    return [item["c"]["S"] for item in answer["Items"]]


# ----------------------------------------------------------------------------------------------------------------------
# Key conditions.

CONDITIONS = [
    ("p = :p", LETTERS),
    ("#p = :p", LETTERS),
    (":p = p", LETTERS),
    ("(p = :p)", LETTERS),
    ("p = :p AND c = :b", ["b"]),
    ("p = :p AND c = :z", []),
    ("c = :b AND p = :p", ["b"]),
    ("(p = :p) AND (c = :b)", ["b"]),
    ("(p = :p AND c = :b)", ["b"]),
    ("p = :p and c < :b", ["a", "ab", "abc"]),
    ("p = :p AND c <= :b", ["a", "ab", "abc", "b"]),
    ("p = :p AND c > :b", ["ba", "c", "d"]),
    ("p = :p AND #c >= :b", ["b", "ba", "c", "d"]),
    ("p = :p AND :b < c", ["ba", "c", "d"]),
    ("p = :p AND :b >= c", ["a", "ab", "abc", "b"]),
    ("p = :p AND :b = c", ["b"]),
    ("p = :p AND c BETWEEN :ab AND :bb", ["ab", "abc", "b", "ba"]),
    ("c between :b and :b and p = :p", ["b"]),
    ("p = :p AND begins_with(c, :a)", ["a", "ab", "abc"]),
    ("begins_with(c, :ab) AND p = :p", ["ab", "abc"]),
    ("p = :p AND begins_with(c, :z)", []),
]


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("text, expected", CONDITIONS)
def test_2_4_key_condition(table, p, text, expected, forward):
    answer = query(table, p, text, ScanIndexForward=forward)
    assert sorts(answer) == (expected if forward else expected[::-1])
    assert answer["Count"] == answer["ScannedCount"] == len(expected)
    assert "LastEvaluatedKey" not in answer


PREFIX = "Invalid KeyConditionExpression: "
OPERATOR = "Invalid operator used in KeyConditionExpression: "
ONE = "KeyConditionExpressions must only contain one condition per key"
SCHEMA_TYPE = "One or more parameter values were invalid: Condition parameter type does not match schema type"
REFUSED = {
    "": PREFIX + "The expression can not be empty;",
    "p": PREFIX + 'Syntax error; token: "',
    "p = ": PREFIX + 'Syntax error; token: "',
    "p == :p": PREFIX + 'Syntax error; token: "',
    "((p = :p))": PREFIX + "The expression has redundant parentheses;",
    "p = :p AND ((c = :a))": PREFIX + "The expression has redundant parentheses;",
    "p = :undefined": PREFIX
    + "An expression attribute value used in expression is not defined; attribute value: :undefined",
    "#undefined = :p": PREFIX
    + "An expression attribute name used in the document path is not defined; attribute name: #undefined",
    "year = :p": PREFIX + "Attribute name is a reserved keyword; reserved keyword: year",
    "dog(p, :p)": PREFIX + "Invalid function name; function: dog",
    "p = :p OR c = :a": OPERATOR + "OR",
    "NOT p = :p": OPERATOR + "NOT",
    "p = :p AND NOT c = :a": OPERATOR + "NOT",
    "p = :p AND c IN (:a, :b)": OPERATOR + "IN",
    "p = :p AND c <> :a": OPERATOR + "<>",
    "p = :p AND attribute_exists(c)": OPERATOR + "attribute_exists",
    "p = :p AND contains(c, :a)": OPERATOR + "contains",
    "p.x = :p": "KeyConditionExpressions cannot have conditions on nested attributes",
    "p[0] = :p": "KeyConditionExpressions cannot have conditions on nested attributes",
    "p = :p AND p = :a": ONE,
    "p = :p AND c > :a AND c < :b": ONE,
    "p = :p AND c = :a AND c = :a": ONE,
    "p > :p": "Query key condition not supported",
    "p BETWEEN :a AND :b": "Query key condition not supported",
    "begins_with(p, :a)": "Query key condition not supported",
    "p >= :a AND c = :a": "Query key condition not supported",
    "c = :a": "Query condition missed key schema element: p",
    "n = :one": "Query condition missed key schema element: p",
    "p = :p AND n = :one": "Query condition missed key schema element: c",
    "p = :one": SCHEMA_TYPE,
    "p = :p AND c = :one": SCHEMA_TYPE,
    "p = :p AND c < :one": SCHEMA_TYPE,
    "p = :p AND begins_with(c, :one)": "",
    "p = :p AND c BETWEEN :b AND :a": "",
    "p = :p AND c = n": "",
    "p = :p AND size(c) = :one": "",
    ":p = :p": "",
}


@pytest.mark.parametrize("text", REFUSED)
def test_2_4_key_condition_refused(table, text):
    with refused(VALIDATION, REFUSED[text]):
        query(table, unique(), text)


def test_2_4_sort_condition_on_a_table_without_sort_key(hash_table):
    with refused():
        query(hash_table, unique(), "p = :p AND c = :a")


def test_2_4_begins_with_on_a_number(number_table):
    with refused():
        number_table.query(
            KeyConditionExpression="p = :p AND begins_with(c, :c)",
            ExpressionAttributeValues=item_of({":p": 1, ":c": 1}),
        )


def test_2_3_no_key_condition(table):
    text = "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."
    with refused(VALIDATION, text):
        table.query()


@pytest.mark.parametrize(
    "prefix, expected",
    [
        (b"\xff", [b"\xff", b"\xff\x00", b"\xff\xff", b"\xff\xff\xff"]),
        (b"\xff\xff", [b"\xff\xff", b"\xff\xff\xff"]),
        (b"\xfe", [b"\xfe", b"\xfe\xff"]),
        (b"\x00", [b"\x00", b"\x00\xff"]),
    ],
)
def test_2_4_begins_with_bytes(binary_table, prefix, expected):
    p = binary_table.key()["p"]
    sorts_ = [b"\x00", b"\x00\xff", b"\xfe", b"\xfe\xff", b"\xff", b"\xff\x00", b"\xff\xff", b"\xff\xff\xff"]
    binary_table.put_many([{"p": p, "c": sort} for sort in sorts_])
    answer = binary_table.query(
        KeyConditionExpression="p = :p AND begins_with(c, :c)",
        ExpressionAttributeValues=item_of({":p": p, ":c": prefix}),
    )
    assert [item["c"]["B"] for item in answer["Items"]] == expected


@pytest.mark.parametrize(
    "text, expected", [("c > :c", [10, 11]), ("c <= :c", [-5, 2.5, 9]), ("c BETWEEN :n AND :c", [-5, 2.5, 9])]
)
def test_2_4_numeric_sort_keys(number_table, text, expected):
    p = number_table.key()["p"]
    for sort in ("9", "10", "11", "-5", "2.5"):
        number_table.db.put_item(TableName=number_table.name, Item={"p": av(p), "c": {"N": sort}})
    values = {":p": p, ":c": 9} | ({":n": -5} if ":n" in text else {})
    answer = number_table.query(KeyConditionExpression=f"p = :p AND {text}", ExpressionAttributeValues=item_of(values))
    assert [plain(item)["c"] for item in answer["Items"]] == expected


# ----------------------------------------------------------------------------------------------------------------------
# Filters, limits, pages.


@pytest.mark.parametrize(
    "text, expected",
    [
        ("n >= :three", ["b", "ba", "c", "d"]),
        ("#n = :one", ["ab"]),
        ("attribute_not_exists(n)", []),
        ("NOT n = :one AND n < :three", ["a", "abc"]),
    ],
)
def test_2_3_filter(table, p, text, expected):
    answer = query(table, p, "p = :p", FilterExpression=text)
    assert sorts(answer) == expected
    assert (answer["Count"], answer["ScannedCount"]) == (len(expected), len(LETTERS))


@pytest.mark.parametrize(
    "text", ["p = :p", "c = :a", "n = :one AND c > :a", "n = c", "attribute_exists(#c)", "size(c) = :one"]
)
def test_2_3_filter_on_a_key(table, p, text):
    with refused():
        query(table, p, "p = :p", FilterExpression=text)


def test_2_3_the_filter_sees_what_is_not_projected(table, p):
    answer = query(table, p, "p = :p", FilterExpression="n = :three", ProjectionExpression="c")
    assert [plain(item) for item in answer["Items"]] == [{"c": "b"}]


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8])
@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("text", [None, "n = :three"])
def test_d22_walk_by_pages(table, p, text, forward, limit):
    more = {"Limit": limit, "ScanIndexForward": forward} | ({"FilterExpression": text} if text else {})
    found, scanned, pages = [], 0, 0
    while True:
        answer = query(table, p, "p = :p", **more)
        assert answer["Count"] == len(answer["Items"]) <= answer["ScannedCount"] <= limit
        found += sorts(answer)
        scanned += answer["ScannedCount"]
        pages += 1
        assert pages < 20
        if "LastEvaluatedKey" not in answer:
            break
        more["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
        assert set(answer["LastEvaluatedKey"]) == {"p", "c"}
    whole = LETTERS if text is None else ["b"]
    assert found == (whole if forward else whole[::-1])
    assert scanned == len(LETTERS)


def test_2_3_the_last_evaluated_key_is_that_of_the_last_evaluated_item(table, p):
    answer = query(table, p, "p = :p", Limit=2, FilterExpression="n = :three")
    assert answer["Items"] == [] and answer["ScannedCount"] == 2
    assert answer["LastEvaluatedKey"] == item_of({"p": p, "c": "ab"})


@pytest.mark.parametrize(
    "start, forward, expected",
    [
        ("aaa", True, ["ab", "abc", "b", "ba", "c", "d"]),
        ("bz", False, ["ba", "b", "abc", "ab", "a"]),
        ("zz", True, []),
        ("d", True, []),
    ],
)
def test_2_3_start_anywhere(table, p, start, forward, expected):
    answer = query(table, p, "p = :p", ExclusiveStartKey=item_of({"p": p, "c": start}), ScanIndexForward=forward)
    assert sorts(answer) == expected


OUTSIDE = "The provided starting key is outside query boundaries based on provided conditions"


@pytest.mark.parametrize(
    "start, text, fragment",
    [
        ({"p": "{p}"}, "p = :p", "The provided starting key is invalid"),
        ({"c": "a"}, "p = :p", "The provided starting key is invalid"),
        ({"p": "{p}", "c": "a", "x": "a"}, "p = :p", "The provided starting key is invalid"),
        ({"p": "{p}", "x": "a"}, "p = :p", "The provided starting key is invalid"),
        ({}, "p = :p", "The provided starting key is invalid"),
        ({"p": "{p}", "c": 1}, "p = :p", "The provided key element does not match the schema"),
        ({"p": "elsewhere", "c": "a"}, "p = :p", OUTSIDE),
    ],
)
def test_2_3_start_refused(table, p, start, text, fragment):
    start = {name: p if value == "{p}" else value for name, value in start.items()}
    with refused(VALIDATION, fragment):
        query(table, p, text, ExclusiveStartKey=item_of(start))


def test_2_3_start_on_a_table_without_sort_key(hash_table):
    key = hash_table.key()
    hash_table.put(key)
    with refused():
        query(hash_table, key["p"], "p = :p", ExclusiveStartKey=item_of(key))


def test_2_3_no_key_is_given_that_would_be_refused(hash_table):
    key = hash_table.key()
    hash_table.put(key)
    answer = query(hash_table, key["p"], "p = :p", Limit=1)
    assert answer["Count"] == 1
    assert "LastEvaluatedKey" not in answer


@pytest.mark.parametrize("limit", [0, -1])
def test_2_3_limit_refused(table, p, limit):
    with refused(VALIDATION, "Member must have value greater than or equal to 1"):
        query(table, p, "p = :p", Limit=limit)


@pytest.fixture(scope="module")
def large(table):
    """The partition key of five items of 400 kB: three make a page."""
    p = unique()
    for at in range(5):
        table.put({"p": p, "c": str(at), "x": "x" * 400_000, "n": at})
    return p


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize(
    "more", [{}, {"Select": "COUNT"}, {"ProjectionExpression": "c"}, {"FilterExpression": "n = :three"}], ids=str
)
def test_d22_a_page_ends_at_a_megabyte(table, large, forward, more):
    start, counts, scanned = {}, [], []
    while True:
        answer = query(table, large, "p = :p", ScanIndexForward=forward, **more, **start)
        counts.append(answer["Count"])
        scanned.append(answer["ScannedCount"])
        if "LastEvaluatedKey" not in answer:
            break
        start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
    assert sum(scanned) == 5 and max(scanned) <= 3 and len(scanned) >= 2
    assert sum(counts) == (1 if "FilterExpression" in more else 5)


def test_2_1_6_a_query_costs_what_it_evaluates(table, large, p):
    costs = {}
    for consistent in (True, False):
        answer = query(table, p, "p = :p", ReturnConsumedCapacity="TOTAL", ConsistentRead=consistent)
        costs[consistent] = answer["ConsumedCapacity"]["CapacityUnits"]
    assert costs == {True: 1, False: 0.5}
    answer = query(table, large, "p = :p", Limit=1, Select="COUNT", ReturnConsumedCapacity="INDEXES")
    units = -(-400_040 // 4096)
    assert answer["ConsumedCapacity"]["CapacityUnits"] in (units, units + 1)
    assert answer["ConsumedCapacity"]["Table"]["CapacityUnits"] == answer["ConsumedCapacity"]["CapacityUnits"]


# ----------------------------------------------------------------------------------------------------------------------
# Selection.


def test_2_3_select_count(table, p):
    answer = query(table, p, "p = :p", Select="COUNT")
    assert "Items" not in answer
    assert (answer["Count"], answer["ScannedCount"]) == (len(LETTERS), len(LETTERS))


def test_2_3_select_all_attributes(table, p):
    answer = query(table, p, "p = :p AND c = :a", Select="ALL_ATTRIBUTES")
    assert [plain(item) for item in answer["Items"]] == [{"p": p, "c": "a", "n": 0, "even": True}]


def test_2_3_select_specific_attributes(table, p):
    answer = query(table, p, "p = :p AND c = :a", Select="SPECIFIC_ATTRIBUTES", ProjectionExpression="n")
    assert [plain(item) for item in answer["Items"]] == [{"n": 0}]


@pytest.mark.parametrize(
    "more",
    [
        {"Select": "SPECIFIC_ATTRIBUTES"},
        {"Select": "ALL_PROJECTED_ATTRIBUTES"},
        {"Select": "COUNT", "ProjectionExpression": "n"},
        {"Select": "ALL_ATTRIBUTES", "ProjectionExpression": "n"},
        {"Select": "ALL_ATTRIBUTES", "AttributesToGet": ["n"]},
        {"Select": "DOG"},
        {"Select": "count"},
    ],
    ids=str,
)
def test_2_3_select_refused(table, p, more):
    legacy = {"KeyConditions": {"p": {"ComparisonOperator": "EQ", "AttributeValueList": [av(p)]}}}
    with refused():
        if "AttributesToGet" in more:
            table.query(**legacy, **more)
        else:
            query(table, p, "p = :p", **more)


def test_2_3_unknown_index_is_a_validation_error(table, p):
    with refused(VALIDATION, "The table does not have the specified index: nowhere"):
        query(table, p, "p = :p", IndexName="nowhere")


def test_2_3_unknown_index_of_an_unknown_table_is_not_found(db):
    with refused(NOT_FOUND):
        db.query(
            TableName="conformance-unknown",
            IndexName="nowhere",
            KeyConditionExpression="p = :p",
            ExpressionAttributeValues=item_of({":p": "a"}),
        )


def test_2_3_keys_are_compared_with_the_right_sizes(table):
    for name, size in (("p", 2049), ("c", 1025)):
        values = {":p": "p" * (size if name == "p" else 1), ":c": "c" * (size if name == "c" else 1)}
        with refused():
            table.query(KeyConditionExpression="p = :p AND c = :c", ExpressionAttributeValues=item_of(values))


def test_d27_paginator_of_query(table, p):
    pages = table.db.get_paginator("query").paginate(
        TableName=table.name,
        KeyConditionExpression="p = :p",
        ExpressionAttributeValues=item_of({":p": p}),
        ConsistentRead=True,
        PaginationConfig={"PageSize": 3},
    )
    assert [sort for page in pages for sort in sorts(page)] == LETTERS


@pytest.mark.skipif(len(ENDPOINTS) < 2, reason="there is one endpoint")
def test_2_3_pages_from_alternating_nodes(table, p):
    nodes = [Table(client(endpoint=endpoint), table.name, "p:S c:S", table.description) for endpoint in ENDPOINTS]
    found, start, at = [], {}, 0
    while True:
        answer = query(nodes[at % len(nodes)], p, "p = :p", Limit=1, **start)
        found += sorts(answer)
        at += 1
        if "LastEvaluatedKey" not in answer:
            break
        start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
    assert found == LETTERS
