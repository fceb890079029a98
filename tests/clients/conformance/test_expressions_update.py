"""Update expressions: what they make of an item, what they give back, what is refused (section 2.4; ReturnValues: 2.3)."""

import pytest

from dynamo import CONDITION_FAILED, VALIDATION, Raw, item_of, plain, referred, refused

NAMES = {"#a": "a", "#dot": "x.y", "#y": "year", "#m": "m"}
VALUES = {
    ":one": 1,
    ":two": 2,
    ":five": 5,
    ":zero": 0,
    ":minus": -3,
    ":s": "text",
    ":empty": "",
    ":b": b"\x00\xff",
    ":l": ["x", "y"],
    ":l1": ["z"],
    ":m": {"k": "v"},
    ":ss": {"b", "c"},
    ":ns": {2, 3},
    ":bs": {b"b", b"c"},
    ":all": {"a", "b"},
    ":true": True,
    ":null": None,
}

# Before (None: no item), the update, after.
UPDATES = [
    # SET
    ({}, "SET a = :one", {"a": 1}),
    (None, "SET a = :one", {"a": 1}),
    ({"a": 1, "b": 2}, "SET a = :s", {"a": "text", "b": 2}),
    (
        {},
        "SET a = :empty, b = :b, c1 = :l, d = :m, e = :ss, f = :true, g = :null",
        {
            "a": "",
            "b": b"\x00\xff",
            "c1": ["x", "y"],
            "d": {"k": "v"},
            "e": {"b", "c"},
            "f": True,
            "g": None,
        },
    ),
    ({}, "SET #dot = :one", {"x.y": 1}),
    ({}, "SET #y = :one", {"year": 1}),
    ({"b": 7}, "SET a = b", {"a": 7, "b": 7}),
    ({"a": 1, "b": 2}, "SET a = b, b = a", {"a": 2, "b": 1}),
    ({"a": 1}, "SET b = a, a = :five", {"a": 5, "b": 1}),
    ({"a": 1}, "REMOVE a SET b = a", {"b": 1}),
    ({"m": {"k": 1}}, "SET m.k = :two", {"m": {"k": 2}}),
    ({"m": {"k": 1}}, "SET m.q = :two", {"m": {"k": 1, "q": 2}}),
    ({"m": {"k": {"l": [1, {"x": 1}]}}}, "SET m.k.l[1].x = :two", {"m": {"k": {"l": [1, {"x": 2}]}}}),
    ({"m": {"k": 1, "q": 2}}, "SET m.k = m.q, m.q = m.k", {"m": {"k": 2, "q": 1}}),
    ({"l": [1, 2, 3]}, "SET l[1] = :five", {"l": [1, 5, 3]}),
    ({"l": [1, 2]}, "SET l[7] = :five", {"l": [1, 2, 5]}),
    ({"l": [1]}, "SET l[9] = :five, l[3] = :two, l[5] = :one", {"l": [1, 2, 1, 5]}),
    ({"l": []}, "SET l[0] = :one", {"l": [1]}),
    ({"l": [{"k": 1}]}, "SET l[0].k = :two", {"l": [{"k": 2}]}),
    ({"a": 1}, "SET a = a + :one", {"a": 2}),
    ({"a": 1}, "SET a = a - :five", {"a": -4}),
    ({"a": 1}, "SET a = :five - a", {"a": 4}),
    ({"a": 1, "b": 2}, "SET c1 = a + b", {"a": 1, "b": 2, "c1": 3}),
    ({}, "SET a = :one + :two", {"a": 3}),
    ({"a": 1}, "SET a = if_not_exists(a, :five)", {"a": 1}),
    ({}, "SET a = if_not_exists(a, :five)", {"a": 5}),
    ({"b": 3}, "SET a = if_not_exists(b, :five)", {"a": 3, "b": 3}),
    ({}, "SET a = if_not_exists(a, :zero) + :one", {"a": 1}),
    ({"a": 4}, "SET a = if_not_exists(a, :zero) + :one", {"a": 5}),
    ({"a": 4}, "SET a = :five - if_not_exists(b, :one)", {"a": 4}),
    ({"b": 2}, "SET a = if_not_exists(d, if_not_exists(b, :five))", {"a": 2, "b": 2}),
    ({"m": {"k": 1}}, "SET m.k = if_not_exists(m.k, :five), m.q = if_not_exists(m.q, :five)", {"m": {"k": 1, "q": 5}}),
    ({"l": [1]}, "SET l = list_append(l, :l)", {"l": [1, "x", "y"]}),
    ({"l": [1]}, "SET l = list_append(:l, l)", {"l": ["x", "y", 1]}),
    ({}, "SET a = list_append(:l, :l1)", {"a": ["x", "y", "z"]}),
    ({}, "SET l = list_append(if_not_exists(l, :l), :l1)", {"l": ["x", "y", "z"]}),
    ({"l": [1], "q": [2]}, "SET l = list_append(l, q)", {"l": [1, 2], "q": [2]}),
    # REMOVE
    ({"a": 1, "b": 2}, "REMOVE a", {"b": 2}),
    ({"a": 1, "b": 2}, "REMOVE a, b", {}),
    ({"a": 1}, "REMOVE b", {"a": 1}),
    ({"m": {"k": 1, "q": 2}}, "REMOVE m.k", {"m": {"q": 2}}),
    ({"m": {"k": 1}}, "REMOVE m.k", {"m": {}}),
    ({"m": {"k": 1}}, "REMOVE m.zz", {"m": {"k": 1}}),
    ({"l": [1, 2, 3, 4]}, "REMOVE l[1]", {"l": [1, 3, 4]}),
    ({"l": [1, 2, 3, 4]}, "REMOVE l[0], l[2]", {"l": [2, 4]}),
    ({"l": [1, 2, 3, 4]}, "REMOVE l[2], l[0]", {"l": [2, 4]}),
    ({"l": [1, 2]}, "REMOVE l[5]", {"l": [1, 2]}),
    ({"l": [1]}, "REMOVE l[0]", {"l": []}),
    (None, "REMOVE a", None),
    (None, "REMOVE a.b, c1[3]", None),
    # ADD
    ({"a": 1}, "ADD a :five", {"a": 6}),
    ({"a": 1}, "ADD a :minus", {"a": -2}),
    ({}, "ADD a :five", {"a": 5}),
    (None, "ADD a :five", {"a": 5}),
    ({"a": {"a", "b"}}, "ADD a :ss", {"a": {"a", "b", "c"}}),
    ({}, "ADD a :ss", {"a": {"b", "c"}}),
    (None, "ADD a :ns", {"a": {2, 3}}),
    ({"a": {1, 2}}, "ADD a :ns", {"a": {1, 2, 3}}),
    ({"a": {b"a"}}, "ADD a :bs", {"a": {b"a", b"b", b"c"}}),
    ({"m": {"n": 1}}, "ADD m.n :five", {"m": {"n": 6}}),
    ({"m": {}}, "ADD m.n :five, m.o :ss", {"m": {"n": 5, "o": {"b", "c"}}}),
    ({"l": [1, 2]}, "ADD l[1] :five", {"l": [1, 7]}),
    # DELETE
    ({"a": {"a", "b"}}, "DELETE a :ss", {"a": {"a"}}),
    ({"a": {"a", "b"}}, "DELETE a :all", {}),
    ({"a": {1, 2, 3}}, "DELETE a :ns", {"a": {1}}),
    ({"a": {b"a", b"b"}}, "DELETE a :bs", {"a": {b"a"}}),
    ({"b": 1}, "DELETE a :ss", {"b": 1}),
    ({"a": {"q"}}, "DELETE a :ss", {"a": {"q"}}),
    ({"m": {"s": {"b", "q"}}}, "DELETE m.s :ss", {"m": {"s": {"q"}}}),
    (None, "DELETE a :ss", None),
    # Clauses
    (
        {"a": 1, "b": 2, "d": 3, "e": {"b", "q"}},
        "REMOVE b SET a = :five ADD d :one DELETE e :ss",
        {
            "a": 5,
            "d": 4,
            "e": {"q"},
        },
    ),
    ({"a": 1}, "set a=a+:one remove b add d :one", {"a": 2, "d": 1}),
    ({"a": 1}, "  SET\ta  =\n:one ", {"a": 1}),
]


def parameters(text):
    """The names and values a text refers to, as request parameters."""
    names, values = referred(text, NAMES, "#"), referred(text, VALUES, ":")
    given = {"UpdateExpression": text}
    if names:
        given["ExpressionAttributeNames"] = names
    if values:
        given["ExpressionAttributeValues"] = item_of(values)
    return given


def prepared(table, before):
    key = table.key()
    if before is not None:
        table.put(key | before)
    return key


@pytest.mark.parametrize("before, text, after", UPDATES, ids=[f"{update[1]} on {update[0]}" for update in UPDATES])
def test_2_4_update(table, before, text, after):
    key = prepared(table, before)
    answer = table.update(key, **parameters(text), ReturnValues="ALL_NEW")
    whole = None if after is None else key | after
    assert table.get(key) == whole
    assert plain(answer.get("Attributes")) == whole


# ----------------------------------------------------------------------------------------------------------------------
# What is refused by the state of the item: it stays as it is.

BAD_PATH = "The document path provided in the update expression is invalid for update"
NO_ATTRIBUTE = "The provided expression refers to an attribute that does not exist in the item"
BAD_OPERAND = "An operand in the update expression has an incorrect data type"
REFUSED_BY_ITEM = [
    ({}, "SET m.k = :one", BAD_PATH),
    (None, "SET m.k = :one", BAD_PATH),
    ({"a": 1}, "SET a.k = :one", BAD_PATH),
    ({"a": 1}, "SET a[0] = :one", BAD_PATH),
    ({"m": {"k": 1}}, "SET m[0] = :one", BAD_PATH),
    ({"l": [1]}, "SET l.k = :one", BAD_PATH),
    ({"l": [1]}, "SET l[0].k = :one", BAD_PATH),
    ({"l": [1]}, "SET l[3].k = :one", BAD_PATH),
    ({"m": {}}, "SET m.k.q = :one", BAD_PATH),
    ({}, "SET l[0] = :one", BAD_PATH),
    ({}, "REMOVE m.k", BAD_PATH),
    ({"a": 1}, "REMOVE a.k", BAD_PATH),
    ({"a": 1}, "REMOVE a[0]", BAD_PATH),
    ({"m": {}}, "REMOVE m.k.q", BAD_PATH),
    ({}, "SET a = b", NO_ATTRIBUTE),
    (None, "SET a = b", NO_ATTRIBUTE),
    ({}, "SET x = :one, y = x", NO_ATTRIBUTE),
    ({}, "SET a = a + :one", NO_ATTRIBUTE),
    ({"m": {}}, "SET a = m.k", NO_ATTRIBUTE),
    ({"l": []}, "SET a = l[0]", NO_ATTRIBUTE),
    ({}, "SET l = list_append(l, :l)", NO_ATTRIBUTE),
    ({"a": "text"}, "SET a = a + :one", BAD_OPERAND),
    ({"a": 1, "b": "text"}, "SET a = a - b", BAD_OPERAND),
    ({"a": 1}, "SET a = list_append(a, :l)", BAD_OPERAND),
    ({"a": {"x"}}, "SET a = list_append(:l, a)", BAD_OPERAND),
    ({"a": "text"}, "ADD a :one", BAD_OPERAND),
    ({"a": 1}, "ADD a :ss", BAD_OPERAND),
    ({"a": {1}}, "ADD a :ss", BAD_OPERAND),
    ({"a": {1}}, "ADD a :one", BAD_OPERAND),
    ({"l": [1]}, "ADD l :one", BAD_OPERAND),
    ({"a": 1}, "DELETE a :ss", BAD_OPERAND),
    ({"a": {1}}, "DELETE a :ss", BAD_OPERAND),
    ({"l": ["b"]}, "DELETE l :ss", BAD_OPERAND),
]


@pytest.mark.parametrize(
    "before, text, message", REFUSED_BY_ITEM, ids=[f"{update[1]} on {update[0]}" for update in REFUSED_BY_ITEM]
)
def test_2_4_update_refused_by_the_item(table, before, text, message):
    key = prepared(table, before)
    with refused(VALIDATION, message):
        table.update(key, **parameters(text))
    assert table.get(key) == (None if before is None else key | before)


# ----------------------------------------------------------------------------------------------------------------------
# What is refused by its text: no item is there.

SYNTAX = 'Syntax error; token: "'
OVERLAP = "Two document paths overlap with each other; must remove or rewrite one of these paths; "
CONFLICT = "Two document paths conflict with each other; must remove or rewrite one of these paths; "
OPERAND_TYPE = "Incorrect operand type for operator or function; operator"
REFUSED = {
    "": "The expression can not be empty;",
    "SET": SYNTAX,
    "SET a": SYNTAX,
    "SET a =": SYNTAX,
    "SET a = :one,": SYNTAX,
    "SET a = :one b = :two": SYNTAX,
    "SET a : :one": SYNTAX,
    "SET a = (:one + :two": SYNTAX,
    "SET a = :one + :two + :five": SYNTAX,
    "SET a = :one * :two": SYNTAX,
    "SET a = 1": SYNTAX,
    "SET :one = a": SYNTAX,
    "SET a == :one": SYNTAX,
    "SETA = :one": SYNTAX,
    "dog a = :one": SYNTAX,
    "REMOVE": SYNTAX,
    "REMOVE a b": SYNTAX,
    "REMOVE a = :one": SYNTAX,
    "REMOVE :one": SYNTAX,
    "ADD a": SYNTAX,
    "ADD a b": SYNTAX,
    "ADD a = :one": SYNTAX,
    "DELETE a": SYNTAX,
    "DELETE a b": SYNTAX,
    "SET _a = :one": SYNTAX,
    "SET 1a = :one": SYNTAX,
    "SET a[-1] = :one": SYNTAX,
    "SET a = :one SET b = :two": 'The "SET" section can only be used once in an update expression;',
    "REMOVE a REMOVE b": 'The "REMOVE" section can only be used once in an update expression;',
    "ADD a :one ADD b :one": 'The "ADD" section can only be used once in an update expression;',
    "SET a = dog(b, :one)": "Invalid function name; function: dog",
    "SET a = If_Not_Exists(a, :one)": "Invalid function name; function: If_Not_Exists",
    "SET a = size(b)": "The function is not allowed to be used this way in an expression; function: size",
    "SET a = attribute_exists(b)": (
        "The function is not allowed to be used this way in an expression; function: attribute_exists"
    ),
    "SET a = list_append(list_append(:l, :l), :l1)": "",
    "SET a = list_append(:l)": "Incorrect number of operands for operator or function; operator or function: list_append",
    "SET a = if_not_exists(a)": "Incorrect number of operands for operator or function; operator or function: if_not_exists",
    "SET a = if_not_exists(a, :one, :two)": "Incorrect number of operands for operator or function;",
    "SET a = if_not_exists(:one, :two)": "Operator or function requires a document path",
    "SET year = :one": "Attribute name is a reserved keyword; reserved keyword: year",
    "REMOVE m.Name": "Attribute name is a reserved keyword; reserved keyword: Name",
    "SET #undefined = :one": "An expression attribute name used in the document path is not defined; attribute name: #undefined",
    "SET a = :undefined": "An expression attribute value used in expression is not defined; attribute value: :undefined",
    "ADD a :undefined": "An expression attribute value used in expression is not defined; attribute value: :undefined",
    "SET a = :one, a = :two": OVERLAP + "path one: [a], path two: [a]",
    "SET a = :one, #a = :two": OVERLAP + "path one: [a], path two: [a]",
    "SET a = :one REMOVE a": OVERLAP + "path one: [a], path two: [a]",
    "SET m.k = :one, m = :m": OVERLAP,
    "SET m = :m, m.k.q = :one": OVERLAP,
    "SET m.k = :one ADD #m.k :one": OVERLAP,
    "REMOVE l[1], l[1]": OVERLAP,
    "SET l[1] = :one, l[1].k = :two": OVERLAP,
    "SET a.b = :one, a[1] = :two": CONFLICT,
    "REMOVE a.b SET a[0].q = :two": CONFLICT,
    "ADD a :s": OPERAND_TYPE + ": ADD, operand type: STRING",
    "ADD a :l": OPERAND_TYPE + ": ADD",
    "ADD a :m": OPERAND_TYPE + ": ADD",
    "ADD a :true": OPERAND_TYPE + ": ADD",
    "ADD a :null": OPERAND_TYPE + ": ADD",
    "ADD a :b": OPERAND_TYPE + ": ADD",
    "DELETE a :s": OPERAND_TYPE + ": DELETE, operand type: STRING",
    "DELETE a :one": OPERAND_TYPE + ": DELETE",
    "DELETE a :l": OPERAND_TYPE + ": DELETE",
    "SET a = :s + :one": OPERAND_TYPE + " or function: +, operand type: S",
    "SET a = :one - :l": OPERAND_TYPE + " or function: -, operand type: L",
    "SET a = list_append(:l, :one)": OPERAND_TYPE + " or function: list_append, operand type: N",
    "SET a[2147483648] = :one": "List index is not within the allowable range",
}


@pytest.mark.parametrize("text", REFUSED)
def test_2_4_update_refused(table, text):
    key = table.key()
    with refused(VALIDATION, "Invalid UpdateExpression: ", REFUSED[text]):
        table.update(key, **parameters(text))
    assert table.get(key) is None


@pytest.mark.parametrize("kind", ["SS", "NS", "BS"])
@pytest.mark.parametrize("text", ["SET a = :v", "ADD a :v", "DELETE a :v"])
def test_2_4_empty_set(table, text, kind):
    with refused(VALIDATION, "not be empty"):
        table.update(table.key(), text, {":v": Raw({kind: []})})


def test_2_4_refused_even_if_the_condition_fails(table):
    """The text is judged before the item is read."""
    with refused(VALIDATION, "Invalid UpdateExpression: "):
        table.update(table.key(), "SET a = size(b)", ConditionExpression="attribute_exists(a)")


def test_2_4_a_failed_condition_comes_before_the_update(table):
    with refused(CONDITION_FAILED):
        table.update(table.key(), "SET a.b.d = q", ConditionExpression="attribute_exists(a)")


def test_d24_length_of_an_update(table):
    key = table.key()
    table.update(key, "SET a = :one".ljust(4096), {":one": 1})
    with refused(
        VALIDATION,
        "Invalid UpdateExpression: Expression size has exceeded the maximum allowed size; expression size: 4097",
    ):
        table.update(key, "SET a = :one".ljust(4097), {":one": 1})


# ----------------------------------------------------------------------------------------------------------------------
# 2.3: ReturnValues.

BEFORE = {"a": 1, "b": "x", "m": {"k": 1, "q": {"d": 2, "e": 3}}, "l": [1, 2, 3], "s": {"x"}}
RETURNED = [
    ("SET a = :two", {"a": 1}, {"a": 2}),
    ("SET a = :one", {"a": 1}, {"a": 1}),
    ("SET a = :two, z = :one", {"a": 1}, {"a": 2, "z": 1}),
    ("SET z = :one", None, {"z": 1}),
    ("REMOVE a", {"a": 1}, None),
    ("REMOVE z", None, None),
    ("REMOVE a SET b = :s", {"a": 1, "b": "x"}, {"b": "text"}),
    ("SET m.k = :two", {"m": {"k": 1}}, {"m": {"k": 2}}),
    ("SET m.q.d = :five", {"m": {"q": {"d": 2}}}, {"m": {"q": {"d": 5}}}),
    ("SET m.q.d = :five, m.k = :two", {"m": {"k": 1, "q": {"d": 2}}}, {"m": {"k": 2, "q": {"d": 5}}}),
    ("SET m.z = :five", None, {"m": {"z": 5}}),
    ("REMOVE m.k", {"m": {"k": 1}}, None),
    ("SET l[1] = :five", {"l": [2]}, {"l": [5]}),
    ("SET l[0] = :five, l[2] = :one", {"l": [1, 3]}, {"l": [5, 1]}),
    ("SET l[9] = :five", None, None),
    ("REMOVE l[1]", {"l": [2]}, {"l": [3]}),
    ("REMOVE l[2]", {"l": [3]}, None),
    ("ADD a :five", {"a": 1}, {"a": 6}),
    ("ADD s :ss", {"s": {"x"}}, {"s": {"x", "b", "c"}}),
    ("DELETE s :ss", {"s": {"x"}}, {"s": {"x"}}),
]


@pytest.mark.parametrize("text, old, new", RETURNED)
def test_2_3_updated_old_and_new(table, text, old, new):
    for wish, expected in (("UPDATED_OLD", old), ("UPDATED_NEW", new)):
        answer = table.update(prepared(table, BEFORE), **parameters(text), ReturnValues=wish)
        assert plain(answer.get("Attributes")) == expected, wish


@pytest.mark.parametrize("wish", ["NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"])
def test_2_3_return_values_of_an_update_that_creates(table, wish):
    key = table.key()
    answer = table.update(key, "SET a = :one", {":one": 1}, ReturnValues=wish)
    expected = {"ALL_NEW": key | {"a": 1}, "UPDATED_NEW": {"a": 1}}.get(wish)
    assert plain(answer.get("Attributes")) == expected


@pytest.mark.parametrize("wish", ["NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"])
def test_2_3_return_values_of_an_update_of_nothing(table, wish):
    key = prepared(table, {"a": 1})
    answer = table.update(key, ReturnValues=wish)
    expected = key | {"a": 1} if wish.startswith("ALL") else None
    assert plain(answer.get("Attributes")) == expected


def test_2_3_all_old_and_all_new(table):
    for wish, a in (("ALL_OLD", 1), ("ALL_NEW", 2)):
        key = prepared(table, BEFORE)
        answer = table.update(key, "SET a = :two", {":two": 2}, ReturnValues=wish)
        assert plain(answer["Attributes"]) == key | BEFORE | {"a": a}
