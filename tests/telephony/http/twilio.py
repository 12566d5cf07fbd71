"""The documented contract of Twilio, and its calls."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import io
import threading
import time
import urllib.request
import wave
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from tests.telephony.http.contracts import Contract
from tests.telephony.http.faults import ACCOUNT, FAULTS, TOKEN

if TYPE_CHECKING:
    from tests.telephony.http.server import Server


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
