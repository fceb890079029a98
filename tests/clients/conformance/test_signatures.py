"""Signatures (section 3.4; appendix D 26).

What must be refused in any case is always tested. Whether a signature is right can be tested only where the endpoint
knows an access key: WATERTABLE_CREDENTIALS names it.
"""

import datetime
import gzip
import hashlib
import urllib.parse
from datetime import timezone

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

import wire
from dynamo import ACCESS_KEY, CREDENTIALS, ENDPOINTS, REGION, SECRET_KEY
from wire import JSON, STREAMS, TABLES, call, send, sign

MISSING = "MissingAuthenticationTokenException"
INVALID = "InvalidSignatureException"
INCOMPLETE = "IncompleteSignatureException"
UNRECOGNIZED = "UnrecognizedClientException"
HEADERS = {"Content-Type": JSON, "X-Amz-Target": TABLES + "ListTables"}
BODY = b"{}"

strict = pytest.mark.skipif(not CREDENTIALS, reason="the endpoint knows no access key")
lenient = pytest.mark.skipif(bool(CREDENTIALS), reason="the endpoint knows access keys")


def post(headers, path="/", body=BODY):
    return send("POST", path, body, headers)


def check_refused(answer, kind, *fragments):
    assert (answer.status, answer.kind) == (400, kind)
    for fragment in fragments:
        assert fragment in answer.message


def with_authorization(change):
    """A request whose Authorization header is changed after signing."""
    headers = sign("POST", "/", BODY, HEADERS)
    headers["Authorization"] = change(headers["Authorization"])
    return post(headers)


# ----------------------------------------------------------------------------------------------------------------------
# Refused in any case.


@pytest.mark.parametrize("operation", ["ListTables", "PutItem", "ListStreams", "GetRecords", "DescribeEndpoints"])
def test_3_4_unsigned(operation):
    check_refused(call(operation, {}, signed=False), MISSING, "Request is missing Authentication Token")


@pytest.mark.parametrize("text", ["", "Basic dXNlcjpwYXNz", "Bearer abc", "dog", "AWS key:signature"])
def test_3_4_another_kind_of_authorization(text):
    check_refused(post(HEADERS | {"Authorization": text}), MISSING)


def presigned(access_key=ACCESS_KEY, secret_key=SECRET_KEY):
    """The path of a request that is signed in its query, and its headers."""
    request = AWSRequest(method="POST", url=ENDPOINTS[0] + "/", data=BODY, headers=HEADERS)
    QueryAuth(Credentials(access_key, secret_key), "dynamodb", REGION, expires=300).add_auth(request)
    parts = urllib.parse.urlsplit(request.url)
    return f"/?{parts.query}", {name: value for name, value in request.headers.items() if name in HEADERS}


class QueryAuth(SigV4QueryAuth):
    """botocore takes the body of a presigned request for part of its query; this one signs it as a body."""

    def _modify_request_before_signing(self, request):
        data, request.data = request.data, None
        super()._modify_request_before_signing(request)
        request.data = data


def test_3_4_both_ways_at_once():
    path, headers = presigned()
    check_refused(post(sign("POST", "/", BODY, headers), path), INVALID)


@pytest.mark.parametrize("part", ["Credential", "SignedHeaders", "Signature"])
def test_3_4_a_part_is_missing(part):
    answer = with_authorization(
        lambda text: (
            text.split(" ")[0]
            + " "
            + ", ".join(piece for piece in text.split(" ", 1)[1].split(", ") if not piece.startswith(part + "="))
        )
    )
    check_refused(answer, INCOMPLETE, f"Authorization header requires '{part}' parameter.")


def test_3_4_all_parts_are_missing():
    answer = with_authorization(lambda text: "AWS4-HMAC-SHA256")
    check_refused(answer, INCOMPLETE)
    for part in ("Credential", "SignedHeaders", "Signature"):
        assert f"'{part}'" in answer.message


def test_3_4_another_algorithm():
    check_refused(with_authorization(lambda text: text.replace("SHA256", "SHA1")), INCOMPLETE)


# ----------------------------------------------------------------------------------------------------------------------
# Accepted in any case.


@pytest.mark.parametrize("operation", ["ListTables", "ListStreams"])
def test_3_4_signed(operation):
    assert call(operation, {}).status == 200


@pytest.mark.parametrize("separator", [",", ", ", " ", ",  ", " , "])
def test_3_4_separators(separator):
    assert with_authorization(lambda text: separator.join(text.split(", "))).status == 200


def test_3_4_order_and_case_of_headers():
    headers = sign("POST", "/", BODY, HEADERS)
    changed = {
        name.upper() if at % 2 else name.lower(): value for at, (name, value) in enumerate(reversed(headers.items()))
    }
    assert post(changed).status == 200


def test_3_4_session_token():
    assert post(sign("POST", "/", BODY, HEADERS | {"X-Amz-Security-Token": "some token"})).status == 200


def test_3_4_hash_of_the_body_as_a_header():
    headers = HEADERS | {"X-Amz-Content-Sha256": hashlib.sha256(BODY).hexdigest()}
    assert post(sign("POST", "/", BODY, headers)).status == 200


def test_3_4_signed_in_the_query():
    path, headers = presigned()
    assert post(headers, path).status == 200


def test_3_4_runs_of_spaces_count_as_one():
    signed = sign("POST", "/", BODY, HEADERS | {"X-Dog": "a b c"})
    assert post(signed | {"X-Dog": "  a   b c  "}).status == 200


def test_3_4_streams_are_signed_as_the_service_dynamodb():
    headers = sign("POST", "/", BODY, {"Content-Type": JSON, "X-Amz-Target": STREAMS + "ListStreams"})
    assert "/dynamodb/aws4_request" in headers["Authorization"]
    assert post(headers).status == 200


@lenient
@pytest.mark.parametrize("access_key", ["any", "AKIAIOSFODNN7EXAMPLE", "x" * 100])
def test_3_4_any_key_is_taken_where_none_is_known(access_key):
    headers = sign("POST", "/", BODY, HEADERS, access_key, "any secret")
    assert post(headers).status == 200


@lenient
def test_3_4_any_signature_is_taken_where_no_key_is_known():
    assert with_authorization(lambda text: text[:-64] + "0" * 64).status == 200


# ----------------------------------------------------------------------------------------------------------------------
# Where the endpoint knows the key.


@strict
def test_3_4_unknown_key():
    answer = post(sign("POST", "/", BODY, HEADERS, ACCESS_KEY + "x", SECRET_KEY))
    check_refused(answer, UNRECOGNIZED, "The security token included in the request is invalid.")


@strict
def test_3_4_wrong_secret():
    answer = post(sign("POST", "/", BODY, HEADERS, ACCESS_KEY, SECRET_KEY + "x"))
    check_refused(answer, INVALID, "The request signature we calculated does not match")


@strict
def test_3_4_wrong_secret_in_the_query():
    path, headers = presigned(secret_key=SECRET_KEY + "x")
    check_refused(post(headers, path), INVALID)


@strict
@pytest.mark.parametrize("change", ["body", "target", "query", "header"])
def test_3_4_what_is_signed_must_not_change(change):
    headers = sign("POST", "/", BODY, HEADERS | {"X-Dog": "a"})
    path, body = "/", BODY
    if change == "body":
        body = b"{ }"
    elif change == "target":
        headers["X-Amz-Target"] = TABLES + "DescribeLimits"
    elif change == "query":
        path = "/?a=b"
    else:
        headers["X-Dog"] = "b"
    check_refused(post(headers, path, body), INVALID)


class AuthAt(SigV4Auth):
    """Signs as if it were another time."""

    def __init__(self, credentials, shift):
        super().__init__(credentials, "dynamodb", REGION)
        self.shift = shift

    def _modify_request_before_signing(self, request):
        time = datetime.datetime.now(timezone.utc) + self.shift
        request.context["timestamp"] = time.strftime("%Y%m%dT%H%M%SZ")
        super()._modify_request_before_signing(request)


def signed_at(minutes):
    request = AWSRequest(method="POST", url=ENDPOINTS[0] + "/", data=BODY, headers=HEADERS)
    request.context["timestamp"] = None
    AuthAt(Credentials(ACCESS_KEY, SECRET_KEY), datetime.timedelta(minutes=minutes)).add_auth(request)
    return post(dict(request.headers.items()))


@strict
@pytest.mark.parametrize("minutes", [-14, 0, 14])
def test_3_4_within_a_quarter_of_an_hour(minutes):
    assert signed_at(minutes).status == 200


@strict
@pytest.mark.parametrize("minutes, text", [(-16, "Signature expired: "), (16, "Signature not yet current: ")])
def test_3_4_beyond_a_quarter_of_an_hour(minutes, text):
    check_refused(signed_at(minutes), INVALID, text)


@strict
@pytest.mark.parametrize("old, new", [("/dynamodb/", "/s3/"), ("/aws4_request", "/aws5_request")])
def test_3_4_scope(old, new):
    answer = with_authorization(lambda text: text.replace(old, new, 1))
    check_refused(answer, INVALID, "Credential should be scoped")


@strict
def test_3_4_scope_of_another_region():
    """Whether it is the region that is told or the signature: it was made for another one."""
    check_refused(with_authorization(lambda text: text.replace(f"/{REGION}/", "/mars-north-1/", 1)), INVALID)


@strict
def test_3_4_scope_with_a_part_missing():
    answer = with_authorization(lambda text: text.replace("/aws4_request", "", 1))
    assert (answer.status, answer.kind in (INVALID, INCOMPLETE)) == (400, True)


@strict
def test_3_4_host_must_be_signed():
    answer = with_authorization(lambda text: text.replace(";host;", ";"))
    check_refused(answer, INVALID)


@strict
def test_3_4_the_packed_body_is_what_is_signed():
    answer = call("ListTables", gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"})
    assert answer.status == 200 and wire.call("ListTables", {}).status == 200
