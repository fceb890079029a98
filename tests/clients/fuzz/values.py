"""Attribute values: random ones, what the service makes of them, and JSON in odd notations.

`canonical` is an independent statement of the rules for values: what it takes must be stored and read back equal, what
it refuses must be refused."""

import base64
import json
import random
import re

NUMBER = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?\Z")
ITEM_BYTES_MAX = 409_600
# Names that expressions use too, so that they hit something.
NAMES = ["aa", "bb", "cc", "nn", "ss", "ll", "mm", "set1", "set2", "bin", "flag", "a.b", "size", "é", "n\0l", "Name"]


class Invalid(Exception):
    """The service must refuse this value."""


class Unsure(Exception):
    """The service may refuse this value or take it."""


class Raw(str):
    """JSON text to send as it is."""


class Pairs(list):
    """An object as pairs, where names may repeat."""


# ---- numbers


def canonical_number(text):
    """The only notation in which a number is returned."""
    match = NUMBER.match(text)
    if not match or not (match[2] or match[3]):
        raise Invalid(f"not a number: {text!r}")
    if not match[2] or (match[3] == ""):
        if not match[3]:
            raise Unsure("a point without a fraction")
    digits = (match[2] or "") + (match[3] or "")
    exponent = int(match[4] or "0") - len(match[3] or "")
    stripped = digits.lstrip("0")
    if not stripped:
        if abs(int(match[4] or "0")) > 120 or len(text) > 120:
            raise Unsure("zero with a huge exponent")
        return "0"
    short = stripped.rstrip("0")
    exponent += len(stripped) - len(short)
    magnitude = exponent + len(short) - 1
    if len(short) > 38 or magnitude > 125 or magnitude < -130:
        raise Invalid("out of range")
    if len(text) > 150:
        raise Unsure("a number of many characters")
    return plain(match[1] == "-", short, exponent)


def plain(is_negative, digits, exponent):
    """A decimal without an exponent."""
    if exponent >= 0:
        text = digits + "0" * exponent
    elif -exponent < len(digits):
        text = digits[:exponent] + "." + digits[exponent:]
    else:
        text = "0." + "0" * (-exponent - len(digits)) + digits
    return "-" + text if is_negative else text


def number(rng, hostile=0.0):
    """A number in some notation; with the given probability one that is out of range or no number."""
    if rng.random() < hostile:
        return rng.choice(
            ["", " 1", "1 ", "NaN", "Infinity", "-Infinity", "0x10", "1e", "e1", ".", "+", "-", "1,5", "1_000", "--1",
             "1e126", "9" * 39, "1e-131", "1e99999999999", "-1e-99999999999", "1" + "0" * 126, "0." + "0" * 130 + "1",
             "١٢", "1e1.5", "1.2.3", "0e126", "1.", "1e+", "9" * 200, "0" * 5000, "1e" + "9" * 1000, "1\0", "٣"]
        )
    kind = rng.randrange(9)
    if kind < 3:
        return str(rng.randrange(-20, 20))
    if kind == 3:
        return rng.choice(["-0", "0.0", "+1.50", "007", "1e3", "1E+3", "12.5e-7", ".5", "-.5e2", "1000.000", "0e5"])
    if kind == 4:
        return rng.choice(["9.9999999999999999999999999999999999999E+125", "1E-130", "-1e125", "9" * 38, "-" + "9" * 38])
    digits = "".join(rng.choice("0123456789") for _ in range(rng.randrange(1, 39)))
    point = rng.randrange(len(digits) + 1)
    text = digits[:point] + ("." + digits[point:] if point < len(digits) else "")
    if rng.random() < 0.4:
        text += rng.choice("eE") + rng.choice(["", "+", "-"]) + str(rng.randrange(0, rng.choice([5, 85])))
    return rng.choice(["", "", "-", "+"]) + text


# ---- values


def string(rng, most=12):
    """Characters of every length in UTF-8, with what JSON must escape."""
    length = rng.choice([0, 1, 2, rng.randrange(1, most + 1)])
    alphabet = ["a", "b", "Z", "0", " ", "\0", "\x1f", '"', "\\", "/", "\n", "\x7f", "é", "ß", "\u2028", "\ufeff", "\uffff",
                "\ud7ff", "\ue000", "😀", "\U0010ffff", "\U00010000", "漢"]
    return "".join(rng.choice(alphabet) for _ in range(length))


def word(rng):
    """A short plain string: likely to be equal to another one."""
    return rng.choice(["a", "b", "ab", "abc", "b\0", "é", "zz"])


def binary(rng):
    """Bytes as base 64."""
    return base64.b64encode(rng.randbytes(rng.choice([0, 1, 2, 3, 16]))).decode()


def value(rng, depth=3, hostile=0.0):
    """A value of a random type. `hostile`: how often something inside is wrong."""
    if hostile and rng.random() < hostile:
        return wrong(rng)
    kind = rng.choice(["S", "N", "N", "B", "BOOL", "NULL", "SS", "NS", "BS"] + (["M", "L"] * 2 if depth > 0 else []))
    if kind == "S":
        return {"S": word(rng) if rng.random() < 0.5 else string(rng)}
    if kind == "N":
        return {"N": number(rng, hostile)}
    if kind == "B":
        return {"B": binary(rng)}
    if kind in ("BOOL", "NULL"):
        return {kind: True if kind == "NULL" else rng.random() < 0.5}
    if kind == "L":
        return {"L": [value(rng, depth - 1, hostile) for _ in range(rng.randrange(4))]}
    if kind == "M":
        return {"M": {name(rng): value(rng, depth - 1, hostile) for _ in range(rng.randrange(4))}}
    make = {"SS": word, "NS": number, "BS": binary}[kind]
    members = {}
    for _ in range(rng.randrange(1, 5)):
        member = make(rng)
        members[_scalar(kind[0], member)] = member
    return {kind: list(members.values())}


def name(rng):
    """The name of an attribute."""
    return rng.choice(NAMES) if rng.random() < 0.9 else "x" + string(rng)


def wrong(rng):
    """A value the service must refuse."""
    return rng.choice(
        [{}, {"S": "a", "N": "1"}, {"X": "a"}, {"N": 1}, {"S": 5}, {"M": []}, {"L": {}}, {"NULL": False}, {"SS": []},
         {"NS": ["1", "1.0"]}, {"SS": ["a", "a"]}, {"BS": ["AA==", "AA=="]}, {"B": "A"}, {"B": "A==="}, {"B": "AA"},
         {"B": "*AA="}, {"NS": ["x"]}, {"SS": "a"}, {"BS": []}, {"NS": []}, {"M": {"": {"S": "x"}}}, {"N": "1e126"},
         {"L": [{}]}, {"M": {"a": {"S": "x", "BOOL": True}}}, {"S": {"S": "a"}}, "a", 5, [], {"s": "a"}, {"N": ["1"]},
         {"SS": ["a", 1]}, {"SS": ["a", {}]}, {"NS": [1]}]
    )


def deep(rng, levels):
    """A value of that many levels."""
    inner = {"N": "1"}
    for _ in range(levels - 1):
        inner = {"L": [inner]} if rng.random() < 0.5 else {"M": {"a": inner}}
    return inner


def _scalar(kind, member):
    if not isinstance(member, str):
        raise Invalid("of another kind")
    if kind == "N":
        return canonical_number(member)
    if kind == "B":
        return canonical_binary(member)
    return member


def canonical_binary(text):
    """Standard base 64, padded."""
    if not re.fullmatch(r"[A-Za-z0-9+/]*={0,2}", text) or len(text) % 4:
        raise Invalid("not base 64")
    raw = base64.b64decode(text)
    if base64.b64encode(raw).decode() != text:
        raise Unsure("bits after the last byte")
    return text


def canonical(tree, level=1):
    """A form in which equal values are equal, as JSON shows them."""
    if not isinstance(tree, dict):
        raise Invalid("no attribute value")
    kinds = [kind for kind in ("S", "N", "B", "SS", "NS", "BS", "M", "L", "NULL", "BOOL") if tree.get(kind) is not None]
    if len(kinds) != 1:
        raise Invalid("not one type")
    kind, inner = kinds[0], tree[kinds[0]]
    if level > 32:
        raise Invalid("too deep")
    if kind in ("S", "N", "B"):
        return kind, _scalar(kind, inner)
    if kind in ("BOOL", "NULL"):
        if not isinstance(inner, bool):
            raise Unsure("a boolean of another kind")
        if kind == "NULL" and not inner:
            raise Invalid("NULL is false")
        return kind, inner
    if kind == "M":
        return kind, canonical_item(inner, level + 1)
    if not isinstance(inner, list):
        raise Invalid("no list")
    if kind == "L":
        return kind, tuple([canonical(element, level + 1) for element in inner])
    members = [_scalar(kind[0], member) for member in inner]
    if not members or len(set(members)) != len(members):
        raise Invalid("empty or with duplicates")
    return kind, frozenset(members)


def canonical_item(item, level=1):
    """The same of an item, or a map."""
    if not isinstance(item, dict):
        raise Invalid("no map")
    pairs = []
    for key, inner in item.items():
        if inner is None:
            raise Unsure("a null in a map")
        if not key:
            raise Unsure("an empty name") if level > 1 else Invalid("an empty name")
        if len(key.encode()) > 65_535:
            raise Invalid("a long name")
        pairs.append((key, canonical(inner, level)))
    return frozenset(pairs)


def stored_item(item):
    """The canonical form of an item the service returned; raises Invalid for what it may not return."""
    try:
        form = canonical_item(item)
    except Unsure as unsure:
        raise Invalid(str(unsure)) from unsure
    for text in numbers(item):
        if canonical_number(text) != text:
            raise Invalid(f"a number that is not canonical: {text[:200]}")
    return form


def numbers(tree):
    """All numbers in an item or value."""
    for key, inner in tree.items():
        if key == "N" and isinstance(inner, str):
            yield inner
        elif key == "NS" and isinstance(inner, list):
            yield from (member for member in inner if isinstance(member, str))
        elif isinstance(inner, dict):
            yield from numbers(inner)
        elif isinstance(inner, list):
            for element in inner:
                if isinstance(element, dict):
                    yield from numbers(element)


def size(tree):
    """Bytes of a value by the service's rules; of a number an upper bound."""
    kind, inner = next(iter(tree.items()))
    if kind == "M":
        return 3 + sum(1 + len(key.encode()) + size(member) for key, member in inner.items())
    if kind == "L":
        return 3 + sum(1 + size(member) for member in inner)
    members = inner if isinstance(inner, list) else [inner]
    if kind in ("B", "BS"):
        return sum(len(member) * 3 // 4 - member.count("=") for member in members)
    if kind in ("N", "NS"):
        return 21 * len(members)
    return 1 if kind in ("BOOL", "NULL") else sum(len(member.encode()) for member in members)


# ---- JSON


def dump(tree, rng=None):
    """JSON, with odd escapes and white space now and then if there is a source of randomness."""
    is_odd = rng is not None and rng.random() < 0.3
    out = []
    _dump(tree, rng if is_odd else None, out)
    return "".join(out).encode("utf-8", "surrogatepass")


def _dump(tree, rng, out):
    gap = (lambda: rng.choice(["", "", "", " ", "\n", "\t\r"])) if rng else (lambda: "")
    if isinstance(tree, Raw):
        out.append(tree)
    elif isinstance(tree, str):
        out.append(_text(tree, rng))
    elif isinstance(tree, (dict, Pairs)):
        pairs = tree.items() if isinstance(tree, dict) else tree
        out.append("{")
        for at, (key, inner) in enumerate(pairs):
            out.append(("," if at else "") + gap() + _text(key, rng) + gap() + ":" + gap())
            _dump(inner, rng, out)
        out.append(gap() + "}")
    elif isinstance(tree, (list, tuple)):
        out.append("[")
        for at, inner in enumerate(tree):
            out.append(("," if at else "") + gap())
            _dump(inner, rng, out)
        out.append(gap() + "]")
    else:
        out.append(json.dumps(tree))


def _text(text, rng):
    if rng is None or len(text) > 1000:
        return json.dumps(text, ensure_ascii=False)
    out = []
    for character in text:
        code = ord(character)
        if rng.random() < 0.3:
            units = character.encode("utf-16-be", "surrogatepass")
            for at in range(0, len(units), 2):
                digits = units[at : at + 2].hex()
                out.append("\\u" + (digits.upper() if rng.random() < 0.5 else digits))
        elif code < 0x20 or character in '"\\':
            out.append(json.dumps(character)[1:-1])
        elif character == "/" and rng.random() < 0.5:
            out.append("\\/")
        else:
            out.append(character)
    return '"' + "".join(out) + '"'
