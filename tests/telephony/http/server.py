"""A server that speaks the documented contracts of Twilio, Sparrow and Aakash, with faults. It runs in its own process.

python -m tests.telephony.http.server PORT FOLDER [BEHAVIOUR]

FOLDER/journal.jsonl has a line for each accepted call and SMS (`taken`), each request (`asked`), and each step of a call.
The last four digits of a number decide what goes wrong (`FAULTS`). BEHAVIOUR is a JSON object: `latency` in seconds,
`auth_token` that signs callbacks, `digits` that callees press, by number, and `hangs_up_after` seconds, by number.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import io
import json
import socket
import struct
import sys
import threading
import time
import urllib.request
import wave
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

TOKEN = "the-token-of-the-account"
ACCOUNT = "AC" + "0123456789abcdef" * 2
NEPAL = timezone(timedelta(hours=5, minutes=45))

# What goes wrong with a number. `taken` means that the server accepts it all the same.
FAULTS = {
    "9901": "429",
    "9904": "invalid",
    "9911": "500",
    "9912": "500 taken",
    "9913": "reset taken",
    "9914": "reset",
    "9915": "huge taken",
    "9916": "broken json taken",
    "9917": "html taken",
    "9918": "silent taken",
    "9919": "drip taken",
    "9920": "503 later",
    "9921": "503",
    "9922": "redirect",
    "9923": "html 403",
    "9924": "html 502 taken",
    "9925": "gzip taken",
    "9926": "login",
    "9927": "funds",
    "9928": "unknown code",
    "9929": "deep json taken",
    "9930": "list json taken",
    "9931": "cut off taken",
    "9932": "closed",
}


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


class Contract:
    """One carrier's contract. `take` notes what was accepted and returns the entry."""

    name = ""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.server = handler.server

    def take(self, to: str, **entry: Any) -> dict[str, Any]:
        return self.server.note("taken", carrier=self.name, to=to, **entry)

    def fault_of(self, to: str, **entry: Any) -> str:
        """Return the fault of a number, "" if none. What is taken in spite of it is noted, and failed requests are done."""
        fault = FAULTS.get(to[-4:], "")
        if fault.endswith(" taken"):
            self.take(to, **entry)
            fault = fault.removesuffix(" taken")
        return "done" if self.handler.fail(fault) else fault


class Sparrow(Contract):
    name = "sparrow"

    def answer(self, path: str, form: dict[str, Any], query: dict[str, str]) -> None:
        given = form or query
        if given.get("token") != TOKEN:
            self.refuse(1002, "Invalid Token")
        elif path == "/v2/credit/":
            self.handler.send_json(
                200, {"credits_available": 1234, "credits_consumed": 66, "response_code": 200}
            )
        else:
            self.submit(given)

    def submit(self, form: dict[str, Any]) -> None:
        to = f"+977{form.get('to', '')}"
        fault = self.fault_of(to, text=form.get("text"), sender=form.get("from"))
        codes = {
            "invalid": (1007, "Invalid Receiver"),
            "login": (1002, "Invalid Token"),
            "funds": (1012, "No Credits"),
        }
        if fault == "done":
            return
        if fault == "unknown code":
            self.refuse(1999, f"Something new about {to}")
        elif fault:
            self.refuse(*codes[fault])
        else:
            self.take(to, text=form.get("text"), sender=form.get("from"))
            answer = {"count": 1, "response_code": 200, "response": "1 message has been queued for delivery"}
            self.handler.send_json(200, answer)

    def refuse(self, code: int, words: str) -> None:
        self.handler.send_json(403, {"response_code": code, "response": words})


class Aakash(Contract):
    name = "aakash"

    def answer(self, path: str, form: dict[str, Any], query: dict[str, str]) -> None:
        if path == "/sms/v3/send":
            if form.get("auth_token") != TOKEN:
                self.refuse("The auth token is not valid.")
            else:
                self.submit(form["to"], form["text"], wrap=False)
        elif self.handler.headers.get("auth-token") != TOKEN:
            self.refuse("The auth token is not valid.")
        elif path == "/sms/v4/send-user":
            self.submit(form["to"][0], form["text"][0], wrap=True)
        elif path == "/sms/v4/available-credit":
            self.handler.send_json(200, {"available_credit": 987, "response_code": 200})
        elif path == "/sms/v4/api-report":
            self.report(form, int(query.get("page", "1")))
        else:
            self.handler.send_json(404, {"message": "Not found"})

    def submit(self, number: str, text: str, *, wrap: bool) -> None:
        to = f"+977{number}"
        fault = self.fault_of(to, text=text)
        words = {
            "login": "The auth token is not valid.",
            "funds": "You do not have enough balance.",
            "unknown code": "Hmm.",
        }
        if fault == "done":
            return
        if fault in words:
            self.refuse(words[fault], wrap=wrap)
            return
        row = {"mobile": f"977{number}", "text": text, "network": "ncell"}
        if fault == "invalid":
            data = {"valid": [], "invalid": [{**row, "id": 1, "credit": 0, "status": "aborted"}]}
        else:
            taken = self.take(to, text=text)
            data = {"valid": [{**row, "id": taken["id"], "credit": 1, "status": "queued"}], "invalid": []}
        answer = {"error": False, "message": "1 messages queued.", "data": data}
        self.handler.send_json(200, {"responses": [answer], "errors": []} if wrap else answer)

    def refuse(self, words: str, *, wrap: bool = False) -> None:
        answer = {"error": True, "message": words, "data": []}
        self.handler.send_json(200, {"responses": [answer], "errors": []} if wrap else answer)

    def report(self, days: dict[str, str], page: int) -> None:
        rows = []
        for taken in self.server.taken:
            at = datetime.fromtimestamp(taken["at"], NEPAL)
            if not days["start_date"] <= f"{at:%Y-%m-%d}" <= days["end_date"]:
                continue
            rows.append(
                {
                    "id": f"pre_{taken['id']}",
                    "mobile": taken["to"].removeprefix("+"),
                    "text": taken["text"],
                    "status": "failed" if taken["to"].endswith("8") else "delivered",
                    "created_at": f"{at:%Y-%m-%d %H:%M:%S}",
                    "updated_at": f"{at:%Y-%m-%d %H:%M:%S}",
                }
            )
        size = 2
        last = max(1, -(-len(rows) // size))
        shown = rows[(page - 1) * size : page * size]
        result = {"data": shown, "total": len(rows), "last_page": last}
        self.handler.send_json(200, {"error": False, "data": {"result": result}})


class Twilio(Contract):
    name = "twilio"

    def answer(self, path: str, form: dict[str, Any], query: dict[str, str]) -> None:
        login = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
        if self.handler.headers.get("Authorization") != f"Basic {login}":
            self.refuse(401, 20003, "Authenticate")
        elif self.handler.command == "GET":
            self.list(path, query)
        else:
            self.submit(form, is_call=path.endswith("/Calls.json"))

    def list(self, path: str, query: dict[str, str]) -> None:
        kind = "calls" if path.endswith("/Calls.json") else "messages"
        rows = [
            {
                "sid": taken["sid"],
                "to": taken["to"],
                "body": taken.get("text"),
                "date_created": format_datetime(datetime.fromtimestamp(taken["at"], UTC)),
            }
            for taken in reversed(self.server.taken)
            if taken["to"] == query["To"] and taken["sid"].startswith("CA" if kind == "calls" else "SM")
        ]
        self.handler.send_json(200, {kind: rows[: int(query["PageSize"])]})

    def submit(self, form: dict[str, Any], *, is_call: bool) -> None:
        to = form["To"]
        sid = ("CA" if is_call else "SM") + hashlib.md5(f"{to}{time.time()}".encode()).hexdigest()
        entry = {"sid": sid, "text": form.get("Body"), "sender": form.get("From")}
        fault = self.fault_of(to, **entry)
        codes = {
            "invalid": (400, 21211, f"The 'To' number {to} is not a valid phone number."),
            "login": (401, 20003, "Authenticate"),
            "funds": (400, 30002, "Account suspended"),
            "unknown code": (400, 29999, f"Something new about {to}"),
        }
        if fault == "done":
            if FAULTS[to[-4:]].endswith(" taken"):
                self.follow(form, sid, is_call=is_call)
            return
        if fault:
            self.refuse(*codes[fault])
            return
        self.take(to, **entry)
        self.handler.send_json(201, {"sid": sid, "status": "queued", "to": to})
        self.follow(form, sid, is_call=is_call)

    def refuse(self, status: int, code: int, words: str) -> None:
        self.handler.send_json(status, {"code": code, "message": words, "status": status})

    def follow(self, form: dict[str, Any], sid: str, *, is_call: bool) -> None:
        work = Call(self.server, form, sid).run if is_call else self.deliver
        threading.Thread(target=work, args=() if is_call else (form, sid), daemon=True).start()

    def deliver(self, form: dict[str, Any], sid: str) -> None:
        fails = form["To"].endswith("9940")
        for status in ("sent", "undelivered" if fails else "delivered"):
            fields = {"MessageSid": sid, "MessageStatus": status, "To": form["To"], "AccountSid": ACCOUNT}
            if status == "undelivered":
                fields["ErrorCode"] = "30005"
            request_of_ours(self.server, form["StatusCallback"], fields)


class Call:
    """One call: it plays what the TwiML says, as fast as it can, and presses keys."""

    def __init__(self, server: Server, form: dict[str, Any], sid: str) -> None:
        self.server, self.form, self.sid = server, form, sid
        self.to = form["To"]
        self.digits = list(server.behaviour.get("digits", {}).get(self.to, []))
        self.seconds = 0.0

    def run(self) -> None:
        self.status("initiated")
        self.status("ringing")
        end = {"9902": "no-answer", "9903": "busy", "9905": "failed"}.get(self.to[-4:])
        if end:
            self.status(end, SipResponseCode="404" if end == "failed" else "486")
            return
        self.status("in-progress")
        with contextlib.suppress(_HungUp):
            self.follow(self.request(self.form["Url"]))
        self.status("completed", CallDuration=str(round(self.seconds)))

    def follow(self, twiml: bytes) -> None:
        for verb in ET.fromstring(twiml):
            if verb.tag == "Gather":
                keys = self.digits.pop(0) if self.digits else ""
                for play in verb:
                    self.play(play.text or "")
                if keys:
                    self.server.note("pressed", to=self.to, keys=keys)
                    self.follow(self.request(verb.attrib["action"], Digits=keys))
                    return
            elif verb.tag == "Play":
                self.play(verb.text or "")
            elif verb.tag == "Hangup":
                return

    def play(self, url: str) -> None:
        with urllib.request.urlopen(url, timeout=20) as response:
            content = response.read()
        name = f"{self.sid}-{len(list(self.server.folder.glob(f'{self.sid}-*')))}.wav"
        (self.server.folder / name).write_bytes(content)
        with wave.open(io.BytesIO(content)) as sound:
            seconds = sound.getnframes() / sound.getframerate()
        self.server.note("played", to=self.to, sid=self.sid, file=name, seconds=seconds)
        limit = self.server.behaviour.get("hangs_up_after", {}).get(self.to)
        if limit is not None and self.seconds + seconds > limit:
            self.seconds = limit
            raise _HungUp
        self.seconds += seconds

    def status(self, status: str, **fields: str) -> None:
        url = self.form["StatusCallback"]
        now = format_datetime(datetime.now(UTC))
        request_of_ours(self.server, url, {**self.fields(), "CallStatus": status, "Timestamp": now, **fields})

    def request(self, url: str, **fields: str) -> bytes:
        return request_of_ours(self.server, url, {**self.fields(), "CallStatus": "in-progress", **fields})

    def fields(self) -> dict[str, str]:
        return {"CallSid": self.sid, "AccountSid": ACCOUNT, "To": self.to, "Direction": "outbound-api"}


class _HungUp(Exception):
    pass


def request_of_ours(server: Server, url: str, fields: dict[str, str]) -> bytes:
    """Send a signed request to iris, as Twilio does; return the body of the response."""
    signed = url + "".join(name + fields[name] for name in sorted(fields))
    key = server.behaviour.get("auth_token", TOKEN)
    signature = base64.b64encode(hmac.new(key.encode(), signed.encode(), hashlib.sha1).digest()).decode()
    request = urllib.request.Request(
        url, urlencode(fields).encode(), {"X-Twilio-Signature": signature}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            server.note("called back", url=url, fields=fields, status=response.status)
            body: bytes = response.read()
            return body
    except OSError as error:
        server.note("called back", url=url, fields=fields, status=getattr(error, "code", 0))
        return b"<Response/>"


def main() -> None:
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    server = Server(port, folder, json.loads(sys.argv[3]) if len(sys.argv) > 3 else {})
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
