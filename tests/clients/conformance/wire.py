"""Requests by hand: what is sent, byte for byte, with botocore's signature or without."""

import http.client
import json
import urllib.parse
import zlib
from dataclasses import dataclass

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from dynamo import ACCESS_KEY, ENDPOINTS, REGION, SECRET_KEY, on_wire

TABLES = "DynamoDB_20120810."
STREAMS = "DynamoDBStreams_20120810."
JSON = "application/x-amz-json-1.0"
ADDRESS = urllib.parse.urlsplit(ENDPOINTS[0])


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self):
        return json.loads(self.body)

    @property
    def kind(self):
        """The name of the error, without its namespace."""
        return self.json()["__type"].rsplit("#", 1)[-1]

    @property
    def message(self):
        body = self.json()
        return body.get("message", body.get("Message"))

    def header(self, name):
        return self.headers.get(name)


def connect(timeout=30):
    kind = http.client.HTTPSConnection if ADDRESS.scheme == "https" else http.client.HTTPConnection
    return kind(ADDRESS.hostname, ADDRESS.port, timeout=timeout)


def target_of(operation):
    streams = ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")
    return operation if "." in operation else (STREAMS if operation in streams else TABLES) + operation


def bytes_of(body):
    return body if isinstance(body, bytes) else json.dumps(on_wire(body)).encode()


def sign(method, path, body, headers, access_key=ACCESS_KEY, secret_key=SECRET_KEY):
    """The headers with those of a signature added."""
    request = AWSRequest(method=method, url=ENDPOINTS[0] + path, data=body, headers=headers)
    SigV4Auth(Credentials(access_key, secret_key), "dynamodb", REGION).add_auth(request)
    return dict(request.headers.items())


def send(method, path, body=b"", headers=None, connection=None, chunked=False):
    """Sends exactly this, and reads the whole answer."""
    own = connection or connect()
    try:
        parts = [body[at : at + 65536] for at in range(0, len(body), 65536)] if chunked else body
        own.request(method, path, body=parts, headers=headers or {}, encode_chunked=chunked)
        answer = own.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        if connection is None:
            own.close()


def call(operation, body, headers=None, signed=True, connection=None, path="/", chunked=False):
    """An operation as a client sends it; `headers` are added, those that are None are left out."""
    body = bytes_of(body)
    all_headers = {"Content-Type": JSON, "X-Amz-Target": target_of(operation)} | (headers or {})
    if chunked:
        all_headers["Transfer-Encoding"] = "chunked"
    all_headers = {name: value for name, value in all_headers.items() if value is not None}
    if signed:
        all_headers = sign("POST", path, body, all_headers)
    return send("POST", path, body, all_headers, connection, chunked)


def crc32(body):
    return str(zlib.crc32(body))
