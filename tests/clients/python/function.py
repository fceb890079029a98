"""A function of AWS Lambda's Python runtime, unchanged, called by a trigger: `awslambdaric` behind the Runtime API.

The emulator here is what is around a runtime in a container: the Invoke API on one side, the Runtime API on the other, one
call at a time."""

import contextlib
import json
import pathlib
import queue
import subprocess
import sys
import tempfile
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import session
from session import NODES_DIE, until

DYNAMODB = session.client("dynamodb")
LAMBDA = session.client("lambda")
HANDLER = '''
import json

def handler(event, context):
    for record in event["Records"]:
        image = record["dynamodb"].get("NewImage", {})
        if image.get("mood", {}).get("S") == "angry":
            raise ValueError("an angry record")
    return {"seen": len(event["Records"])}
'''


class Emulator(ThreadingHTTPServer):
    """Both APIs at one address."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Exchange)
        self.events, self.answers, self.turn = queue.Queue(), {}, threading.Lock()
        self.log = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def invoke(self, event):
        """What the runtime answers: whether it failed, and the body."""
        call = uuid.uuid4().hex
        with self.turn:
            self.answers[call] = queue.Queue()
            self.events.put((call, event))
            return self.answers[call].get(timeout=30)


class Exchange(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        assert self.path == "/2018-06-01/runtime/invocation/next", self.path
        call, event = self.server.events.get()
        self.answer(
            200,
            event,
            Content_Type="application/json",
            Lambda_Runtime_Aws_Request_Id=call,
            Lambda_Runtime_Deadline_Ms="9999999999999",
            Lambda_Runtime_Invoked_Function_Arn="arn:aws:lambda:us-east-1:000000000000:function:function",
            Lambda_Runtime_Trace_Id="Root=1-00000000-000000000000000000000000;Sampled=0",
        )

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])) if "content-length" in self.headers else self.chunks()
        if self.path == "/2015-03-31/functions/function/invocations":
            failed, answer = self.server.invoke(body)
            self.server.log.append((failed, json.loads(body)))
            # As the emulator of AWS does: a failure has status 200, too, and no header.
            return self.answer(200, answer)
        *_, call, kind = self.path.split("/")
        self.server.answers.pop(call).put((kind == "error", body))
        self.answer(202)

    def chunks(self):
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def runtime(emulator):
    """The runtime of AWS, with the handler."""
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "function.py").write_text(HANDLER)
        address = f"127.0.0.1:{emulator.server_port}"
        variables = {
            "AWS_LAMBDA_RUNTIME_API": address,
            "AWS_LAMBDA_FUNCTION_NAME": "function",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
            "LAMBDA_TASK_ROOT": folder,
            "PYTHONPATH": folder,
        }
        command = [sys.executable, "-m", "awslambdaric", "function.handler"]
        quiet = {"stdout": subprocess.DEVNULL}
        process = subprocess.Popen(command, cwd=folder, env=variables, **quiet)
        try:
            yield address
        finally:
            process.kill()
            process.wait()


def told(emulator):
    """The numbers of each key that calls which succeeded told of, in order."""
    numbers = {}
    for failed, event in emulator.log:
        for record in event["Records"] if not failed else []:
            image = record["dynamodb"]["NewImage"]
            numbers.setdefault(image["station"]["S"], []).append(int(image["minute"]["N"]))
    return numbers


def write(table, station, minute, **more):
    item = {"station": {"S": station}, "minute": {"N": str(minute)}} | {name: {"S": text} for name, text in more.items()}
    DYNAMODB.put_item(TableName=table, Item=item)


def main():
    table = session.new_name("function")
    session.create_table(DYNAMODB, table)
    stream = session.set_stream(DYNAMODB, table, True)
    emulator = Emulator()
    with runtime(emulator) as address:
        mapping = LAMBDA.create_event_source_mapping(
            FunctionName=f"http://{address}/2015-03-31/functions/function/invocations",
            EventSourceArn=stream,
            StartingPosition="TRIM_HORIZON",
            BatchSize=10,
            BisectBatchOnFunctionError=True,
            MaximumRetryAttempts=1,
        )
        for minute in range(50):
            for station in ("a", "b", "c"):
                write(table, station, minute, **({"mood": "angry"} if (station, minute) == ("b", 20) else {}))
        expected = {station: list(range(50)) for station in "abc"}
        expected["b"].remove(20)

        def in_order():
            return {station: list(dict.fromkeys(numbers)) for station, numbers in told(emulator).items()}

        until("every record but one being delivered", lambda: in_order() == expected)
        if not NODES_DIE:
            assert told(emulator) == expected, "nothing is delivered twice"
        assert any(failed for failed, _ in emulator.log), "the runtime has told of a failure"
        LAMBDA.delete_event_source_mapping(UUID=mapping["UUID"])
    session.delete_table(DYNAMODB, table)
    print(f"{len(emulator.log)} calls of the runtime, {sum(failed for failed, _ in emulator.log)} of them failed")


main()
