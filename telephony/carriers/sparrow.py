"""Send SMS in Nepal through the API of Sparrow SMS, version 2, and receive replies (docs/http-carriers.md).

It knows no ids and no reports: an SMS completes when it is accepted. Each request has one number, because the response to
several numbers says only how many were accepted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from telephony.carriers.base import Accepted, InboundSms, Rejected, Result, Submission
from telephony.carriers.callbacks import (
    CallbackReply,
    CallbackRequest,
    ReceivesCallbacks,
    UnreadableCallback,
    is_within,
    same,
)
from telephony.carriers.errors import CarrierError
from telephony.carriers.http import ApiRequest, ApiResponse, Code, HttpCarrier, Refusal, Verdict
from telephony.carriers.http.nepal import nepali_mobile
from telephony.carriers.http.options import Option, Secret, networks, text, web_address
from telephony.models import Cause, Channel, InboundMessage

INVALID_SENDER = 1008
# "Response codes" in the vendor's documentation of its API v2. The body counts, not the status of HTTP: errors have been
# seen with 200, too.
CODES: Mapping[int, Code] = {
    1000: Code("A required field is missing", Verdict.MISCONFIGURED),
    1001: Code("Invalid IP address", Verdict.MISCONFIGURED),
    1002: Code("Invalid token", Verdict.MISCONFIGURED),
    1003: Code("Account inactive", Verdict.MISCONFIGURED),
    1004: Code("Account inactive", Verdict.MISCONFIGURED),
    1005: Code("Account has been expired", Verdict.MISCONFIGURED),
    1006: Code("Account has been expired", Verdict.MISCONFIGURED),
    1007: Code("Invalid receiver", Verdict.INVALID),
    INVALID_SENDER: Code("Invalid sender", Verdict.MISCONFIGURED),
    1010: Code("Text cannot be empty", Verdict.REFUSED),
    1011: Code("No valid receiver", Verdict.INVALID),
    1012: Code("No credits available", Verdict.OUT_OF_FUNDS),
    1013: Code("Insufficient credits", Verdict.OUT_OF_FUNDS),
}
MAX_REPLY = 160
REPEAT_WINDOW = timedelta(minutes=10)  # in which Sparrow may repeat an incoming SMS


class SparrowCarrier(HttpCarrier, ReceivesCallbacks):
    channels: ClassVar = frozenset({Channel.SMS})
    takes_senders: ClassVar = True
    callback_kinds: ClassVar = {"inbox": ("GET", "POST")}
    table: ClassVar = {
        "token": Option("", "Token of the account.", text(200), Secret.TEXT),
        "sender": Option("", "The identity that Sparrow has assigned, sent as `from`.", text(30)),
        "base_url": Option("https://api.sparrowsms.com", "Address of the API.", web_address),
        "callback_secret": Option(
            "", "Last part of the address for incoming SMS, 16 letters and digits or more. Empty: none are accepted.",
            text(200, pattern="[A-Za-z0-9_-]{16,}", example="n3vZ8tQk0yRb5LmX"), Secret.TEXT,
        ),
        "callback_addresses": Option([], "Addresses and networks from which Sparrow sends incoming SMS.", networks),
        "reply": Option(
            "Thank you.", "Reply to an incoming SMS. If it is empty, Sparrow adds a text of its own.", text(MAX_REPLY)
        ),
    }  # fmt: skip
    needed: ClassVar = {
        "token": "must be the token of the account",
        "sender": "must be the identity that Sparrow has assigned",
    }

    def __init__(self, *, alias: str, **options: Any) -> None:
        super().__init__(alias=alias, **options)
        if self.settings["callback_secret"] and not self.settings["callback_addresses"]:
            raise ImproperlyConfigured(
                f"Carrier {alias!r}: callback_secret needs callback_addresses, the networks of Sparrow's servers, such as"
                ' ["203.0.113.0/24"].'
            )

    def request_of(self, one: Submission) -> ApiRequest | Rejected:
        number = nepali_mobile(one.to)
        if number is None:  # Sparrow fines repeated SMS to invalid numbers
            return Rejected(
                key=one.key, cause=Cause.INVALID, text="Sparrow reaches mobile numbers of Nepal only."
            )
        if not one.text.strip():
            return Rejected(key=one.key, cause=Cause.REFUSED, text="The SMS has no text.")
        form = {
            "token": self.settings["token"],
            "from": one.sender or self.settings["sender"],
            "to": number,
            "text": one.text,
        }
        return ApiRequest(path="/v2/sms/", form=form)

    def outcome(self, one: Submission, response: ApiResponse) -> Result | Refusal | None:
        body = response.json()
        code = _number(body.get("response_code"))
        if code == 200:
            # One number was sent, so another count is a contradiction: nobody knows what happened.
            if _number(body.get("count", 1)) == 1:
                return Accepted(key=one.key, completes=True)
            return Refusal(Verdict.UNKNOWN, f"Accepted for {body.get('count')} numbers")
        if code is None:
            return None
        known = CODES.get(code, Code("unknown code", Verdict.DOUBTFUL))
        text = f"{code} {body.get('response') or known.name}"
        if code == INVALID_SENDER and one.sender:  # not the trunk's own, so it is a matter of one account
            return Refusal(Verdict.DOUBTFUL, text, str(code), about_sender=True)
        return Refusal(known.verdict, text, str(code))

    def balance(self) -> str:
        (response,) = self.ask(
            ApiRequest(method="GET", path="/v2/credit/", query={"token": self.settings["token"]})
        )
        body = response.json()
        if (available := _number(body.get("credits_available"))) is None:
            raise CarrierError(self.redacted(f"HTTP {response.status}: {response.text()}"))
        return f"{available} credits"

    def is_genuine(self, callback: CallbackRequest) -> bool:
        secret = self.settings["callback_secret"]
        return (
            bool(secret)
            and same(callback.secret, secret)
            and is_within(callback.address, self.settings["callback_addresses"])
        )

    def receive(self, callback: CallbackRequest) -> CallbackReply:
        fields = {**callback.query_fields(), **(callback.form_fields() if callback.method == "POST" else {})}
        sender, written = fields.get("from", "").strip(), fields.get("text", "")
        if not sender:
            raise UnreadableCallback("The SMS has no sender.")
        to = fields.get("to", "").strip()
        ref = _recent_ref(self.alias, sender, to, written)
        sms = InboundSms(ref=ref, sender=sender, to=to, text=written, at=timezone.now())
        return CallbackReply(items=[sms], body=self.settings["reply"])


def _recent_ref(alias: str, *words: str) -> str:
    """Make an id for an incoming SMS, because Sparrow sends none. The same SMS within ten minutes gets the same id."""
    digest = hashlib.sha256("\0".join(words).encode("utf-8", "replace")).hexdigest()[:32]
    now = timezone.now()
    earlier = (
        InboundMessage.objects.filter(trunk__alias=alias, ref__startswith=f"{digest}-")
        .filter(received_at__gt=now - REPEAT_WINDOW)
        .values_list("ref", flat=True)
        .first()
    )
    return earlier or f"{digest}-{int(now.timestamp() // REPEAT_WINDOW.total_seconds())}"


def _number(value: object) -> int | None:
    """Return a whole number that the API writes as a number or as text."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    digits = value.strip() if isinstance(value, str) else ""
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 16 else None
