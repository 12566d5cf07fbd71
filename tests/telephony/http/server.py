"""A server that speaks the documented contracts of Twilio, Sparrow and Aakash, with faults. It runs in its own process.

python -m tests.telephony.http.server PORT FOLDER [BEHAVIOUR]

FOLDER/journal.jsonl has a line for each accepted call and SMS (`taken`), each request (`asked`), and each step of a call.
The last four digits of a number decide what goes wrong (`faults.FAULTS`). BEHAVIOUR is a JSON object: `latency` in seconds,
`closes` if each connection ends after one response, `auth_token` that signs callbacks, `digits` that callees press, by
number, and `hangs_up_after` seconds, by number.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from tests.telephony.http.contracts import Aakash, Himal, Sparrow
from tests.telephony.http.twilio import Twilio


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, port: int, folder: Path, behaviour: dict[str, Any]) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.folder = folder
        self.behaviour = behaviour
        self.lock = threading.Lock()
        self.journal = open(folder / "journal.jsonl", "a", buffering=1)  # noqa: SIM115 – open as long as the process
        self.taken: list[dict[str, Any]] = []
        for line in (folder / "journal.jsonl").read_text().splitlines():
            entry = json.loads(line)
            if entry["kind"] == "taken":
                self.taken.append(entry)

    def note(self, kind: str, **entry: Any) -> dict[str, Any]:
        noted = {"kind": kind, "at": time.time(), **entry}
        with self.lock:
            if kind == "taken":
                noted["id"] = len(self.taken) + 1
                self.taken.append(noted)
            self.journal.write(json.dumps(noted) + "\n")
        return noted


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.answer({})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "json" in self.headers.get("Content-Type", ""):
            self.answer(json.loads(body))
        else:
            self.answer(
                {name: values[0] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}
            )

    def answer(self, form: dict[str, Any]) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        self.server.note("asked", path=parts.path, headers=dict(self.headers))
        if latency := self.server.behaviour.get("latency"):
            time.sleep(latency)
        if parts.path.startswith("/2010-04-01/"):
            Twilio(self).answer(parts.path, form, query)
        elif parts.path.startswith("/v2/"):
            Sparrow(self).answer(parts.path, form, query)
        elif parts.path.startswith("/himal/"):
            Himal(self).answer(parts.path, form, query)
        else:
            Aakash(self).answer(parts.path, form, query)

    def send(self, status: int, content: bytes, *, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)
        if self.server.behaviour.get("closes"):  # without a header that says so
            self.close_connection = True

    def send_json(self, status: int, content: object, **headers: str) -> None:
        self.send(status, json.dumps(content).encode(), **headers)

    def reset(self) -> None:
        """Close the connection with RST, as a crashed server would."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def fail(self, fault: str) -> bool:
        """Send a broken response; return whether this fault has one that is the same in all contracts."""
        page = b"<html><head><title>Error</title></head><body>Sorry +9779841000000</body></html>"
        match fault:
            case "429":
                self.send_json(429, {"code": 20429, "message": "Too many requests"}, Retry_After="7")
            case "500":
                self.send(500, b"oops", kind="text/plain")
            case "reset":
                self.reset()
            case "closed":
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
            case "huge":
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                try:
                    for _ in range(100_000):
                        self.wfile.write(b'{"response_code": 200, ' + b" " * 10_000)
                except OSError:
                    pass
                self.close_connection = True
            case "broken json":
                self.send(200, b'{"sid": "SM1", "response_code": 200, "error": fal')
            case "deep json":
                self.send(200, b"[" * 100_000)
            case "list json":
                self.send(200, b'[{"sid": "SM1"}]')
            case "html":
                self.send(200, page, kind="text/html")
            case "html 403":
                self.send(403, page, kind="text/html")
            case "html 502":
                self.send(502, page, kind="text/html")
            case "silent":
                time.sleep(self.server.behaviour.get("silence", 5))
                self.close_connection = True
            case "drip":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                try:
                    for _ in range(1000):
                        self.wfile.write(b" ")
                        self.wfile.flush()
                        time.sleep(0.05)
                except OSError:
                    pass
                self.close_connection = True
            case "cut off":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b'{"sid": "SM1"')
                self.close_connection = True
            case "503 later":
                self.send(503, b"busy", kind="text/plain", Retry_After="9")
            case "503":
                self.send(503, b"busy", kind="text/plain")
            case "redirect":
                port = self.server.server_address[1]
                self.send(307, b"", Location=f"http://127.0.0.1:{port}/elsewhere{self.path}")
            case "gzip":
                self.send(200, b"\x1f\x8b", Content_Encoding="gzip")
            case _:
                return False
        return True


def main() -> None:
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    server = Server(port, folder, json.loads(sys.argv[3]) if len(sys.argv) > 3 else {})
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
