"""Send SMS in Nepal through the API of Aakash SMS and its resellers, and ask it for reports (docs/http-carriers.md).

From public integrations, because the vendor publishes no reference. Each request has one number, so that its response is
about that number alone.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, ClassVar

from django.utils import timezone

from telephony.carriers.aakash.reports import (
    MATCH_WINDOW,
    NEPAL,
    Row,
    assign,
    bare,
    event_of,
    page_of,
    sent_by_key,
    sent_without_report,
    taken_refs,
)
from telephony.carriers.base import Accepted, Record, Rejected, Result, Submission
from telephony.carriers.errors import CarrierError
from telephony.carriers.http import ApiRequest, ApiResponse, HttpCarrier, Refusal, Verdict
from telephony.carriers.http.nepal import nepali_mobile
from telephony.carriers.http.options import Option, Secret, boolean, number, one_of, text, web_address
from telephony.models import Cause, Channel

log = logging.getLogger(__name__)

# The API has texts instead of codes. They are compared loosely, because they have changed before; the first match counts.
MESSAGES: tuple[tuple[str, Verdict], ...] = (
    (r"not (have )?enough|insufficient|low balance|no (credit|balance)|recharge", Verdict.OUT_OF_FUNDS),
    (r"(auth.?token|token|api key).*(invalid|not valid|expired|incorrect|required|missing|wrong)", Verdict.MISCONFIGURED),
    (r"(invalid|incorrect|wrong|unauthori[sz]ed).*(auth|token|api key|ip\b)", Verdict.MISCONFIGURED),
    (r"unauthenticated|unauthori[sz]ed|account.*(inactive|suspended|blocked|disabled|expired)", Verdict.MISCONFIGURED),
    (r"too many (requests|attempts)|rate limit", Verdict.TOO_FAST),
    (r"(invalid|no valid|not valid|incorrect).*(number|mobile|receiver|recipient|\bto\b)", Verdict.INVALID),
    (r"(number|mobile|receiver|recipient|\bto\b).*(invalid|not valid|incorrect|required)", Verdict.INVALID),
    (r"(text|message).*(required|empty|too long)", Verdict.REFUSED),
)  # fmt: skip
MAX_PAGES = 50  # of a report, for one poll or look-up
MAX_REPORT_DAYS = 30  # the API allows 31


class AakashCarrier(HttpCarrier):
    channels: ClassVar = frozenset({Channel.SMS})
    polls: ClassVar = True
    looks_up: ClassVar = True
    max_look_ups: ClassVar = 1000  # one report has them all
    table: ClassVar = {
        "auth_token": Option("", "Token of the account.", text(200), Secret.TEXT),
        "base_url": Option("https://sms.aakashsms.com", "Address of the API; resellers have others.", web_address),
        "api": Option("v3", "Version of the API to send with: `v3` or `v4`.", one_of("v3", "v4")),
        "reports": Option(
            True, "Whether to ask for reports. Without them an SMS completes when it is accepted.", boolean
        ),
        "poll_seconds": Option(30, "Seconds between two requests for reports.", number(0, 3600)),
    }  # fmt: skip
    needed: ClassVar = {"auth_token": "must be the token of the account"}

    def __init__(self, *, alias: str, **options: Any) -> None:
        super().__init__(alias=alias, **options)
        self._poll_at = 0.0  # monotonic

    def request_of(self, one: Submission) -> ApiRequest | Rejected:
        to = nepali_mobile(one.to)
        if to is None:
            return Rejected(
                key=one.key, cause=Cause.INVALID, text="Aakash reaches mobile numbers of Nepal only."
            )
        if not one.text.strip():
            return Rejected(key=one.key, cause=Cause.REFUSED, text="The SMS has no text.")
        if self.settings["api"] == "v4":
            return ApiRequest(
                path="/sms/v4/send-user", json={"to": [to], "text": [one.text]}, headers=self._login()
            )
        form = {"auth_token": self.settings["auth_token"], "to": to, "text": one.text}
        return ApiRequest(path="/sms/v3/send", form=form)

    def outcome(self, one: Submission, response: ApiResponse) -> Result | Refusal | None:
        body = response.json()
        if self.settings["api"] == "v4" and "responses" in body:
            body = (body["responses"] or [{"error": True, "message": str(body.get("errors"))}])[0]
        if body.get("error") is True:
            return _refusal(str(body.get("message")))
        if body.get("error") is not False:
            # A refusal by the API's web framework has only a message, such as {"message": "Unauthenticated."}.
            known = _refusal(str(body.get("message", ""))) if response.status >= 400 else None
            return None if known is None or known.verdict is Verdict.UNKNOWN else known
        data = body.get("data")
        if isinstance(data, dict) and data.get("valid"):
            completes = not self.settings["reports"]
            return Accepted(key=one.key, ref=bare(str(data["valid"][0]["id"])), completes=completes)
        if isinstance(data, dict) and data.get("invalid"):
            return Refusal(Verdict.INVALID, f"{data['invalid'][0].get('status')}: invalid number", "invalid")
        return Refusal(Verdict.UNKNOWN, "The response names no SMS.")

    def balance(self) -> str:
        request = ApiRequest(method="GET", path="/sms/v4/available-credit", headers=self._login())
        (response,) = self.ask(request)
        body = response.json()
        data = body.get("data")
        credit = body.get(
            "available_credit", data.get("available_credit") if isinstance(data, dict) else None
        )
        if isinstance(credit, (int, float, str)) and not isinstance(credit, bool) and str(credit).strip():
            return f"{credit} credits"
        if "total_credit" in response.text():  # an account that was never topped up
            return "none yet"
        raise CarrierError(self.redacted(f"HTTP {response.status}: {response.text()}"))

    def poll(self, record: Record) -> int:
        now = time.monotonic()
        if not self.settings["reports"] or now < self._poll_at:
            return 0
        self._poll_at = now + self.settings["poll_seconds"]
        open_ones = sent_without_report(self.alias)
        if not open_ones:
            return 0
        rows, _ = self._report(since=min(one.at for one in open_ones))
        events = [event for row, one in assign(rows, open_ones) if (event := event_of(row, one)) is not None]
        if events:
            record(events)
        return len(events)

    def find(self, keys: Sequence[str]) -> dict[str, bool]:
        if not self.settings["reports"]:
            return {}
        # A report may not have the SMS of the last minutes yet.
        asked = [one for one in sent_by_key(self.alias, keys) if one.at < timezone.now() - MATCH_WINDOW]
        if not asked:
            return {}
        rows, is_complete = self._report(since=min(one.at for one in asked))
        taken = taken_refs(self.alias, rows)
        free = [row for row in rows if row.id not in taken]
        found = {one.key for _, one in assign(free, asked)}
        alike = {one.alike for one in asked if one.key in found}
        return {
            one.key: one.key in found
            for one in asked
            # If several SMS have the same number and text, nothing tells which one is missing.
            if one.key in found or (is_complete and one.alike not in alike)
        }

    def _report(self, *, since: datetime) -> tuple[list[Row], bool]:
        """Return the rows of the report from that day on, and whether these are all. Empty if it cannot be read."""
        end = timezone.now().astimezone(NEPAL).date()
        begin: date = max(
            (since - MATCH_WINDOW).astimezone(NEPAL).date(), end - timedelta(days=MAX_REPORT_DAYS)
        )
        days = {"start_date": begin.isoformat(), "end_date": end.isoformat()}
        rows: list[Row] = []
        for page in range(1, MAX_PAGES + 1):
            query = {"page": str(page)} if page > 1 else {}
            try:
                request = ApiRequest(path="/sms/v4/api-report", query=query, json=days, headers=self._login())
                (response,) = self.ask(request)
            except CarrierError as error:
                log.warning("%s: the report cannot be fetched: %s", self.alias, error)
                return rows, False
            found = page_of(response.json()) if response.status == 200 else None
            if found is None:
                log.warning("%s: the report cannot be read (HTTP %d)", self.alias, response.status)
                return rows, False
            rows += found.rows
            if page >= found.last_page:
                return rows, True
        return rows, False

    def _login(self) -> dict[str, str]:
        return {"auth-token": self.settings["auth_token"]}


def _refusal(message: str) -> Refusal:
    """Return the meaning of an error text. After an unknown text, it is unclear whether the API has accepted the SMS."""
    words = message[:500].casefold()
    for pattern, verdict in MESSAGES:
        if re.search(pattern, words):
            return Refusal(verdict, message, pattern)
    return Refusal(Verdict.UNKNOWN, message or "An error without a text")
