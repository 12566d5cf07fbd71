"""Run the production web server in a separate process, with a small WSGI application, and connect to it with sockets."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.iris.processes import ROOT, environment
from tests.live import wait_for
from tests.ports import free_port

# Each path of this application has a different behaviour.
APPLICATION = """
import hashlib, json, os, threading, time
import django
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iris.settings")
django.setup()
gate = threading.Event()

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/wait":  # until /health/release is requested
        gate.wait(60)
    if path == "/health/release":
        gate.set()
    if path == "/big":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (b"x" * 65536 for _ in range(160))
    if path == "/broken":
        start_response("200 OK", [("Content-Length", "1000")])
        return (b"part" if n == 0 else 1 / 0 for n in range(2))
    if path == "/unread":
        body = b""
    else:
        try:
            body = environ["wsgi.input"].read()
        except OSError as error:
            start_response("400 Bad Request", [("Content-Length", "0")])
            return [b""]
    echo = {"method": environ["REQUEST_METHOD"], "path": path, "length": len(body),
            "sha": hashlib.sha256(body).hexdigest(), "thread": threading.current_thread().name,
            "headers": {name: value for name, value in environ.items() if name.startswith("HTTP_")}}
    answer = json.dumps(echo).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
    return [answer]
"""


class WebServer:
    def __init__(self, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
        self.port = port
        self.process = process
        self.log = log

    def connect(self, *, receive_buffer: int | None = None) -> socket.socket:
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(60)
        sock.connect(("127.0.0.1", self.port))
        return sock

    def ask(self, raw: bytes) -> bytes:
        """Send these bytes. Return all bytes of the response until the server closes the connection."""
        with self.connect() as sock:
            sock.sendall(raw)
            return read_all(sock)


def read_all(sock: socket.socket) -> bytes:
    parts = []
    try:
        while part := sock.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        parts.append(b"<reset>")
    return b"".join(parts)


def read_answer(sock: socket.socket) -> tuple[bytes, bytes]:
    """Return head and body of one response with a Content-Length."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = sock.recv(65536)
        assert part, data
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        part = sock.recv(65536)
        assert part, data
        body += part
    assert len(body) == length
    return head, body


@contextmanager
def web_server(folder: Path, *arguments: str, worker: str = "", **variables: str) -> Iterator[WebServer]:
    """Run the server with four threads. `worker` is Python code that can shorten the deadlines of iris.webserver."""
    (folder / "apart.py").write_text(APPLICATION)
    (folder / "sitecustomize.py").write_text("")
    (folder / "changed.py").write_text(f"from iris.webserver.config import *\n{worker}\n")
    port = free_port()
    log = folder / "web.log"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", f"--config={folder / 'changed.py'}", "apart"]
            + [f"--bind=127.0.0.1:{port}", "--threads=4", f"--pythonpath={folder},{ROOT}", *arguments],
            cwd=folder,
            env=environment(folder, PYTHONPATH=str(ROOT), **variables),
            stdout=output,
            stderr=output,
        )
    server = WebServer(port, process, log)
    try:
        wait_for(lambda: process.poll() is not None or _answers(port), seconds=60)
        assert process.poll() is None, log.read_text()
        yield server
    finally:
        process.send_signal(signal.SIGQUIT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            return sock.recv(1) != b""
    except OSError:
        time.sleep(0.05)
        return False
