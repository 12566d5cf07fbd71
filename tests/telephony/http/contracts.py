"""The documented contracts of Sparrow, Aakash, and the example of docs/adding-a-carrier.md."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import urllib.request
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from tests.telephony.http.faults import FAULTS, TOKEN

if TYPE_CHECKING:
    from tests.telephony.http.server import Handler

NEPAL = timezone(timedelta(hours=5, minutes=45))


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


class Himal(Contract):
    """The carrier of docs/adding-a-carrier.md."""

    name = "himal"

    def answer(self, path: str, form: dict[str, Any], query: dict[str, str]) -> None:
        if self.handler.headers.get("X-Key") != TOKEN:
            self.refuse("E01")
            return
        to, text = form["to"], form["text"]
        codes = {"invalid": "E02", "login": "E01", "funds": "E03", "unknown code": "E99"}
        fault = self.fault_of(to, text=text)
        if fault == "done":
            return
        if fault:
            self.refuse(codes[fault])
            return
        ref = f"H-{self.take(to, text=text)['id']}"
        self.handler.send_json(202, {"id": ref})
        threading.Thread(target=self.report, args=(form["report_to"], ref), daemon=True).start()

    def report(self, url: str, ref: str) -> None:
        for state in ("sent", "delivered"):
            body = json.dumps({"id": ref, "state": state}).encode()
            signature = hmac.new(TOKEN.encode(), body, hashlib.sha256).hexdigest()
            headers = {"Content-Type": "application/json", "X-Signature": signature}
            try:
                urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=20).close()
            except OSError as error:
                self.server.note("report refused", url=url, error=str(error))

    def refuse(self, code: str) -> None:
        self.handler.send_json(400, {"error": code})
