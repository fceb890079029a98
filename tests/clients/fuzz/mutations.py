"""Requests made wrong: the tree of the body, its bytes, the headers, the way they are sent."""

import copy
import gzip
import zlib

import values
import wire

Raw, Pairs = values.Raw, values.Pairs


class Sending:
    """Bytes to send, and what may come of it."""

    def __init__(self, pieces, ends=False, answers=1, is_lax=True, may_be_500=False, is_head=False):
        self.pieces = [pieces] if isinstance(pieces, bytes) else pieces
        # `ends`: nothing follows, so the node may end the connection unanswered.
        self.ends, self.answers, self.is_lax = ends, answers, is_lax
        self.may_be_500, self.is_head = may_be_500, is_head


def is_bytes(piece):
    """Whether a piece is sent, not waited."""
    return isinstance(piece, bytes)


# ---- the tree


def slots(tree, found=None):
    """All places in a tree: container and key."""
    found = [] if found is None else found
    keys = tree.keys() if isinstance(tree, dict) else range(len(tree))
    for key in keys:
        found.append((tree, key))
        if isinstance(tree[key], (dict, list)) and not isinstance(tree[key], Pairs) and len(found) < 2000:
            slots(tree[key], found)
    return found


def junk(rng):
    """Something of a wrong kind or size."""
    kind = rng.randrange(24)
    if kind == 0:
        return "x" * rng.choice([256, 4097, 65_536, 70_000])
    if kind == 1:
        return {f"m{at}": {"S": "x"} for at in range(rng.choice([300, 5000]))}
    if kind == 2:
        return [{"S": "x"} for _ in range(rng.choice([101, 5000]))]
    if kind == 3:
        return deep_text(rng, rng.choice([31, 32, 33, 100, 1000]))
    if kind == 4:
        return values.deep(rng, rng.choice([30, 31, 32, 33, 34, 100]))
    if kind == 5:
        return values.wrong(rng)
    if kind == 6:
        return Pairs([("S", "a"), ("S", "b"), ("N", None)])
    return rng.choice(
        [None, True, False, 0, -1, 1.5, "", [], {}, Raw("1e400"), Raw("-1e-400"), Raw("9" * 400), Raw("0.1e1"), [None],
         {"S": None}, Raw("-0"), Raw("18446744073709551616"), Raw("9223372036854775808"), "\0", "true", "NaN", Raw("1.0"),
         [[]], {"": ""}, Raw('"\\ud800"'), Raw('"\\udc00\\ud800"'), Raw('"\\uD83D\\uDE00"'), Raw('"a\\u0000b"'), "#", ":",
         "a[", "a]", "a..b", "((((", "SET", "=", "a = ", "(" * 2000 + "a" + ")" * 2000, "NOT " * 900 + "a = a",
         "a[99999999999999999999]", "SET a = a" + " + a" * 500, "a." * 1000 + "b", "arn:aws:dynamodb", "\ufeff", "ALL_NEW"]
    )


def deep_text(rng, levels):
    """Nested JSON that may be far too deep to build as a tree."""
    if rng.random() < 0.5:
        return Raw("[" * levels + "]" * levels)
    return Raw('{"M":' * levels + "{}" + "}" * levels)


def tree(rng, request):
    """A request with one to three places changed."""
    request = copy.deepcopy(request)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        places = slots(request)
        if not places:
            return {rng.choice(["TableName", "x", ""]): junk(rng)}
        container, key = rng.choice(places)
        kind = rng.randrange(6)
        if kind == 0:
            del container[key]
        elif kind == 1 and isinstance(container, dict):
            inner = container.pop(key)
            container[rng.choice([key + "x", key.lower(), key.upper(), "", "\0", "S", "N", "__type"])] = inner
        elif kind == 2 and isinstance(container, list):
            # The last change: the copies are one object, and a change inside it would multiply.
            container.extend([container[key]] * rng.choice([1, 30, 200]))
            return request
        elif kind == 3 and isinstance(container, dict):
            container["extra" + str(rng.randrange(9))] = junk(rng)
        elif kind == 4 and isinstance(container[key], str) and container[key]:
            container[key] = text(rng, container[key])
        else:
            container[key] = junk(rng)
    return request


def text(rng, original):
    """A string changed in a few places: expressions above all."""
    characters = list(original)
    for _ in range(rng.choice([1, 1, 2, 5])):
        at = rng.randrange(len(characters) + 1)
        odd = rng.choice(list("()[]<>=.,:#+- \0aA0_'\"\\é😀") + ["AND", " size(", "((", "if_not_exists("])
        kind = rng.randrange(4)
        if kind == 0:
            characters[at:at] = [odd]
        elif kind == 1:
            del characters[at : at + rng.randrange(1, 4)]
        elif kind == 2:
            characters[at : at + 1] = [odd]
        else:
            low = rng.randrange(len(characters) + 1)
            characters[at:at] = characters[low : low + 20]
    return "".join(characters)[:100_000]


def duplicated(rng, request):
    """The same members twice, in any order."""
    pairs = list(request.items())
    pairs += [(key, rng.choice([inner, junk(rng)])) for key, inner in pairs if rng.random() < 0.5]
    rng.shuffle(pairs)
    return Pairs(pairs)


# ---- the bytes


def flip(rng, data):
    """Bytes changed, cut, doubled, moved."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 8])):
        if not data:
            break
        at, kind = rng.randrange(len(data)), rng.randrange(6)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            data[at:at] = rng.choice([b"\0", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b'"', b"\\", b"{",
                                      b"\\u12", b"\x80", b"\xe2\x28\xa1", b"[" * 300, b",", b"//", b"\xef\xbb\xbf", b"\n"])
        elif kind == 3:
            del data[at : at + rng.randrange(1, 9)]
        elif kind == 4:
            data[at:at] = data[at : at + 40]
        else:
            data[at] = rng.randrange(256)
    return bytes(data)


def whole_body(rng):
    """Bodies that are no request at all."""
    return rng.choice(
        [b"", b"null", b"[]", b'""', b"{", b"}", b"{}}", b"{} {}", b"\xef\xbb\xbf{}", b"\xff\xfe{\0}\0", b"0", b"true", b"\0",
         b"[" * 200_000, b'{"a":' * 200_000, b"{" + b" " * 100_000 + b"}", b'{"a":1,}', b"{'a':1}", b"{a:1}", b'{"a":01}',
         b'{"a":+1}', b'{"a":.5}', b'{"a":1.}', b'{"a":NaN}', b'{"a":"\x01"}', b'{"a":"\\x41"}', b"// x\n{}", b'{"a" "b"}',
         b'{"a":' + b"9" * 100_000 + b"}", b'{"a":1e' + b"9" * 1000 + b"}", b'"' + b"a" * 100_000, b"{}\0", b" \t\r\n{}\n"]
    )


def pack(rng, body):
    """A compressed body: header value, bytes, whether the node may answer 500 for it."""
    name = rng.choice(["gzip", "deflate", "x-gzip"])
    packed = zlib.compress(body) if name == "deflate" else gzip.compress(body, 1)
    kind = rng.randrange(8)
    if kind < 2:
        return name, packed, False
    if kind == 2 and name != "deflate":
        return name, gzip.compress(body[:7]) + gzip.compress(body[7:]), False
    if kind == 3:
        bomb = zlib.compressobj(9, zlib.DEFLATED, 15 if name == "deflate" else 31)
        data = b"".join(bomb.compress(b" " * (1 << 20)) for _ in range(rng.choice([15, 17, 64]))) + bomb.flush()
        return name, data, False
    if kind == 4:
        name = rng.choice(["br", "zstd", "identity", "gzip, deflate", "GZIP", "", "compress", "deflate,deflate"])
        return name, packed, True
    if kind == 5:
        return name, rng.choice([b"", body, packed + b"junk", b"\x1f\x8b", packed[:-4]]), True
    return name, flip(rng, packed), True


def headers(rng, operation, host, body):
    """Headers of which some are wrong: headers, whether Content-Length stands among them."""
    head = wire.headers(operation, host)
    for _ in range(rng.choice([1, 1, 2, 3])):
        kind = rng.randrange(8)
        at = rng.randrange(len(head)) if head else 0
        if kind == 0 and head:
            del head[at]
        elif kind == 1 and head:
            head.insert(at, head[at])
        elif kind == 2 and head:
            head[at] = (head[at][0], odd_value(rng))
        elif kind == 3:
            head.append((rng.choice(["X-Long", "x-amz-user-agent", "Cookie"]), "y" * rng.choice([1000, 17_000, 70_000, 500_000])))
        elif kind == 4:
            head.extend((f"X-{at}", "z") for at in range(rng.choice([60, 99, 120, 2000])))
        elif kind == 5 and head:
            name, text_value = head[at]
            head[at] = (name.swapcase(), text_value if isinstance(text_value, bytes) else "  " + text_value + " \t")
        elif kind == 6:
            head.append(rng.choice(ODD_HEADERS))
        else:
            head = [h for h in head if h[0] != "Authorization"] + authorization(rng)
    return head


ODD_HEADERS = [
    ("Content-Length", "0"), ("Content-Length", "-1"), ("Content-Length", "18446744073709551617"), ("Content-Length", "+5"),
    ("Transfer-Encoding", "identity"), ("Transfer-Encoding", "gzip, chunked"), ("Connection", "close"), ("Connection", "upgrade"),
    ("Upgrade", "h2c"), ("Origin", "http://x"), ("Origin", b"\xff"), ("Accept-Encoding", "gzip"), ("Accept-Encoding", "deflate;q=0.5, *;q=0"),
    ("Accept-Encoding", "gzip;q=nan, deflate;q=1e999"), ("Content-Type", "text/plain"), ("Content-Type", "application/grpc"),
    ("Content-Type", "application/json; charset=utf-8"), ("X-Amz-Target", "DynamoDB_20120810.Nothing"), ("X-Amz-Target", ""),
    ("X-Amz-Target", "DynamoDB_20111205.GetItem"), ("X-Amz-Target", "GetItem"), ("X-Amz-Target", b"\xff\xfe"),
    ("X-Amz-Target", "DynamoDBStreams_20120810.PutItem"), ("X Bad", "1"), ("X-Bad", "a\rb"), ("X-Bad", "a\0b"), ("", "x"),
    ("Expect", "100-continue"), ("Expect", "nonsense"), ("Host", ""), ("Host", "\x7f"), ("Trailer", "x"), ("TE", "trailers"),
]


def odd_value(rng):
    """A header's value that makes no sense."""
    return rng.choice(["", " ", "x" * 20_000, b"\xff\xfe", "é", "\t", ",", "=", "\0", "a\r\nb: c", "DynamoDB_20120810.", ".",
                       "application/x-amz-json-1.1", "application/x-amz-json-1.0;", "99999999T999999Z", "20260101T000000"])


def authorization(rng):
    """Authorization of all kinds."""
    good = wire.AUTHORIZATION
    return [("Authorization", rng.choice(
        ["", "Bearer x", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 ", "AWS4-", "AWS4-HMAC-SHA512 " + good[17:], good.replace(", ", ","),
         good.replace(",", ""), good.replace("Credential=", "Credential"), good.replace("/", ""), good + ", " + good[17:],
         good.replace("SignedHeaders=host;", "SignedHeaders=;;;"), good.replace("0" * 64, ""), good.replace("0" * 64, "zz"),
         good.replace("fuzz", "f" * 10_000), good.replace("dynamodb", "s3"), good.replace("us-east-1", "é"), good[::-1],
         "AWS4-HMAC-SHA256 " + "=," * 5000, text(rng, good).replace("\0", " "), "AWS4-ECDSA-P256-SHA256 " + good[17:]]
    ))]


def chunked(rng, body):
    """A body in chunks, some of them odd: bytes, whether the framing is right."""
    at, out, is_right = 0, b"", True
    while at < len(body):
        count = min(rng.choice([1, 2, 7, 100, 65_536]), len(body) - at)
        if len(body) > 5000:
            count = min(65_536, len(body) - at)
        extension = rng.choice([b"", b"", b";a=b", b";x=\"y\""])
        digits = rng.choice([b"%x", b"%X", b"0000%x"]) % count
        out += digits + extension + b"\r\n" + body[at : at + count] + b"\r\n"
        at += count
    out += rng.choice([b"0\r\n\r\n", b"0\r\nX-Trailer: 1\r\n\r\n", b"000\r\n\r\n"])
    if rng.random() < 0.4:
        out, is_right = rng.choice([flip(rng, out), out[:-2], b"-1\r\n" + out, b"ffffffffffffffffff\r\n" + out, b"\r\n" + out]), False
    return out, is_right


# ---- the way


def sending(rng, operation, request, host):
    """One hostile way to send a request."""
    body = values.dump(request, rng)
    make = rng.choice(WAYS)
    return make(rng, operation, body, host)


def _flipped(rng, operation, body, host):
    broken = flip(rng, body) if rng.random() < 0.75 else whole_body(rng)
    return Sending(wire.encode(wire.headers(operation, host), broken), is_lax=False)


def _headers(rng, operation, body, host):
    return Sending(wire.encode(headers(rng, operation, host, body), body), ends=True)


def _raw(rng, operation, body, host):
    data = wire.encode(wire.headers(operation, host), body)
    head, rest = data.split(b"\r\n\r\n", 1)
    return Sending(flip(rng, head) + b"\r\n\r\n" + rest, ends=True)


def _packed(rng, operation, body, host):
    name, packed, may_be_500 = pack(rng, body)
    head = wire.headers(operation, host) + [("Content-Encoding", name)]
    return Sending(wire.encode(head, packed), is_lax=False, may_be_500=may_be_500)


def _unpacked_answer(rng, operation, body, host):
    accepts = rng.choice(["gzip", "deflate", "gzip;q=0", "*", "gzip, deflate;q=0.9", "identity", ";;;", "gzip;q=x"])
    return Sending(wire.encode(wire.headers(operation, host) + [("Accept-Encoding", accepts)], body), is_lax=False)


def _wrong_length(rng, operation, body, host):
    count = rng.choice([len(body) + 1, len(body) + 10**6, 0, max(len(body) - 1, 0), 10**12, 2**64 - 1, 2**64])
    head = wire.headers(operation, host) + [("Content-Length", str(count))]
    return Sending(wire.encode(head, body, length=False), ends=True)


def _chunked(rng, operation, body, host):
    data, is_right = chunked(rng, body)
    head = wire.headers(operation, host) + [("Transfer-Encoding", "chunked")]
    if rng.random() < 0.1:
        head, is_right = head + [("Content-Length", str(len(body)))], False
    sent = wire.encode(head, data, length=False)
    return Sending(sent, ends=not is_right, is_lax=not is_right)


def _pipelined(rng, operation, body, host):
    count = rng.choice([2, 3, 20])
    return Sending(wire.encode(wire.headers(operation, host), body) * count, answers=count, is_lax=False)


def _slow(rng, operation, body, host):
    data = wire.encode(wire.headers(operation, host), body)
    cuts = sorted(rng.sample(range(len(data)), min(3, len(data))))
    pieces = []
    for low, high in zip([0] + cuts, cuts + [len(data)]):
        pieces += [data[low:high], rng.choice([0.001, 0.02, 0.2])]
    return Sending(pieces, is_lax=False)


def _expecting(rng, operation, body, host):
    data = wire.encode(wire.headers(operation, host) + [("Expect", "100-continue")], body)
    head, rest = data.split(b"\r\n\r\n", 1)
    return Sending([head + b"\r\n\r\n", rng.choice([0, 0.05]), rest], is_lax=False)


def _method(rng, operation, body, host):
    method = rng.choice(["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "post", "BREW", "CONNECT", "PRI", ""])
    path = rng.choice(["/", "/", "/ping", "//", "/%00", "/x" * 9000, "*", "http://x/", "/?a=b", "/../", "/metrics", "/health", "é"])
    data = wire.encode(wire.headers(operation, host), body, method, path)
    return Sending(data, ends=True, is_head=method == "HEAD")


def _path(rng, operation, body, host):
    query = rng.choice(["?X-Amz-Signature=1", "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=%zz", "?%", "?" + "a=b&" * 3000,
                        "?X-Amz-Credential=a/b/c/d/e&X-Amz-Signature=&X-Amz-Date=é", "?=&=&", "#x"])
    data = wire.encode(wire.headers(operation, host), body, "POST", rng.choice(["/" + query, "/ping" + query, "/nothing"]))
    return Sending(data, ends=True)


def _old_http(rng, operation, body, host):
    version = rng.choice(["HTTP/1.0", "HTTP/1.0", "HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/3", "http/1.1", "HTTP/1.1 "])
    head = wire.headers(operation, host)
    if rng.random() < 0.3:
        head.append(("Connection", rng.choice(["keep-alive", "close", "Keep-Alive, x"])))
    return Sending(wire.encode(head, body, version=version), ends=version != "HTTP/1.0")


def _left(rng, operation, body, host):
    """The client leaves in the middle."""
    data = wire.encode(wire.headers(operation, host), body)
    return Sending(data[: rng.randrange(len(data))], ends=True, answers=0)


def big(rng, operation, body, host):
    """A body near the largest one."""
    limit = 16 << 20
    count = rng.choice([limit - 1, limit, limit + 1, limit + 70_000, 2 * limit])
    kind = rng.randrange(5)
    if kind == 0:
        data = body[:-1] + b" " * (count - len(body)) + b"}"
    elif kind == 1:
        data = b'{"TableName":"' + b"a" * (count - 16) + b'"}'
    elif kind == 2:
        data = b'{"a":[' + b"0," * ((count - 9) // 2) + b"0]}"
    elif kind == 3:
        data = b'{"TableName":"abc","Key":{' + b'"a":{},' * ((count - 40) // 7) + b'"p":{}}}'
    else:
        data = b'{"a":"' + b"\\n" * ((count - 8) // 2) + b'"}'
    return Sending(wire.encode(wire.headers(operation, host), data), is_lax=False)


WAYS = [_flipped] * 5 + [_headers] * 4 + [_raw, _raw, _packed, _packed, _unpacked_answer, _wrong_length, _chunked, _chunked,
        _pipelined, _slow, _expecting, _method, _path, _old_http, _left]
