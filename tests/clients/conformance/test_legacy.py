"""The parameters from before expressions (section 2.5)."""

import pytest

from dynamo import CONDITION_FAILED, VALIDATION, Raw, av, item_of, plain, refused, unique

ITEM = {
    "s": "hello",
    "n": 5,
    "b": b"\x01\x80\xff",
    "t": True,
    "z": None,
    "l": ["a", 1],
    "m": {"k": 1},
    "ss": {"a", "b"},
    "ns": {1, 2},
    "bs": {b"a"},
    "a.b": "dotted",
}


def compare(operator, *values):
    condition = {"ComparisonOperator": operator}
    if values:
        condition["AttributeValueList"] = [av(value) for value in values]
    return condition


# Attribute, condition, whether it holds.
CONDITIONS = [
    ("s", compare("EQ", "hello"), True),
    ("s", compare("EQ", "help"), False),
    ("s", compare("EQ", 5), False),
    ("nowhere", compare("EQ", 5), False),
    ("n", compare("EQ", Raw({"N": "5.0"})), True),
    ("ss", compare("EQ", Raw({"SS": ["b", "a"]})), True),
    ("l", compare("EQ", ["a", 1]), True),
    ("m", compare("EQ", {"k": 1}), True),
    ("a.b", compare("EQ", "dotted"), True),
    ("s", compare("NE", "help"), True),
    ("s", compare("NE", "hello"), False),
    ("s", compare("NE", 5), True),
    ("nowhere", compare("NE", 5), True),
    ("n", compare("LT", 6), True),
    ("n", compare("LT", 5), False),
    ("n", compare("LE", 5), True),
    ("n", compare("GT", 4), True),
    ("n", compare("GE", 6), False),
    ("s", compare("LT", "help"), True),
    ("s", compare("LT", 6), False),
    ("b", compare("GT", b"\x01\x7f"), True),
    ("nowhere", compare("GT", 1), False),
    ("s", compare("NOT_NULL"), True),
    ("nowhere", compare("NOT_NULL"), False),
    ("z", compare("NOT_NULL"), True),
    ("nowhere", compare("NULL"), True),
    ("s", compare("NULL"), False),
    ("z", compare("NULL"), False),
    ("s", compare("NULL") | {"AttributeValueList": []}, False),
    ("s", compare("CONTAINS", "ell"), True),
    ("s", compare("CONTAINS", "x"), False),
    ("ss", compare("CONTAINS", "a"), True),
    ("ss", compare("CONTAINS", "x"), False),
    ("ns", compare("CONTAINS", 2), True),
    ("l", compare("CONTAINS", "a"), True),
    ("l", compare("CONTAINS", 1), True),
    ("n", compare("CONTAINS", 5), False),
    ("nowhere", compare("CONTAINS", "a"), False),
    ("s", compare("NOT_CONTAINS", "x"), True),
    ("s", compare("NOT_CONTAINS", "ell"), False),
    ("ss", compare("NOT_CONTAINS", "x"), True),
    ("nowhere", compare("NOT_CONTAINS", "a"), False),
    ("s", compare("BEGINS_WITH", "hel"), True),
    ("s", compare("BEGINS_WITH", "x"), False),
    ("b", compare("BEGINS_WITH", b"\x01\x80"), True),
    ("n", compare("BEGINS_WITH", "5"), False),
    ("n", compare("IN", 4, 5), True),
    ("n", compare("IN", 4), False),
    ("s", compare("IN", "a", "hello"), True),
    ("nowhere", compare("IN", "a"), False),
    ("n", compare("BETWEEN", 4, 6), True),
    ("n", compare("BETWEEN", 5, 5), True),
    ("n", compare("BETWEEN", 6, 7), False),
    ("s", compare("BETWEEN", "a", "i"), True),
    ("n", compare("BETWEEN", "a", "b"), False),
    ("nowhere", compare("BETWEEN", 1, 2), False),
]
IDS = [f"{name} {condition}" for name, condition, _ in CONDITIONS]


@pytest.fixture(scope="module")
def document(table):
    key = table.key()
    table.put(key | ITEM)
    return key


def key_conditions(p):
    return {"p": compare("EQ", p)}


@pytest.mark.parametrize("name, condition, holds", CONDITIONS, ids=IDS)
def test_2_5_expected(table, document, name, condition, holds):
    if holds:
        table.update(document, Expected={name: condition})
        return
    with refused(CONDITION_FAILED):
        table.update(document, Expected={name: condition})


@pytest.mark.parametrize("name, condition, holds", CONDITIONS, ids=IDS)
def test_2_5_query_filter(table, document, name, condition, holds):
    answer = table.query(KeyConditions=key_conditions(document["p"]), QueryFilter={name: condition})
    assert (answer["Count"], answer["ScannedCount"]) == (int(holds), 1)


@pytest.mark.parametrize(
    "expected, holds",
    [
        ({"s": {"Value": av("hello")}}, True),
        ({"s": {"Value": av("help")}}, False),
        ({"s": {"Exists": True, "Value": av("hello")}}, True),
        ({"s": {"Exists": True, "Value": av("help")}}, False),
        ({"nowhere": {"Exists": False}}, True),
        ({"s": {"Exists": False}}, False),
        ({"nowhere": {"Value": av("hello")}}, False),
        ({"s": {"Value": av("hello")}, "n": {"Value": av(5)}}, True),
        ({"s": {"Value": av("hello")}, "n": {"Value": av(6)}}, False),
    ],
)
@pytest.mark.parametrize("operation", ["put", "update", "delete"])
def test_2_5_expected_by_value(table, operation, expected, holds):
    key = table.key()
    table.put(key | ITEM)
    call = getattr(table, operation)
    if holds:
        call(key, Expected=expected)
        return
    with refused(CONDITION_FAILED):
        call(key, Expected=expected)
    assert table.get(key) == key | ITEM


BAD_EXPECTED = {
    "exists without a value": {"s": {"Exists": True}},
    "does not exist, with a value": {"s": {"Exists": False, "Value": av(1)}},
    "nothing said": {"s": {}},
    "two ways": {"s": {"Value": av(1)} | compare("EQ", 1)},
    "exists and operator": {"s": {"Exists": False} | compare("NULL")},
    "values without operator": {"s": {"AttributeValueList": [av(1)]}},
    "operator in lower case": {"s": compare("eq", 1)},
    "unknown operator": {"s": compare("DOG", 1)},
}
COUNTS = [
    (operator, count)
    for operator in ("EQ", "NE", "LE", "LT", "GE", "GT", "CONTAINS", "NOT_CONTAINS", "BEGINS_WITH")
    for count in (0, 2)
]
COUNTS += [("NULL", 1), ("NOT_NULL", 1), ("IN", 0), ("BETWEEN", 0), ("BETWEEN", 1), ("BETWEEN", 3)]
BAD_VALUES = {
    "nothing": compare("EQ"),
    "no list": compare("IN"),
    "no bounds": compare("BETWEEN"),
    "order of a list": compare("LT", ["a"]),
    "order of a set": compare("GE", {"a"}),
    "order of a boolean": compare("GT", True),
    "contains a list": compare("CONTAINS", ["a"]),
    "contains a set": compare("NOT_CONTAINS", {"a"}),
    "begins with a number": compare("BEGINS_WITH", 1),
    "in several types": compare("IN", 1, "a"),
    "in a list": compare("IN", ["a"]),
    "between several types": compare("BETWEEN", 1, "a"),
    "between in disorder": compare("BETWEEN", 2, 1),
}


@pytest.mark.parametrize("case", BAD_EXPECTED)
def test_2_5_expected_refused(table, case):
    with refused():
        table.update(table.key(), Expected=BAD_EXPECTED[case])


@pytest.mark.parametrize("operator, count", COUNTS)
def test_2_5_number_of_arguments(table, operator, count):
    condition = compare(operator, *range(count)) | ({} if count else {"AttributeValueList": []})
    with refused(VALIDATION, f"Invalid number of argument(s) for the {operator} ComparisonOperator"):
        table.update(table.key(), Expected={"s": condition})
    with refused(VALIDATION, f"Invalid number of argument(s) for the {operator} ComparisonOperator"):
        table.scan(ScanFilter={"s": condition})


@pytest.mark.parametrize("case", BAD_VALUES)
def test_2_5_arguments_refused(table, case):
    with refused():
        table.update(table.key(), Expected={"s": BAD_VALUES[case]})
    with refused():
        table.query(KeyConditions=key_conditions(unique()), QueryFilter={"s": BAD_VALUES[case]})


@pytest.mark.parametrize("operator, holds", [(None, False), ("AND", False), ("OR", True)])
def test_2_5_conditional_operator(table, document, operator, holds):
    more = {"ConditionalOperator": operator} if operator else {}
    conditions = {"s": compare("EQ", "hello"), "n": compare("EQ", 6)}
    answer = table.query(KeyConditions=key_conditions(document["p"]), QueryFilter=conditions, **more)
    assert answer["Count"] == int(holds)
    if holds:
        table.update(document, Expected=conditions, **more)
        return
    with refused(CONDITION_FAILED):
        table.update(document, Expected=conditions, **more)


@pytest.mark.parametrize("more", [{}, {"Expected": {}}], ids=str)
def test_2_5_conditional_operator_of_nothing(table, more):
    with refused():
        table.put(table.key(), ConditionalOperator="AND", **more)


@pytest.mark.parametrize("more", [{}, {"ScanFilter": {}}], ids=str)
def test_2_5_conditional_operator_of_no_filter(table, more):
    with refused():
        table.scan(ConditionalOperator="OR", **more)


def test_2_5_unknown_conditional_operator(table):
    with refused():
        table.put(table.key(), ConditionalOperator="or", Expected={"s": {"Exists": False}})


# ----------------------------------------------------------------------------------------------------------------------
# AttributeUpdates.


def change(action, value=None):
    return ({"Action": action} if action else {}) | ({} if value is None else {"Value": av(value)})


UPDATES = [
    ({}, {"a": change("PUT", 1)}, {"a": 1}),
    ({}, {"a": change(None, 1)}, {"a": 1}),
    ({"a": 1}, {"a": change("PUT", "x"), "b": change("PUT", {"k": 1})}, {"a": "x", "b": {"k": 1}}),
    ({}, {"a.b": change("PUT", 1)}, {"a.b": 1}),
    ({"a": 1, "b": 2}, {"a": change("DELETE")}, {"b": 2}),
    ({"b": 2}, {"a": change("DELETE")}, {"b": 2}),
    ({"a": {"x", "y"}}, {"a": change("DELETE", {"x"})}, {"a": {"y"}}),
    ({"a": {"x"}}, {"a": change("DELETE", {"x"})}, {}),
    ({"b": 2}, {"a": change("DELETE", {"x"})}, {"b": 2}),
    ({"a": 1}, {"a": change("ADD", 5)}, {"a": 6}),
    ({"b": 1}, {"a": change("ADD", 5)}, {"a": 5, "b": 1}),
    ({"a": {"x"}}, {"a": change("ADD", {"y"})}, {"a": {"x", "y"}}),
    ({"a": [1]}, {"a": change("ADD", [2, 3])}, {"a": [1, 2, 3]}),
    ({}, {"a": change("ADD", [2])}, {"a": [2]}),
    (None, {"a": change("ADD", 5)}, {"a": 5}),
    (None, {"a": change("PUT", 5)}, {"a": 5}),
    (None, {"a": change("DELETE")}, None),
    (None, {"a": change("DELETE", {"x"})}, None),
]


@pytest.mark.parametrize("before, updates, after", UPDATES, ids=[f"{case[1]} on {case[0]}" for case in UPDATES])
def test_2_5_attribute_updates(table, before, updates, after):
    key = table.key()
    if before is not None:
        table.put(key | before)
    answer = table.update(key, AttributeUpdates=updates, ReturnValues="ALL_NEW")
    whole = None if after is None else key | after
    assert table.get(key) == whole
    assert plain(answer.get("Attributes")) == whole


@pytest.mark.parametrize(
    "before, updates",
    [
        ({}, {"a": change("PUT")}),
        ({}, {"a": change("ADD")}),
        ({}, {"a": change("ADD", "x")}),
        ({}, {"a": change("ADD", {"k": 1})}),
        ({}, {"a": change("DELETE", "x")}),
        ({}, {"a": change("DELETE", 1)}),
        ({}, {"a": change("dog", 1)}),
        ({}, {"a": change("put", 1)}),
        ({"a": "x"}, {"a": change("ADD", 1)}),
        ({"a": 1}, {"a": change("ADD", {"x"})}),
        ({"a": {"x"}}, {"a": change("DELETE", {1})}),
        ({"a": 1}, {"a": change("DELETE", {"x"})}),
        ({}, {"p": change("PUT", "x")}),
        ({}, {"c": change("DELETE")}),
    ],
    ids=str,
)
def test_2_5_attribute_updates_refused(table, before, updates):
    key = table.key()
    table.put(key | before)
    with refused():
        table.update(key, AttributeUpdates=updates)
    assert table.get(key) == key | before


# ----------------------------------------------------------------------------------------------------------------------
# AttributesToGet, KeyConditions, filters.


def test_2_5_attributes_to_get(table, document):
    assert table.get(document, AttributesToGet=["s", "a.b", "nowhere"]) == {"s": "hello", "a.b": "dotted"}
    assert table.get(document, AttributesToGet=["l[0]"]) == {}


@pytest.mark.parametrize("names", [[], ["a", "a"], ["a", "b", "a"]], ids=str)
def test_2_5_attributes_to_get_refused(table, names):
    with refused():
        table.get_raw(table.key(), AttributesToGet=names)
    with refused():
        table.scan(AttributesToGet=names)


@pytest.mark.parametrize(
    "condition, expected",
    [
        (None, "abcde"),
        (compare("EQ", "b"), "b"),
        (compare("LE", "b"), "ab"),
        (compare("LT", "b"), "a"),
        (compare("GE", "d"), "de"),
        (compare("GT", "d"), "e"),
        (compare("BEGINS_WITH", "c"), "c"),
        (compare("BETWEEN", "b", "d"), "bcd"),
    ],
    ids=str,
)
def test_2_5_key_conditions(table, condition, expected):
    p = unique()
    table.put_many([{"p": p, "c": letter} for letter in "abcde"])
    conditions = key_conditions(p) | ({"c": condition} if condition else {})
    assert "".join(item["c"]["S"] for item in table.query(KeyConditions=conditions)["Items"]) == expected


BAD_KEYS = {
    "no partition key": {"c": compare("EQ", "a")},
    "no equality": {"p": compare("GT", "a")},
    "begins with": {"p": compare("BEGINS_WITH", "a")},
    "sort key differs": {"p": compare("EQ", "a"), "c": compare("NE", "a")},
    "sort key in": {"p": compare("EQ", "a"), "c": compare("IN", "a")},
    "sort key contains": {"p": compare("EQ", "a"), "c": compare("CONTAINS", "a")},
    "another attribute": {"p": compare("EQ", "a"), "x": compare("EQ", "a")},
    "three": {"p": compare("EQ", "a"), "c": compare("EQ", "a"), "x": compare("EQ", "a")},
    "wrong type": {"p": compare("EQ", 1)},
    "wrong sort type": {"p": compare("EQ", "a"), "c": compare("LT", 1)},
    "no argument": {"p": compare("EQ")},
    "two arguments": {"p": compare("EQ", "a", "b")},
    "empty": {},
}


@pytest.mark.parametrize("case", BAD_KEYS)
def test_2_5_key_conditions_refused(table, case):
    with refused():
        table.query(KeyConditions=BAD_KEYS[case])


def test_2_5_key_conditions_by_both_ways(table):
    with refused():
        table.query(
            KeyConditions=key_conditions("a"),
            KeyConditionExpression="p = :p",
            ExpressionAttributeValues=item_of({":p": "a"}),
        )


@pytest.mark.parametrize("name", ["p", "c"])
def test_2_5_query_filter_on_a_key(table, name):
    with refused():
        table.query(KeyConditions=key_conditions("a"), QueryFilter={name: compare("EQ", "a")})


def test_2_5_empty_filters_are_none(table, document):
    assert table.query(KeyConditions=key_conditions(document["p"]), QueryFilter={})["Count"] == 1
    assert "Items" in table.scan(ScanFilter={})


def test_2_5_scan_filter_on_a_key(table, document):
    found, more = 0, {"ScanFilter": {"p": compare("EQ", document["p"])}}
    while True:
        answer = table.scan(**more)
        found += answer["Count"]
        if "LastEvaluatedKey" not in answer:
            break
        more["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
    assert found == 1


@pytest.mark.parametrize("operation", ["query", "scan"])
def test_2_5_filters_by_both_ways(table, operation):
    both = {"FilterExpression": "attribute_exists(s)"}
    with refused():
        if operation == "query":
            table.query(KeyConditions=key_conditions("a"), QueryFilter={"s": compare("NULL")}, **both)
        else:
            table.scan(ScanFilter={"s": compare("NULL")}, **both)


def test_2_5_key_conditions_beside_a_filter_expression(table):
    """The one mixture that is none: filters became expressions before key conditions did."""
    key = table.key()
    table.put(key | {"s": "here"})
    found = table.query(KeyConditions=key_conditions(key["p"]), FilterExpression="attribute_exists(s)")
    assert found["Count"] == 1
