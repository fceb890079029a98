"""Condition and filter expressions: what holds, and what is no expression (section 2.4)."""

import pathlib

import pytest

from dynamo import CONDITION_FAILED, Raw, av, item_of, referred, refused, unique

ITEM = {
    "s": "hello",
    "n": 5,
    "neg": -1,
    "b": b"\x01\x80\xff",
    "t": True,
    "f": False,
    "z": None,
    "l": ["a", 1, [1, 2], {"k": "v"}, {"x", "y"}],
    "m": {"a": 1, "b": {"c": "deep", "l": [10, 20]}, "with.dot": 7, "hollow": {}},
    "ss": {"a", "b", "c"},
    "ns": {1, 2, 3},
    "bs": {b"a", b"\xff"},
    "es": "",
    "el": [],
    "a.b": "dotted",
    "nested": [{"set": {"x", "y"}, "map": {"p": 1, "q": 2}}],
    "twin": "hello",
}
NAMES = {"#s": "s", "#dot": "a.b", "#m": "m", "#with": "with.dot", "#size": "size", "#l": "l"}
VALUES = {
    ":hello": "hello",
    ":hell": "hell",
    ":help": "help",
    ":empty": "",
    ":five": 5,
    ":five0": Raw({"N": "5.0"}),
    ":four": 4,
    ":six": 6,
    ":one": 1,
    ":two": 2,
    ":three": 3,
    ":bytes": b"\x01\x80\xff",
    ":byte": b"\x01",
    ":byte80": b"\x80",
    ":bytesmore": b"\x01\x80\xff\x00",
    ":true": True,
    ":false": False,
    ":null": None,
    ":list": ["a", 1, [1, 2], {"k": "v"}, Raw({"SS": ["y", "x"]})],
    ":map": {"c": "deep", "l": [10, 20]},
    ":ss": Raw({"SS": ["c", "a", "b"]}),
    ":ns": Raw({"NS": ["3.0", "1", "2e0"]}),
    ":bs": {b"\xff", b"a"},
    ":ssless": {"a", "b"},
    ":a": "a",
    ":v": "v",
    ":deep": "deep",
    ":x": "x",
    ":xy": Raw({"SS": ["y", "x"]}),
    ":list12": [1, 2],
    ":mapkv": {"k": "v"},
    ":nested": [{"map": {"q": 2, "p": Raw({"N": "1.0"})}, "set": Raw({"SS": ["y", "x"]})}],
    ":S": "S",
    ":N": "N",
    ":B": "B",
    ":BOOL": "BOOL",
    ":NULL": "NULL",
    ":L": "L",
    ":M": "M",
    ":SS": "SS",
    ":NS": "NS",
    ":BS": "BS",
    ":seven": 7,
    ":dotted": "dotted",
    ":ten": 10,
    ":zero": 0,
}

TRUE = [
    "s = :hello",
    ":hello = s",
    "s = twin",
    "#s = :hello",
    "#dot = :dotted",
    "n = :five0",
    "b = :bytes",
    "t = :true",
    "f = :false",
    "z = :null",
    "l = :list",
    "m.b = :map",
    "ss = :ss",
    "ns = :ns",
    "bs = :bs",
    "nested = :nested",
    "es = :empty",
    "m.b.c = :deep",
    "m.b.l[0] = :ten",
    "m.#with = :seven",
    "#m.b.c = :deep",
    "l[0] = :a",
    "#l[2][1] = :two",
    "l[3].k = :v",
    "l[4] = :xy",
    "s <> :five",
    "s <> :help",
    "nowhere <> :hello",
    "nowhere <> absent",
    "m.nowhere <> :one",
    "ss <> :ssless",
    "s < :help",
    "s <= :hello",
    "s > :hell",
    "s >= :hello",
    "n > :four",
    "n < :six",
    "neg < :one",
    "b < :bytesmore",
    "b < :byte80",
    "n BETWEEN :four AND :six",
    "n BETWEEN :five AND :five",
    "s BETWEEN :hell AND :help",
    ":five BETWEEN n AND :six",
    ":five BETWEEN :four AND n",
    "n IN (:one, :five)",
    "n IN (:five0)",
    "s IN (:five, :hello)",
    "s IN (nowhere, twin)",
    ":hello IN (s)",
    "attribute_exists(s)",
    "attribute_exists(m.b.c)",
    "attribute_exists(l[3].k)",
    "attribute_exists(z)",
    "attribute_not_exists(nowhere)",
    "attribute_not_exists(m.nowhere)",
    "attribute_not_exists(nowhere.deeper)",
    "attribute_not_exists(l[5])",
    "attribute_not_exists(s.b)",
    "attribute_not_exists(m[0])",
    "attribute_not_exists(l.k)",
    "attribute_not_exists(a.b)",
    "attribute_type(s, :S)",
    "attribute_type(n, :N)",
    "attribute_type(b, :B)",
    "attribute_type(t, :BOOL)",
    "attribute_type(z, :NULL)",
    "attribute_type(l, :L)",
    "attribute_type(m, :M)",
    "attribute_type(ss, :SS)",
    "attribute_type(ns, :NS)",
    "attribute_type(bs, :BS)",
    "attribute_type(m.b, :M)",
    "begins_with(s, :hell)",
    "begins_with(s, :hello)",
    "begins_with(s, :empty)",
    "begins_with(b, :byte)",
    "begins_with(:hello, s)",
    "contains(s, :hell)",
    "contains(b, :byte80)",
    "contains(ss, :a)",
    "contains(ns, :three)",
    "contains(bs, :bytea)",
    "contains(l, :a)",
    "contains(l, :one)",
    "contains(l, :list12)",
    "contains(l, :mapkv)",
    "contains(l, :xy)",
    "contains(m.b.l, :ten)",
    "size(s) = :five",
    "size(b) = :three",
    "size(l) = :five",
    "size(m.b) = :two",
    "size(ss) = :three",
    "size(ns) = :three",
    "size(el) = :zero",
    "size(es) = :zero",
    "size(m.hollow) = :zero",
    "n = size(s)",
    "size(s) BETWEEN :four AND :six",
    "NOT s = :help",
    "NOT NOT s = :hello",
    "NOT nowhere = :hello",
    "NOT nowhere = absent",
    "s = :hello AND n = :five",
    "s = :help OR n = :five",
    "s = :hello OR n = :four AND n = :four",
    "NOT s = :help AND n = :five",
    "(s = :help OR n = :five) AND t = :true",
    "(s = :hello)",
    "((s = :hello) AND n = :five)",
    "not s = :help and n between :four and :six or n in (:one)",
    "NOT (s = :help OR n = :four)",
    "NOT contains(s, :help)",
    "attribute_exists ( s )",
    "s=:hello",
]

FALSE = [
    "s = :help",
    "s = :five",
    "n = :four",
    "nowhere = :hello",
    "nowhere = absent",
    "t = :false",
    "ss = :ssless",
    "l = :list12",
    "s <> :hello",
    "n <> :five0",
    "ss <> :ss",
    "nested <> :nested",
    "s < :hello",
    "s > :hello",
    "nowhere < :hello",
    "nowhere >= :hello",
    "s < :five",
    "n > :hello",
    "t < :six",
    "l > :six",
    "z <= :six",
    "ss < :hello",
    "b > :bytesmore",
    "n BETWEEN :six AND :ten",
    "s BETWEEN :four AND :six",
    "nowhere BETWEEN :four AND :six",
    "n IN (:one, :four)",
    "n IN (:hello)",
    "nowhere IN (:one)",
    "nowhere IN (absent)",
    "attribute_exists(nowhere)",
    "attribute_exists(s.b)",
    "attribute_exists(l[5])",
    "attribute_exists(a.b)",
    "attribute_not_exists(s)",
    "attribute_type(s, :N)",
    "attribute_type(nowhere, :S)",
    "attribute_type(ss, :S)",
    "begins_with(s, :help)",
    "begins_with(n, :hell)",
    "begins_with(nowhere, :hell)",
    "begins_with(s, :byte)",
    "begins_with(l, :a)",
    "contains(s, :x)",
    "contains(s, :five)",
    "contains(ss, :hello)",
    "contains(ss, :ss)",
    "contains(ss, :one)",
    "contains(m, :a)",
    "contains(m, :one)",
    "contains(n, :five)",
    "contains(nowhere, :a)",
    "contains(l, :two)",
    "contains(l, :xyz)",
    "size(n) = :one",
    "size(t) = :one",
    "size(z) = :zero",
    "size(nowhere) = :zero",
    "size(nowhere) < :five",
    "size(s) > :five",
    "size(s) = :hello",
    "NOT s = :hello",
    "NOT NOT s = :help",
    "s = :hello AND n = :four",
    "s = :help OR n = :four",
    "(s = :hello OR n = :four) AND t = :false",
    "NOT (s = :hello OR n = :four)",
    "NOT nowhere <> absent",
]
VALUES |= {":bytea": b"a", ":xyz": {"x", "y", "z"}}
CASES = [(text, True) for text in TRUE] + [(text, False) for text in FALSE]


def parameters(text):
    """The names and values a text refers to, as request parameters."""
    names, values = referred(text, NAMES, "#"), referred(text, VALUES, ":")
    given = {}
    if names:
        given["ExpressionAttributeNames"] = names
    if values:
        given["ExpressionAttributeValues"] = item_of(values)
    return given


@pytest.fixture(scope="module")
def document(table):
    key = table.key()
    table.put(key | ITEM)
    return key


@pytest.mark.parametrize("text, holds", CASES)
def test_2_4_condition(table, document, text, holds):
    """The update changes nothing: it only asks whether the condition holds."""
    if holds:
        table.update(document, ConditionExpression=text, **parameters(text))
        return
    with refused(CONDITION_FAILED):
        table.update(document, ConditionExpression=text, **parameters(text))


@pytest.mark.parametrize("text, holds", CASES)
def test_2_4_filter(table, document, text, holds):
    given = parameters(text)
    given["ExpressionAttributeValues"] = given.get("ExpressionAttributeValues", {}) | {":key": av(document["p"])}
    answer = table.query(KeyConditionExpression="p = :key", FilterExpression=text, **given)
    assert (answer["Count"], answer["ScannedCount"]) == (int(holds), 1)
    assert len(answer["Items"]) == int(holds)


# ----------------------------------------------------------------------------------------------------------------------
# What is refused, before anything is read: the item does not exist.

SYNTAX = 'Syntax error; token: "'
FORBIDDEN = "The function is not allowed to be used this way in an expression; function: "
OPERANDS = "Incorrect number of operands for operator or function; operator or function: "
OPERAND_TYPE = "Incorrect operand type for operator or function; operator or function: "
REFUSED = {
    "": "The expression can not be empty;",
    "s": SYNTAX,
    ":five": SYNTAX,
    "s =": SYNTAX,
    "= :five": SYNTAX,
    "s == :five": SYNTAX,
    "s != :five": SYNTAX,
    "s = :five AND": SYNTAX,
    "s = :five :six": SYNTAX,
    "s = :five AND OR n = :five": SYNTAX,
    "(s = :five": SYNTAX,
    "s = :five)": SYNTAX,
    "()": SYNTAX,
    "s IN ()": SYNTAX,
    "s IN :five": SYNTAX,
    "n BETWEEN :four, :six": SYNTAX,
    "n BETWEEN :four": SYNTAX,
    "_s = :five": SYNTAX,
    "1s = :five": SYNTAX,
    "s. = :five": SYNTAX,
    "s..a = :five": SYNTAX,
    "l[] = :five": SYNTAX,
    "l[-1] = :five": SYNTAX,
    "l[a] = :five": SYNTAX,
    "l[1.5] = :five": SYNTAX,
    "l[:one] = :five": SYNTAX,
    "s = 5": SYNTAX,
    's = "text"': SYNTAX,
    "s = :five; n = :five": SYNTAX,
    "s + n = :five": SYNTAX,
    "a-b = :five": SYNTAX,
    "NOT": SYNTAX,
    "s & n": SYNTAX,
    "((s = :five))": "The expression has redundant parentheses;",
    "(((s = :five)))": "The expression has redundant parentheses;",
    "n = :four OR ((s = :five))": "The expression has redundant parentheses;",
    "dog(s)": "Invalid function name; function: dog",
    "Attribute_Exists(s)": "Invalid function name; function: Attribute_Exists",
    "BEGINS_WITH(s, :hell)": "Invalid function name; function: BEGINS_WITH",
    "s = dog(:five)": "Invalid function name; function: dog",
    "size(s)": FORBIDDEN + "size",
    "attribute_exists(s) < :one": FORBIDDEN + "attribute_exists",
    "s = attribute_exists(n)": FORBIDDEN + "attribute_exists",
    "s = begins_with(n, :hell)": FORBIDDEN + "begins_with",
    "s = if_not_exists(n, :five)": FORBIDDEN + "if_not_exists",
    "list_append(l, :list)": FORBIDDEN + "list_append",
    "s = list_append(l, :list)": FORBIDDEN + "list_append",
    "size(attribute_exists(s)) = :one": FORBIDDEN + "attribute_exists",
    "year = :five": "Attribute name is a reserved keyword; reserved keyword: year",
    "m.NAME = :five": "Attribute name is a reserved keyword; reserved keyword: NAME",
    "attribute_exists(Status)": "Attribute name is a reserved keyword; reserved keyword: Status",
    "#undefined = :five": "An expression attribute name used in the document path is not defined; attribute name: #undefined",
    "m.#undefined = :five": "An expression attribute name used in the document path is not defined; attribute name: #undefined",
    "s = :undefined": "An expression attribute value used in expression is not defined; attribute value: :undefined",
    "n = :five OR s = :undefined": "An expression attribute value used in expression is not defined; attribute value: :undefined",
    "attribute_exists(s, n)": OPERANDS + "attribute_exists, number of operands: 2",
    "attribute_not_exists(s, n, b)": OPERANDS + "attribute_not_exists, number of operands: 3",
    "begins_with(s)": OPERANDS + "begins_with, number of operands: 1",
    "begins_with(s, :hell, :help)": OPERANDS + "begins_with, number of operands: 3",
    "contains(s)": OPERANDS + "contains, number of operands: 1",
    "size(s, n) = :one": OPERANDS + "size, number of operands: 2",
    "attribute_type(s)": OPERANDS + "attribute_type, number of operands: 1",
    "contains(s, s)": "The first operand must be distinct from the remaining operands",
    "begins_with(s, :five)": OPERAND_TYPE + "begins_with, operand type: N",
    "begins_with(s, :list)": OPERAND_TYPE + "begins_with, operand type: L",
    "begins_with(:ss, s)": OPERAND_TYPE + "begins_with, operand type: SS",
    "s < :true": OPERAND_TYPE + "<, operand type: BOOL",
    "s <= :null": OPERAND_TYPE + "<=, operand type: NULL",
    "s > :list": OPERAND_TYPE + ">, operand type: L",
    "s >= :map": OPERAND_TYPE + ">=, operand type: M",
    "s < :ss": OPERAND_TYPE + "<, operand type: SS",
    "s BETWEEN :true AND :true": OPERAND_TYPE + "BETWEEN, operand type: BOOL",
    "size(:five) = :one": OPERAND_TYPE + "size, operand type: N",
    "size(:true) = :one": OPERAND_TYPE + "size, operand type: BOOL",
    "size(:null) = :one": OPERAND_TYPE + "size, operand type: NULL",
    "size(size(s)) = :one": "",
    "attribute_type(s, :hello)": "Invalid attribute type name found; type: hello, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}",
    "attribute_type(s, :five)": OPERAND_TYPE + "attribute_type, operand type: N",
    "attribute_type(s, n)": "",
    "n BETWEEN :six AND :four": "",
    "n BETWEEN :four AND :hello": "",
    "attribute_exists(:five)": "Operator or function requires a document path",
    "attribute_not_exists(:hello)": "Operator or function requires a document path",
    "l[2147483648] = :five": "List index is not within the allowable range",
    "l[99999999999999999999] = :five": "List index is not within the allowable range",
}


@pytest.mark.parametrize("text", REFUSED)
def test_2_4_condition_refused(table, text):
    with refused("ValidationException", "Invalid ConditionExpression: ", REFUSED[text]):
        table.update(table.key(), ConditionExpression=text, **parameters(text))


@pytest.mark.parametrize("text", REFUSED)
def test_2_4_filter_refused(table, text):
    given = parameters(text)
    given["ExpressionAttributeValues"] = given.get("ExpressionAttributeValues", {}) | {":key": av(unique())}
    with refused("ValidationException", "Invalid FilterExpression: ", REFUSED[text]):
        table.query(KeyConditionExpression="p = :key", FilterExpression=text, **given)


# ----------------------------------------------------------------------------------------------------------------------
# Names and values that are given.

HOLDS = "attribute_not_exists(nowhere)"
GIVEN = {
    "no names": ({"ConditionExpression": HOLDS, "ExpressionAttributeNames": {}}, ""),
    "no values": ({"ConditionExpression": HOLDS, "ExpressionAttributeValues": {}}, ""),
    "unused name": (
        {"ConditionExpression": HOLDS, "ExpressionAttributeNames": {"#b": "b"}},
        "Value provided in ExpressionAttributeNames unused in expressions: keys: {#b}",
    ),
    "unused value": (
        {"ConditionExpression": HOLDS, "ExpressionAttributeValues": {":b": av(1)}},
        "Value provided in ExpressionAttributeValues unused in expressions: keys: {:b}",
    ),
    "names without an expression": (
        {"ExpressionAttributeNames": {"#b": "b"}},
        "ExpressionAttributeNames can only be specified when using expressions",
    ),
    "values without an expression": (
        {"ExpressionAttributeValues": {":b": av(1)}},
        "ExpressionAttributeValues can only be specified when using expressions",
    ),
    "name without #": (
        {"ConditionExpression": HOLDS, "ExpressionAttributeNames": {"x": "b"}},
        'ExpressionAttributeNames contains invalid key: Syntax error; key: "x"',
    ),
    "name of # alone": (
        {"ConditionExpression": HOLDS, "ExpressionAttributeNames": {"#": "b"}},
        'ExpressionAttributeNames contains invalid key: Syntax error; key: "#"',
    ),
    "name with a hyphen": (
        {"ConditionExpression": HOLDS, "ExpressionAttributeNames": {"#a-b": "b"}},
        'ExpressionAttributeNames contains invalid key: Syntax error; key: "#a-b"',
    ),
    "value without :": (
        {"ConditionExpression": HOLDS, "ExpressionAttributeValues": {"x": av(1)}},
        'ExpressionAttributeValues contains invalid key: Syntax error; key: "x"',
    ),
    "value that is no number": (
        {"ConditionExpression": "a = :x", "ExpressionAttributeValues": {":x": {"N": "dog"}}},
        "The parameter cannot be converted to a numeric value: dog",
    ),
    "value that is an empty set": (
        {"ConditionExpression": "a = :x", "ExpressionAttributeValues": {":x": {"SS": []}}},
        "may not be empty",
    ),
    "long name": (
        {"ConditionExpression": f"attribute_exists(#{'n' * 300})", "ExpressionAttributeNames": {"#" + "n" * 300: "b"}},
        "",
    ),
    "long value": (
        {"ConditionExpression": f"a = :{'v' * 300}", "ExpressionAttributeValues": {":" + "v" * 300: av(1)}},
        "",
    ),
}


@pytest.mark.parametrize("operation", ["put", "update", "delete"])
@pytest.mark.parametrize("case", GIVEN)
def test_2_4_names_and_values_refused(table, operation, case):
    given, text = GIVEN[case]
    with refused("ValidationException", text):
        getattr(table, operation)(table.key(), **given)


def test_2_4_all_must_be_used_even_if_evaluation_stops_early(table, document):
    text = "s = :hello OR n = :five"
    table.update(document, ConditionExpression=text, **parameters(text))


def test_2_4_long_placeholders_are_fine(table, document):
    name, value = "#" + "n" * 200, ":" + "v" * 200
    table.update(
        document,
        ConditionExpression=f"{name} = {value}",
        ExpressionAttributeNames={name: "s"},
        ExpressionAttributeValues={value: av("hello")},
    )


def test_2_4_placeholders_may_begin_with_digits_and_underscores(table, document):
    table.update(
        document,
        ConditionExpression="#1 = :1 AND #_ = :_",
        ExpressionAttributeNames={"#1": "s", "#_": "n"},
        ExpressionAttributeValues={":1": av("hello"), ":_": av(5)},
    )


# ----------------------------------------------------------------------------------------------------------------------
# Limits: the most that is taken, and one more.


def test_d24_length(table, document):
    text = "s = :hello"
    table.update(document, ConditionExpression=text.ljust(4096), **parameters(text))
    size = "Invalid ConditionExpression: Expression size has exceeded the maximum allowed size; expression size: 4097"
    with refused("ValidationException", size):
        table.update(document, ConditionExpression=text.ljust(4097), **parameters(text))
    with refused("ValidationException", size):
        table.update(document, ConditionExpression=("=" + text).ljust(4097), **parameters(text))


def test_d24_operators(table, document):
    most = "attribute_exists(s)" + " OR n=:six" * 150
    table.update(document, ConditionExpression=most, **parameters(most))
    one_more = "n=:five" + " OR n=:six" * 150
    with refused("ValidationException", "The expression contains too many operators; operator count: 301"):
        table.update(document, ConditionExpression=one_more, **parameters(one_more))


@pytest.mark.parametrize("values, taken", [(99, True), (101, False)])
def test_d24_operands_of_in(table, document, values, taken):
    given = {f":v{number}": av(number) for number in range(values)}
    call = {"ConditionExpression": f"n IN ({', '.join(given)})", "ExpressionAttributeValues": given}
    if taken:
        table.update(document, **call)
        return
    with refused():
        table.update(document, **call)


def test_d24_depth_of_a_path(table, document):
    table.update(document, ConditionExpression=f"attribute_not_exists({'.'.join(['a'] * 32)})")
    with refused("ValidationException", "The document path has too many nesting levels; nesting levels: 33"):
        table.update(document, ConditionExpression=f"attribute_not_exists({'.'.join(['a'] * 33)})")


@pytest.mark.parametrize("inner", ["(", "NOT ", "(NOT ("])
def test_d24_deep_expressions_do_not_harm(table, document, inner):
    for length in (100, 1000, 4000):
        closing = ")" * inner.count("(")
        depth = length // (len(inner) + len(closing))
        text = inner * depth + "s = :hello" + closing * depth
        try:
            table.update(document, ConditionExpression=text, **parameters(text))
        except table.db.exceptions.ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert table.get(document)["s"] == "hello"


# ----------------------------------------------------------------------------------------------------------------------
# Reserved words: appendix A.

RESERVED = pathlib.Path(__file__).with_name("reserved_words.txt").read_text().split()
GRAMMAR = {"AND", "OR", "NOT", "IN", "BETWEEN", "SET", "ADD", "DELETE", "REMOVE"}


def test_a_every_reserved_word_is_refused(table):
    assert len(RESERVED) == 573
    key = table.key()
    for word in RESERVED:
        with refused("ValidationException", "Invalid ProjectionExpression: ") as refusal:
            table.get_raw(key, ProjectionExpression=word)
        reserved = f"Attribute name is a reserved keyword; reserved keyword: {word}" in refusal.message
        assert reserved or (word in GRAMMAR and SYNTAX in refusal.message), word


@pytest.mark.parametrize("word", ["Abort", "zone", "eLsE", "m.year", "l[0].date", "a, list"])
def test_a_reserved_words_in_any_case_and_place(table, word):
    with refused("ValidationException", "Attribute name is a reserved keyword; reserved keyword: "):
        table.get_raw(table.key(), ProjectionExpression=word)


@pytest.mark.parametrize("word", ["p", "id", "email", "abort1", "address", "created", "begins", "username"])
def test_a_other_words_are_names(table, word):
    table.get_raw(table.key(), ProjectionExpression=word)
