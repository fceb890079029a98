"""Values: types, numbers, sets, names, sizes, nesting (sections 2.1.1, 2.1.2, 2.1.4)."""

import pytest

import wire
from dynamo import SERIALIZATION, VALIDATION, Raw, av, item_of, plain, refused, unique


def stored(table, value):
    """What a value comes back as."""
    key = table.key()
    table.put(key | {"x": value})
    return table.get_raw(key)["Item"]["x"]


# ----------------------------------------------------------------------------------------------------------------------
# 2.1.1: types.

VALUES = {
    "text": "abc",
    "empty text": "",
    "text with NUL": "a\0b",
    "text beyond the first plane": "\U0001f600\u4e2d\u00e9",
    "text with quotes": "\"'\\\n\r\t",
    "number": 5,
    "bytes": bytes(range(256)),
    "empty bytes": b"",
    "true": True,
    "false": False,
    "null": None,
    "empty list": [],
    "empty map": {},
    "list": [1, "a", None, True, b"x", [1], {"a": 1}],
    "map": {"a": 1, "b": {"c": [1, 2]}, "with.dot": 1, 'with " quote': 2},
    "set of text": {"a", "b", ""},
    "set of numbers": {1, 2, 3},
    "set of bytes": {b"a", b"\xff"},
    "set in a list in a map": {"a": [{"x", "y"}]},
    "empty text in a list": ["", b""],
}


@pytest.mark.parametrize("case", VALUES)
def test_2_1_1_value_comes_back(hash_table, case):
    key = hash_table.key()
    hash_table.put(key | {"x": VALUES[case]})
    assert hash_table.get(key) == key | {"x": VALUES[case]}


EMPTY = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
SEVERAL = "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"

# As JSON: what no client would send.
REFUSED_VALUES = {
    "no type": ({}, EMPTY),
    "unknown type": ({"dog": "cat"}, EMPTY),
    "two types": ({"S": "a", "N": "1"}, SEVERAL),
    "null that is false": ({"NULL": False}, ""),
    "empty set of text": ({"SS": []}, "may not be empty"),
    "empty set of numbers": ({"NS": []}, "may not be empty"),
    "empty set of bytes": ({"BS": []}, "not be empty"),
    "the same text twice": ({"SS": ["a", "b", "a"]}, "contains duplicates"),
    "the same number twice": ({"NS": ["1", "2", "1"]}, "contains duplicates"),
    "the same number written twice": ({"NS": ["1", "1.0"]}, "contains duplicates"),
    "the same bytes twice": ({"BS": ["YQ==", "YQ=="]}, "contains duplicates"),
}


@pytest.mark.parametrize("around", ["itself", "in a list", "in a map", "in a condition"])
@pytest.mark.parametrize("case", REFUSED_VALUES)
def test_2_1_1_value_refused(hash_table, case, around):
    value, text = REFUSED_VALUES[case]
    body = {"TableName": hash_table.name, "Item": {"p": {"S": unique()}}}
    if around == "in a condition":
        body |= {"ConditionExpression": "x = :x", "ExpressionAttributeValues": {":x": value}}
    else:
        body["Item"]["x"] = {"itself": value, "in a list": {"L": [value]}, "in a map": {"M": {"a": value}}}[around]
    answer = wire.call("PutItem", body)
    assert (answer.status, answer.kind) == (400, VALIDATION)
    assert text in answer.message


WRONG_JSON = {
    "number as number": {"N": 3},
    "text as number": {"S": 5},
    "text as list": {"S": ["a"]},
    "map as list": {"M": []},
    "list as map": {"L": {}},
    "set as text": {"SS": "a"},
    "set with a number": {"NS": [1]},
    "bytes as number": {"B": 5},
    "base64 of a bad length": {"B": "YWJ"},
    "base64 of a bad alphabet": {"B": "YW*="},
    "base64 for addresses": {"B": "_-__"},
    "base64 in a set": {"BS": ["YWJ"]},
    "value is text": "abc",
    "value is a list": [],
}


@pytest.mark.parametrize("around", ["itself", "in a list", "in a condition"])
@pytest.mark.parametrize("case", WRONG_JSON)
def test_2_1_1_wrong_json_kind(hash_table, case, around):
    value = WRONG_JSON[case]
    body = {"TableName": hash_table.name, "Item": {"p": {"S": unique()}}}
    if around == "in a condition":
        body |= {"ConditionExpression": "x = :x", "ExpressionAttributeValues": {":x": value}}
    else:
        body["Item"]["x"] = value if around == "itself" else {"L": [value]}
    answer = wire.call("PutItem", body)
    assert (answer.status, answer.kind) == (400, SERIALIZATION)


@pytest.mark.parametrize(
    "name", ["a.b", "a[0]", " ", "\0", "\n", '"', "'", "#x", ":x", "\u00e9", "SELECT", "0", "x" * 65535]
)
def test_2_1_1_names_with_any_character(hash_table, name):
    key = hash_table.key()
    hash_table.put(key | {name: "value"})
    assert hash_table.get(key) == key | {name: "value"}


def test_2_1_3_name_too_long(hash_table):
    with refused():
        hash_table.put(hash_table.key() | {"x" * 65536: "value"})


def test_2_1_3_empty_name(hash_table):
    with refused(VALIDATION, "Empty attribute name"):
        hash_table.put(hash_table.key() | {"": "value"})


# ----------------------------------------------------------------------------------------------------------------------
# 2.1.2: numbers.

NINES = "9" * 38
CANONICAL = {
    "0": "0",
    "-0": "0",
    "+0": "0",
    "0.0": "0",
    "0e5": "0",
    "0e-20": "0",
    "007": "7",
    "+1.5": "1.5",
    "-1.5": "-1.5",
    "1.10": "1.1",
    "100.000": "100",
    "123e-2": "1.23",
    ".5": "0.5",
    "-.5": "-0.5",
    "1e3": "1000",
    "1E+3": "1000",
    "1E3": "1000",
    "1.5e-7": "0.00000015",
    "1e-20": "0.00000000000000000001",
    "0.000123": "0.000123",
    "1e125": "1" + "0" * 125,
    "-1e125": "-1" + "0" * 125,
    "1e-130": "0." + "0" * 129 + "1",
    "-1e-130": "-0." + "0" * 129 + "1",
    NINES: NINES,
    "-" + NINES: "-" + NINES,
    "0." + NINES: "0." + NINES,
    NINES[:20] + "." + NINES[20:]: NINES[:20] + "." + NINES[20:],
    "9." + NINES[1:] + "e125": NINES + "0" * 88,
    NINES + "000": NINES + "000",
    "000" + NINES: NINES,
    "1" + "0" * 60: "1" + "0" * 60,
    "0." + "0" * 60 + "1": "0." + "0" * 60 + "1",
    "1.000000000000000000000000000000000000000000000000": "1",
}


@pytest.mark.parametrize("text", CANONICAL)
def test_2_1_2_canonical_output(hash_table, text):
    assert stored(hash_table, Raw({"N": text})) == {"N": CANONICAL[text]}


@pytest.mark.parametrize("text", ["007", "1e3", "1.10", "-0"])
def test_2_1_2_canonical_in_containers(hash_table, text):
    number = Raw({"N": text})
    expected = {"N": CANONICAL[text]}
    assert stored(hash_table, [number]) == {"L": [expected]}
    assert stored(hash_table, {"a": number}) == {"M": {"a": expected}}
    assert stored(hash_table, Raw({"NS": [text]})) == {"NS": [CANONICAL[text]]}


NOT_NUMERIC = "The parameter cannot be converted to a numeric value"
TOO_LONG = "Attempting to store more than 38 significant digits in a Number"
TOO_LARGE = "Number overflow. Attempting to store a number with magnitude larger than supported range"
TOO_SMALL = "Number underflow."
REFUSED_NUMBERS = {
    "": NOT_NUMERIC,
    "dog": NOT_NUMERIC + ": dog",
    "NaN": NOT_NUMERIC + ": NaN",
    "Infinity": NOT_NUMERIC + ": Infinity",
    "-Infinity": NOT_NUMERIC + ": -Infinity",
    " 1": NOT_NUMERIC + ":  1",
    "1 ": NOT_NUMERIC + ": 1 ",
    "1 2": NOT_NUMERIC + ": 1 2",
    "0x10": NOT_NUMERIC + ": 0x10",
    "1e": NOT_NUMERIC + ": 1e",
    "1.2.3": NOT_NUMERIC + ": 1.2.3",
    "--1": NOT_NUMERIC + ": --1",
    "1,000": NOT_NUMERIC + ": 1,000",
    ".": NOT_NUMERIC + ": .",
    NINES + "9": TOO_LONG,
    "0." + NINES + "9": TOO_LONG,
    "1" + "0" * 37 + "1": TOO_LONG,
    "1e126": TOO_LARGE,
    "-1e126": TOO_LARGE,
    "1e100000000": TOO_LARGE,
    "1e-131": TOO_SMALL,
    "-1e-131": TOO_SMALL,
    "1e-100000000": TOO_SMALL,
}


@pytest.mark.parametrize("text", REFUSED_NUMBERS)
def test_2_1_2_number_refused(hash_table, text):
    with refused(VALIDATION, REFUSED_NUMBERS[text]):
        hash_table.put(hash_table.key() | {"x": Raw({"N": text})})


@pytest.mark.parametrize("text", ["dog", NINES + "9", "1e126", "1e-131"])
@pytest.mark.parametrize("place", ["set", "list", "key", "condition"])
def test_2_1_2_number_refused_everywhere(hash_table, number_table, text, place):
    with refused(VALIDATION, REFUSED_NUMBERS[text]):
        if place == "set":
            hash_table.put(hash_table.key() | {"x": Raw({"NS": ["1", text]})})
        elif place == "list":
            hash_table.put(hash_table.key() | {"x": [Raw({"N": text})]})
        elif place == "key":
            number_table.put({"p": Raw({"N": text}), "c": 1})
        else:
            hash_table.update(hash_table.key(), "SET x = :x", {":x": Raw({"N": text})})


WAYS = ["1000", "1e3", "1000.0", "+1000", "001000", "10.00e2"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["p", "c"])
def test_d18_keys_that_are_equal_numbers_are_one_item(number_table, name, way):
    other = "c" if name == "p" else "p"
    fixed = {other: number_table.key()[other]}
    number_table.put(fixed | {name: 1000, "x": way})
    found = plain(number_table.get_raw(fixed | {name: Raw({"N": way})})["Item"])
    assert found == fixed | {name: 1000, "x": way}
    number_table.put(fixed | {name: Raw({"N": way}), "x": "again"})
    raw = number_table.get_raw(fixed | {name: 1000})["Item"]
    assert raw[name] == {"N": "1000"} and raw["x"] == {"S": "again"}
    number_table.delete(fixed | {name: Raw({"N": way})})
    assert number_table.get(fixed | {name: 1000}) is None


def test_2_1_2_sets_are_numeric(hash_table):
    key = hash_table.key()
    hash_table.put(key | {"x": {1}})
    hash_table.update(key, "ADD x :x", {":x": Raw({"NS": ["1.0"]})})
    assert hash_table.get_raw(key)["Item"]["x"] == {"NS": ["1"]}
    hash_table.update(key, "SET y = :y", {":y": 1, ":x": Raw({"NS": ["1e0"]})}, ConditionExpression="x = :x")


@pytest.mark.parametrize(
    "old, sign, by, new",
    [
        ("0.1", "+", "0.2", "0.3"),
        ("1", "-", "1", "0"),
        ("1e-30", "+", "1", "1.000000000000000000000000000001"),
        ("9" * 37 + "8", "+", "1", NINES),
        ("-5", "-", "3", "-8"),
        ("1e125", "-", "1e125", "0"),
        ("12345678901234567890", "+", "98765432109876543210", "111111111011111111100"),
    ],
)
def test_2_1_2_arithmetic_is_exact(hash_table, old, sign, by, new):
    key = hash_table.key()
    hash_table.put(key | {"x": Raw({"N": old})})
    hash_table.update(key, f"SET x = x {sign} :by", {":by": Raw({"N": by})})
    assert hash_table.get_raw(key)["Item"]["x"] == {"N": new}


@pytest.mark.parametrize("old, by", [("1e50", "1"), ("9e125", "9e125"), ("1e125", "1e-130"), ("1", "1e-100")])
@pytest.mark.parametrize("expression", ["SET x = x + :by", "ADD x :by"])
def test_2_1_2_arithmetic_beyond_the_range(hash_table, expression, old, by):
    key = hash_table.key()
    hash_table.put(key | {"x": Raw({"N": old})})
    before = hash_table.get_raw(key)["Item"]
    with refused():
        hash_table.update(key, expression, {":by": Raw({"N": by})})
    assert hash_table.get_raw(key)["Item"] == before


def test_2_1_2_exponents_do_not_cost(hash_table):
    key = hash_table.key()
    hash_table.put(key | {"x": 1})
    with refused():
        hash_table.update(key, "SET x = x + :by", {":by": Raw({"N": "1.0e100000000"})})


# ----------------------------------------------------------------------------------------------------------------------
# 2.1.4: sizes and nesting.

ITEM_MAX = 409600
LARGE = "Item size has exceeded the maximum allowed size"
LARGE_UPDATE = "Item size to update has exceeded the maximum allowed size"


def filling(key, size):
    """The text that makes an item of this size together with the key, under the name `x`."""
    return "x" * (size - sum(len(name) + len(value) for name, value in key.items()) - 1)


def test_2_1_4_largest_item(hash_table):
    key = hash_table.key()
    hash_table.put(key | {"x": filling(key, ITEM_MAX)})
    with refused(VALIDATION, LARGE):
        hash_table.put(key | {"x": filling(key, ITEM_MAX + 1)})


def test_2_1_4_largest_item_by_update(hash_table):
    key = hash_table.key()
    hash_table.put(key | {"x": filling(key, ITEM_MAX - 11)})
    hash_table.update(key, "SET y = :y", {":y": "y" * 10})
    with refused(VALIDATION, LARGE_UPDATE):
        hash_table.update(key, "SET y = :y", {":y": "y" * 11})
    assert hash_table.get(key)["y"] == "y" * 10


def nested(kind, levels):
    value = "leaf"
    for _ in range(levels):
        value = [value] if kind == "list" else {"a": value}
    return value


@pytest.mark.parametrize("kind", ["list", "map"])
def test_2_1_4_nesting(hash_table, kind):
    key = hash_table.key()
    hash_table.put(key | {"x": nested(kind, 30)})
    assert hash_table.get(key)["x"] == nested(kind, 30)
    with refused(VALIDATION, "Nesting Levels have exceeded supported limits"):
        hash_table.put(hash_table.key() | {"x": nested(kind, 33)})


def test_2_1_4_nesting_in_an_expression(hash_table):
    with refused(VALIDATION, "Nesting Levels have exceeded supported limits"):
        hash_table.update(hash_table.key(), "SET x = :x", {":x": nested("map", 40)})


def test_2_1_4_nesting_by_update(hash_table):
    key = hash_table.key()
    hash_table.put(key | {"x": nested("map", 20)})
    with refused(VALIDATION, "Nesting Levels have exceeded supported limits"):
        hash_table.update(key, "SET " + ".".join(["x"] + ["a"] * 20) + " = :x", {":x": nested("map", 20)})


@pytest.mark.parametrize(
    "values",
    [["b", "a", "\u00e9", "\U0001f600", "\uffff", "\0", "A", "aa"], [3, -1, 0, 10, 2.5, -100]],
    ids=["text by UTF-8", "numbers"],
)
def test_2_1_1_order_of_sort_keys(tables, table, number_table, values):
    if isinstance(values[0], str):
        where, order = table, sorted(values, key=lambda text: text.encode())
    else:
        values = [Raw({"N": str(value)}) for value in values]
        where, order = number_table, sorted(values, key=lambda number: float(number["N"]))
    p = where.key()["p"]
    for value in values:
        where.put({"p": p, "c": value})
    answer = where.query(KeyConditionExpression="p = :p", ExpressionAttributeValues=item_of({":p": p}))
    assert [item["c"] for item in answer["Items"]] == [av(value) for value in order]


def test_2_1_1_order_of_binary_sort_keys(binary_table):
    p = binary_table.key()["p"]
    values = [b"\x7f", b"\x80", b"\xff", b"\x00", b"\x00\x00", b"\x01"]
    for value in values:
        binary_table.put({"p": p, "c": value})
    answer = binary_table.query(KeyConditionExpression="p = :p", ExpressionAttributeValues=item_of({":p": p}))
    assert [item["c"]["B"] for item in answer["Items"]] == sorted(values)
