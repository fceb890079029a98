"""Three nodes on this machine, and what happens to them: started, killed, started again, stopped."""

import http.client
import itertools
import pathlib
import socket
import subprocess
import threading
import time

READY_SECONDS = 60
DOWN_SECONDS = 2
LOG_LINES = 30


def free_ports(count):
    """Ports nobody listens on. They are held together, so that no two are the same."""
    holders = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [holder.getsockname()[1] for holder in holders]
    for holder in holders:
        holder.close()
    return ports


class Node:
    """One process, its port and its folder."""

    def __init__(self, program, port, folder, join):
        self.port, self.folder, self.process = port, pathlib.Path(folder), None
        self.is_live = False
        self.command = [program, "serve", "--listen", f"127.0.0.1:{port}", "--data", str(self.folder / "data")]
        if join:
            self.command += ["--join", f"127.0.0.1:{join}"]

    def start(self):
        self.folder.mkdir(exist_ok=True)
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def get(self, path):
        """Status and text, or no status if nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException):
            return None, ""
        finally:
            connection.close()

    def is_ready(self):
        return self.get("/health")[0] == 200

    def is_answering(self):
        status, text = self.get("/")
        return status == 200 and text.startswith("healthy: ")

    def wait(self, is_there):
        deadline = time.monotonic() + READY_SECONDS
        while not is_there():
            if self.process.poll() is not None:
                raise RuntimeError(f"the node at port {self.port} ended by itself:\n{self.log()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"the node at port {self.port} is not ready after {READY_SECONDS} s:\n{self.log()}")
            time.sleep(0.05)
        self.is_live = True

    def kill(self):
        """SIGKILL: the process gets no chance to write or say anything."""
        self.is_live = False
        if self.process:
            self.process.kill()
            self.process.wait()

    def log(self):
        lines = (self.folder / "log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-LOG_LINES:])


class Cluster:
    """The nodes, the first of which founds the cluster."""

    def __init__(self, program, folder):
        ports = free_ports(3)
        folders = [pathlib.Path(folder) / f"node{number}" for number in (1, 2, 3)]
        self.program = program
        self.nodes = [Node(program, port, path, join) for port, path, join in zip(ports, folders, [None, ports[0], ports[0]])]

    def start(self):
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            node.wait(lambda node=node: node.is_answering() and node.is_ready())

    def stop(self):
        for node in self.nodes:
            node.kill()

    def endpoints(self):
        return [f"http://127.0.0.1:{node.port}" for node in self.nodes]

    def ended(self):
        """What nodes said that ended by themselves."""
        return "\n".join(node.log() for node in self.nodes if node.is_live and node.process.poll() is not None)


class Killer(threading.Thread):
    """Kills one node after another. The next one only when the last one is ready again: at most one is down."""

    def __init__(self, nodes, every):
        super().__init__(daemon=True)
        self.turn, self.every = itertools.cycle(nodes), every
        self.ending, self.kills, self.fault = threading.Event(), 0, None

    def run(self):
        try:
            while not self.ending.wait(self.every):
                node = next(self.turn)
                node.kill()
                self.kills += 1
                self.ending.wait(DOWN_SECONDS)
                node.start()
                node.wait(node.is_ready)
        except RuntimeError as fault:
            self.fault = str(fault)

    def end(self):
        """Returns when all nodes are up."""
        self.ending.set()
        self.join()


class Proxy:
    """A port that leads to a node, or to another one while it is down: SDKs know one endpoint only. It knows nothing of
    HTTP. When a node dies, so do the connections to it, and what was under way on them stays unanswered."""

    def __init__(self, nodes, first):
        self.order = nodes[first:] + nodes[:first]
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.connect, args=[client], daemon=True).start()

    def connect(self, client):
        for node in self.order:
            if not node.is_live:
                continue
            try:
                upstream = socket.create_connection(("127.0.0.1", node.port), timeout=2)
            except OSError:
                continue
            upstream.settimeout(None)
            for pair in [(client, upstream), (upstream, client)]:
                threading.Thread(target=self.copy, args=pair, daemon=True).start()
            return
        client.close()

    @staticmethod
    def copy(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        for side in (source, target):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()
