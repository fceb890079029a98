"""Requests as bytes on a socket, and answers read strictly: what http.client forgives would hide defects."""

import re
import socket
import time
import zlib

TIMEOUT_S = 15
STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9]) [\x20-\x7e]*\Z")
HEADER_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e\x80-\xff\t]*)\Z")
AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=fuzz/20260101/us-east-1/dynamodb/aws4_request, "
    "SignedHeaders=host;x-amz-date;x-amz-target, Signature=" + "0" * 64
)
STREAM_OPERATIONS = {"DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"}


class Broken(Exception):
    """The answer is not well-formed HTTP."""


class Late(Exception):
    """No whole answer came in time."""


class Closed(Exception):
    """The connection ended before an answer began."""


class Answer:
    """One answer, as read off the socket."""

    def __init__(self, status, headers, body, is_whole=True):
        self.status, self.headers, self.body, self.is_whole = status, headers, body, is_whole

    def header(self, name):
        """The value of a header, or None; several are joined."""
        values = [value for key, value in self.headers if key == name]
        return ", ".join(values) if values else None

    def plain_body(self):
        """The body without its compression."""
        encoding = self.header("content-encoding")
        if encoding == "gzip":
            return zlib.decompress(self.body, 31)
        return zlib.decompress(self.body) if encoding == "deflate" else self.body

    def text(self, limit=600):
        """For people."""
        try:
            body = self.plain_body()
        except zlib.error:
            body = self.body
        return f"{self.status} {body[:limit]!r}"


def target(operation):
    """The header that names an operation."""
    service = "DynamoDBStreams" if operation in STREAM_OPERATIONS else "DynamoDB"
    return f"{service}_20120810.{operation}"


def headers(operation, host):
    """The headers every ordinary request has, but for the length of its body."""
    return [
        ("Host", host),
        ("X-Amz-Target", target(operation)),
        ("Content-Type", "application/x-amz-json-1.0"),
        ("X-Amz-Date", "20260101T000000Z"),
        ("Authorization", AUTHORIZATION),
    ]


def encode(head, body, method="POST", path="/", version="HTTP/1.1", length=True):
    """A request as bytes. Header values may be bytes, to send what is not text."""
    lines = [f"{method} {path} {version}".encode("utf-8", "surrogateescape")]
    for name, value in head:
        raw = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
        lines.append(name.encode("utf-8", "surrogateescape") + b": " + raw)
    if length:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class Connection:
    """A socket with what was read of it and not yet used."""

    def __init__(self, address):
        self.address, self.socket, self.unread = address, None, b""

    def open(self):
        """Connects, if there is no connection."""
        if self.socket is None:
            self.socket = socket.create_connection(self.address, TIMEOUT_S)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.unread = b""

    def close(self):
        """Ends the connection, if there is one."""
        if self.socket is not None:
            self.socket.close()
        self.socket, self.unread = None, b""

    def send(self, pieces, ends=False):
        """Sends pieces of bytes; a number among them is a pause in seconds. A peer that closed meanwhile is no error
        here: its answer may already lie in the buffer. `ends`: tell the peer that nothing follows."""
        self.open()
        self.socket.settimeout(TIMEOUT_S)
        try:
            for piece in pieces:
                if isinstance(piece, (int, float)):
                    time.sleep(piece)
                else:
                    self.socket.sendall(piece)
            if ends:
                self.socket.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise Late("the request was not taken") from error

    def _more(self, deadline):
        """Reads what there is; False at the end."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise Late("no whole answer in time")
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(1 << 18)
        except TimeoutError as error:
            raise Late("no whole answer in time") from error
        except (ConnectionResetError, BrokenPipeError) as error:
            raise Closed("reset") from error
        self.unread += data
        return bool(data)

    def receive(self, is_head=False):
        """The next answer; interim ones are skipped."""
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            answer = self._one(deadline, is_head)
            if answer.status >= 200:
                return answer

    def _one(self, deadline, is_head):
        while b"\r\n\r\n" not in self.unread:
            if not self._more(deadline):
                if self.unread:
                    raise Broken(f"an answer that ends in its head: {self.unread[:200]!r}")
                raise Closed("closed")
        head, self.unread = self.unread.split(b"\r\n\r\n", 1)
        status, fields = parse_head(head)
        answer = Answer(status, fields, b"")
        if is_head or status < 200 or status in (204, 304):
            return answer
        lengths = [value for name, value in fields if name == "content-length"]
        if answer.header("transfer-encoding") == "chunked" and not lengths:
            answer.body = self._chunks(deadline)
        elif len(lengths) == 1 and lengths[0].isdigit():
            answer.body = self._exactly(int(lengths[0]), deadline)
        elif not lengths and answer.header("connection") == "close":
            while self._more(deadline):
                pass
            answer.body, self.unread = self.unread, b""
        else:
            raise Broken(f"an answer of unknown length: {head!r}")
        return answer

    def _exactly(self, count, deadline):
        while len(self.unread) < count:
            if not self._more(deadline):
                raise Broken("an answer shorter than its Content-Length")
        body, self.unread = self.unread[:count], self.unread[count:]
        return body

    def _line(self, deadline):
        while b"\r\n" not in self.unread:
            if not self._more(deadline):
                raise Broken("an answer that ends between chunks")
        line, self.unread = self.unread.split(b"\r\n", 1)
        return line

    def _chunks(self, deadline):
        body = b""
        while True:
            line = self._line(deadline)
            if not re.fullmatch(rb"[0-9A-Fa-f]+", line):
                raise Broken(f"a chunk's length is {line!r}")
            count = int(line, 16)
            if count == 0:
                while self._line(deadline):
                    pass
                return body
            body += self._exactly(count, deadline)
            if self._line(deadline):
                raise Broken("a chunk is longer than its length")


def parse_head(head):
    """Status and headers (names in lower case) of an answer."""
    first, *rest = head.split(b"\r\n")
    match = STATUS_LINE.match(first)
    if not match:
        raise Broken(f"status line {first!r}")
    fields = []
    for line in rest:
        field = HEADER_LINE.match(line)
        if not field:
            raise Broken(f"header line {line!r}")
        fields.append((field[1].decode().lower(), field[2].decode("latin-1").strip()))
    return int(match[1]), fields
