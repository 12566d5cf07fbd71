"""The phone network at the far end of a trunk: it counts what arrives, whatever happens to iris and to its database.

It runs in threads of the process of the test and keeps everything in memory. Like most real carriers, it sends whatever it
accepts, also twice and also late; it refuses nothing because it looks repeated. iris reaches it by `carrier`, with one line
of JSON for each request and response:

    {"submit": [[key, number], …]}  → {"answers": {key: "accepted" | "invalid" | "later" | "silence"}}
    {"due": 1000}                   → {"reports": [[id, key], …]}, which are repeated until
    {"forget": [id, …]}             → {}
    {"look_up": [key, …]}           → {"known": [key, …]}
"""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections import Counter
from itertools import count, islice
from typing import Any

# The last digits of the numbers with a special outcome, as in the sandbox.
INVALID, DOUBLED, THROTTLED, ANSWER_LOST = "9904", "9906", "9907", "9908"
SPECIAL = [INVALID, DOUBLED, THROTTLED, ANSWER_LOST]
REPORT_SECONDS = 0.1  # from the submission to its report


class FarEnd:
    """Accept submissions and report on them. `received` has how many SMS each number got."""

    def __init__(self, *, report_seconds: float = REPORT_SECONDS) -> None:
        self.received: Counter[str] = Counter()
        self.keys: set[str] = set()
        self.first_at = self.last_at = 0.0
        self.arrived: dict[str, float] = {}  # when the SMS to these numbers arrived; 0 before
        self._report_seconds = report_seconds
        self._throttled: set[str] = set()
        self._ids = count(1)
        self._waiting: dict[int, tuple[float, str]] = {}  # when to report, and the key
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Conversation)
        self._server.far_end = self
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def twice(self) -> int:
        """Return how many SMS arrived that had arrived before."""
        return sum(number - 1 for number in self.received.values())

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            if "submit" in request:
                return {"answers": {key: self._take(key, number) for key, number in request["submit"]}}
            if "due" in request:
                now = time.monotonic()
                due = islice(((pk, at, key) for pk, (at, key) in self._waiting.items()), request["due"])
                return {"reports": [[pk, key] for pk, at, key in due if at <= now]}
            if "forget" in request:
                for pk in request["forget"]:
                    self._waiting.pop(pk, None)
                return {}
            return {"known": [key for key in request["look_up"] if key in self.keys]}

    def _take(self, key: str, number: str) -> str:
        special = number[-4:]
        if special == INVALID:
            return "invalid"
        if special == THROTTLED and key not in self._throttled:
            self._throttled.add(key)
            return "later"
        self.received[number] += 1
        if number in self.arrived:
            self.arrived[number] = time.monotonic()
        self.keys.add(key)
        self.last_at = time.monotonic()
        self.first_at = self.first_at or self.last_at
        for _ in range(2 if special == DOUBLED else 1):
            self._waiting[next(self._ids)] = (self.last_at + self._report_seconds, key)
        return "silence" if special == ANSWER_LOST else "accepted"


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64
    far_end: FarEnd


class _Conversation(socketserver.StreamRequestHandler):
    server: _Server
    disable_nagle_algorithm = True

    def handle(self) -> None:
        try:
            for line in self.rfile:
                self.wfile.write(json.dumps(self.server.far_end.answer(json.loads(line))).encode() + b"\n")
        except (OSError, ValueError):
            return  # the process at the other end has died, perhaps in the middle of a line
