#!/usr/bin/env python3
"""Sends random, mutated and hostile requests to a node's DynamoDB endpoint and checks every answer.

    run.py --endpoint http://127.0.0.1:8000 --seconds 600 --seed 1 --workers 2 --pid PID --log FILE
    run.py --endpoint http://127.0.0.1:8000 --replay findings/FILE

The node must serve any signature (no access keys). Findings are files in --findings: JSON with what was sent, as text
and as base 64. The exit code is 1 if there was a finding."""

import argparse
import base64
import collections
import faulthandler
import json
import multiprocessing
import os
import pathlib
import queue
import random
import re
import sys
import time
import traceback
import urllib.parse

import grammar
import mutations
import scenarios
import sequences
import wire

FILES_PER_FINDING = 3
HEALTH_EVERY = 100
HISTORY_BYTES_MAX = 64 << 20


def scenario_weights():
    """What a worker chooses from."""
    worker = scenarios.Worker
    return [
        (worker.put, 25), (worker.update, 25), (worker.delete, 6), (worker.any_valid, 15), (worker.mutated, 40),
        (worker.hostile, 40), (worker.filters, 8), (worker.get_batch, 3), (worker.pages, 1), (sequences.iterators, 3),
        (sequences.replayed, 0.1), (sequences.churn, 0.2), (worker.big, 0.15),
    ]


def work(address, host, seed, number, until, only, reports):
    """A process that runs scenarios until the time is over."""
    faulthandler.dump_traceback_later(until - time.time() + 40, exit=True)  # a worker that hangs tells where
    worker = scenarios.Worker(address, host, seed, number)
    weights = [(run, weight) for run, weight in scenario_weights() if not only or run.__name__ in only]
    runs, chances = zip(*weights)
    at = 0
    while time.time() < until:
        del worker.history[:-1]  # the one before stays: it may have left the connection in an odd state
        run = worker.prepare if at == 0 else worker.rng.choices(runs, chances)[0]
        try:
            if at == 0:
                run()
            else:
                run(worker)
                if at % HEALTH_EVERY == 0:
                    worker.healthy()
        except scenarios.Finding as finding:
            reports.put(("finding", finding.kind, f"{run.__name__}: {finding.detail}", _packed(worker)))
        except ConnectionError as error:
            reports.put(("finding", "no connection", f"{run.__name__}: {error}", _packed(worker)))
            time.sleep(1)
        except Exception:  # noqa: BLE001 - a defect of the fuzzer is told, not lost
            reports.put(("finding", "fuzzer", f"{run.__name__}: {traceback.format_exc()}", _packed(worker)))
        at += 1
        if at % 20 == 0 or time.time() > until:
            reports.put(("count", number, worker.requests, worker.throttled))
    reports.put(("done", number, worker.requests, dict(worker.seen)))


def _packed(worker):
    """What was sent, as JSON takes it: the last requests, if all are too much."""
    sent, total = [], 0
    for sending in reversed(worker.history):
        total += sum(len(piece) for piece in sending.pieces if isinstance(piece, bytes))
        if sent and total > HISTORY_BYTES_MAX:
            break
        pieces = [base64.b64encode(p).decode() if isinstance(p, bytes) else p for p in sending.pieces]
        text = b"".join(p for p in sending.pieces if isinstance(p, bytes))[:4000].decode("utf-8", "backslashreplace")
        sent.append({"text": text, "pieces": pieces, "ends": sending.ends, "answers": sending.answers, "head": sending.is_head})
    return {"tables": [table.creation() for table in [*worker.tables, worker.wild]], "sent": sent[::-1]}


class Watch:
    """The node from outside: whether it lives, its memory, its log."""

    def __init__(self, pid, log, memory_mib):
        self.pid, self.memory_mib, self.highest = pid, memory_mib, 0
        self.log = open(log, encoding="utf-8", errors="replace") if log else None
        if self.log:
            self.log.seek(0, os.SEEK_END)

    def look(self):
        """What is wrong, as (kind, detail) pairs."""
        found = []
        for line in self.log or ():
            plain = re.sub(r"\x1b\[[0-9;]*m", "", line)
            if "panicked" in plain or re.search(r"\bERROR\b", plain):
                found.append(("log", plain.strip()))
        if self.pid:
            try:
                status = pathlib.Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
            except OSError:
                return [*found, ("dead", f"process {self.pid} is gone")]
            match = re.search(r"VmRSS:\s+(\d+) kB", status)
            used = int(match[1]) // 1024 if match else 0
            self.highest = max(self.highest, used)
            if not match or used > self.memory_mib:
                found.append(("memory", f"the node uses {used} MiB, or is a zombie"))
        return found


class Findings:
    """What was found, once per kind and place."""

    def __init__(self, folder, seed):
        self.folder, self.seed, self.counts = pathlib.Path(folder), seed, collections.Counter()

    def add(self, kind, detail, sent):
        """Notes a finding; the first few of its like become files."""
        signature = kind + ":" + re.sub(r"[0-9]+|b'.*|\{.*|\[.*|frozenset.*", "", detail)[:120]
        self.counts[signature] += 1
        if self.counts[signature] > FILES_PER_FINDING:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / f"{self.seed}-{sum(self.counts.values()):04}-{re.sub('[^a-z]', '-', kind)}.json"
        file.write_text(json.dumps({"kind": kind, "detail": detail, **(sent or {})}, indent=1), encoding="utf-8")
        print(f"FINDING {kind}: {detail[:700]}\n  file: {file}", flush=True)


def fuzz(options, address, host):
    """Runs the workers and watches the node."""
    seed = random.SystemRandom().randrange(10**9) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    until, began = time.time() + options.seconds, time.time()
    reports, findings = multiprocessing.Queue(), Findings(options.findings, seed)
    watch = Watch(options.pid, options.log, options.memory_mib)
    arguments = [(address, host, seed, n, until, options.only, reports) for n in range(options.workers)]
    processes = [multiprocessing.Process(target=work, args=one, daemon=True) for one in arguments]
    for process in processes:
        process.start()
    counts, running, told, seen = {}, options.workers, began, collections.Counter()
    while running and time.time() < until + 60:
        try:
            kind, *rest = reports.get(timeout=1)
        except queue.Empty:
            kind, rest = None, []
        if kind == "finding":
            findings.add(*rest)
        elif kind in ("count", "done"):
            counts[rest[0]] = rest[1:]
            if kind == "done":
                running -= 1
                seen.update(rest[2])
        if time.time() - told > 5 or not running:
            told = time.time()
            for problem in watch.look():
                findings.add(*problem, None)
            progress(began, counts, watch, findings)
            if any(signature.startswith("dead:") for signature in findings.counts):
                break
    return finish(findings, seen, running, options)


def progress(began, counts, watch, findings):
    """One line."""
    total, passed = sum(count[0] for count in counts.values()), time.time() - began
    line = f"{passed:.0f} s, {total} requests ({total / max(passed, 1):.0f}/s)"
    if watch.pid:
        line += f", memory at most {watch.highest} MiB"
    print(f"{line}, findings {sum(findings.counts.values())} of {len(findings.counts)} kinds", flush=True)


def finish(findings, seen, running, options):
    """The summary; the exit code."""
    if running:
        findings.add("fuzzer", f"{running} workers did not end", None)
    if options.verbose:
        for answer, count in sorted(seen.items()):
            print(f"  {count:8} {answer}")
    for signature, count in findings.counts.most_common():
        print(f"  {count:6} times {signature}")
    print("nothing found" if not findings.counts else f"{len(findings.counts)} kinds of findings")
    return 1 if findings.counts else 0


def replay(file, address, host):
    """Sends what a file holds, and prints what comes back."""
    saved = json.loads(pathlib.Path(file).read_text(encoding="utf-8"))
    print(f"{saved['kind']}: {saved['detail']}")
    worker = scenarios.Worker(address, host, 0, 0)
    for creation in saved.get("tables", []):
        worker.ask("CreateTable", creation)
    for creation in saved.get("tables", []):
        worker.until_active(creation["TableName"])
    for sent in saved.get("sent", []):
        connection = wire.Connection(address)
        pieces = [base64.b64decode(piece) if isinstance(piece, str) else piece for piece in sent["pieces"]]
        print(f"\n> {sent['text'].partition(chr(13) + chr(10) * 2)[0][:1500]}")
        try:
            connection.send(pieces, sent["ends"])
            for _ in range(sent["answers"]):
                answer = connection.receive(sent["head"])
                print(f"< {answer.status} {dict(answer.headers)}\n< {answer.text(3000)}")
        except (wire.Late, wire.Broken, wire.Closed) as error:
            print(f"< {type(error).__name__}: {error}")
        connection.close()
    return 0


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--endpoint", default="http://127.0.0.1:8000")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--pid", type=int, help="the node's process: its life and memory are watched")
    parser.add_argument("--log", help="the node's log: no line may tell of a panic or an error")
    parser.add_argument("--memory-mib", type=int, default=1536, help="most memory the node may use")
    parser.add_argument("--findings", default="findings", help="where findings are saved")
    parser.add_argument("--replay", metavar="FILE", help="send what a finding holds, and print the answers")
    parser.add_argument("--only", nargs="*", help="names of scenarios; all if not given")
    parser.add_argument("--verbose", action="store_true", help="tell how often each operation gave each answer")
    options = parser.parse_args()
    url = urllib.parse.urlsplit(options.endpoint)
    address = (url.hostname, url.port or 80)
    if not grammar.MODELS:
        print("botocore is not installed: shapes of requests and answers are not checked")
    if options.replay:
        return replay(options.replay, address, url.netloc)
    return fuzz(options, address, url.netloc)


if __name__ == "__main__":
    sys.exit(main())
