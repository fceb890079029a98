"""Access keys: made by the program, demanded by all nodes, forgotten again. In between the conformance tests of signatures
run with a key that is known."""

import json
import os
import pathlib
import subprocess
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINTS = os.environ["WATERTABLE_ENDPOINTS"].split(",")
CONFORMANCE = pathlib.Path(__file__).resolve().parent.parent / "conformance"
DEADLINE_SECONDS = 20


def key(*words):
    command = [os.environ["WATERTABLE_PROGRAM"], "key", *words, "--endpoint", ENDPOINTS[0], "--output", "json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def refusal(endpoint, key_id, secret):
    """The name of the error a client gets, or nothing."""
    client = boto3.client(
        "dynamodb", endpoint_url=endpoint, aws_access_key_id=key_id, aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}),
    )
    try:
        client.list_tables(Limit=1)
        return None
    except ClientError as error:
        return error.response["Error"]["Code"]


def everywhere(expected, key_id, secret):
    """Every node soon says this of a client: they hear of a key one after the other."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    for endpoint in ENDPOINTS:
        while (said := refusal(endpoint, key_id, secret)) != expected:
            assert time.monotonic() < deadline, f"{endpoint} says {said}, not {expected}"
            time.sleep(0.02)  # until the node has heard of it


def main():
    assert key("list") == []
    everywhere(None, "anybody", "anything")
    first, second = key("create"), key("create")
    try:
        assert [set(listed) for listed in key("list")] == 2 * [{"accessKeyId", "createdMs"}], "secrets are not listed"
        everywhere(None, first["accessKeyId"], first["secretAccessKey"])
        everywhere(None, second["accessKeyId"], second["secretAccessKey"])
        everywhere("UnrecognizedClientException", "anybody", "anything")
        everywhere("InvalidSignatureException", first["accessKeyId"], second["secretAccessKey"])
        credentials = f"{first['accessKeyId']}:{first['secretAccessKey']}"
        tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_signatures.py"]
        subprocess.run(tests, check=True, cwd=CONFORMANCE, env={**os.environ, "WATERTABLE_CREDENTIALS": credentials})
        key("delete", second["accessKeyId"])
        everywhere("UnrecognizedClientException", second["accessKeyId"], second["secretAccessKey"])
        everywhere(None, first["accessKeyId"], first["secretAccessKey"])
    finally:
        for listed in key("list"):
            key("delete", listed["accessKeyId"])
    everywhere(None, "anybody", "anything")


if __name__ == "__main__":
    main()
