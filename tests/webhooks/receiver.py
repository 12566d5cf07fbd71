"""A customer's server that receives webhooks. `python -m tests.webhooks.receiver FILE PORT` runs it; PORT can be 0.

The path decides about the response: `/ok`, `/fails-twice` (500 for the first two attempts of each event), `/fails`,
`/gone` (410), `/moved` (a redirect to /ok), `/slow` (after 3 seconds). Anything may follow after another slash.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SLOW_SECONDS = 3.0


@dataclass(frozen=True)
class Received:
    """One request. `status` is the response."""

    path: str
    headers: dict[str, str]
    body: str
    status: int
    at: float

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event


class Receiver:
    """Listen on a free port of this machine, and keep what is received; with `file`, append it there, too."""

    def __init__(self, file: Path | None = None, port: int = 0) -> None:
        self.received: list[Received] = []
        self._seen: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()
        self._file = file
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a sender that was killed has closed its connections

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"])).decode()
        kind = request.path.split("/")[1]
        headers = {name.lower(): value for name, value in request.headers.items()}
        with self._lock:
            self._seen[request.path, headers["webhook-id"]] += 1
            attempts = self._seen[request.path, headers["webhook-id"]]
        status = {"fails": 500, "gone": 410, "moved": 302}.get(kind, 200)
        if kind == "fails-twice" and attempts <= 2:
            status = 500
        if kind == "slow":
            time.sleep(SLOW_SECONDS)
        one = Received(request.path, headers, body, status, time.time())
        with self._lock:
            self.received.append(one)
            if self._file is not None:
                with self._file.open("a") as file:
                    file.write(json.dumps(asdict(one)) + "\n")
        request.send_response(status)
        if status == 302:
            request.send_header("Location", "/ok")
        request.send_header("Content-Length", "0")
        request.end_headers()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def read(file: Path) -> list[Received]:
    """Return what a receiver in its own process has written to its file so far."""
    if not file.exists():
        return []
    return [Received(**json.loads(line)) for line in file.read_text().splitlines() if line.endswith("}")]


if __name__ == "__main__":
    print(Receiver(Path(sys.argv[1]), int(sys.argv[2])).port, flush=True)
    threading.Event().wait()
