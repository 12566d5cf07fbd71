"""Send SMS through the API of “Himal SMS”, which does not exist. docs/adding-a-carrier.md shows this file."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, ClassVar

from django.conf import settings
from django.utils import timezone

from telephony.carriers.base import Accepted, CarrierEvent, Rejected, Result, Submission
from telephony.carriers.callbacks import (
    CallbackReply,
    CallbackRequest,
    ReceivesCallbacks,
    UnreadableCallback,
    same,
)
from telephony.carriers.http import ApiRequest, ApiResponse, Code, HttpCarrier, Refusal, Verdict
from telephony.carriers.http.options import Option, Secret, text, web_address
from telephony.models import Cause, Channel, DeliveryStatus

# The codes in the field `error`, with their names in the carrier's documentation.
CODES: Mapping[str, Code] = {
    "E01": Code("Wrong key", Verdict.MISCONFIGURED),
    "E02": Code("Wrong number", Verdict.INVALID),
    "E03": Code("No credit", Verdict.OUT_OF_FUNDS),
    "E04": Code("Text refused", Verdict.REFUSED),
}
STATES: Mapping[str, tuple[DeliveryStatus, Cause]] = {
    "delivered": (DeliveryStatus.COMPLETED, Cause.NONE),
    "failed": (DeliveryStatus.FAILED, Cause.REFUSED),
}


class HimalCarrier(HttpCarrier, ReceivesCallbacks):
    channels: ClassVar = frozenset({Channel.SMS})
    takes_senders: ClassVar = True
    callback_kinds: ClassVar = {"report": ("POST",)}
    table: ClassVar = {
        "key": Option("", "Key of the account.", text(200), Secret.TEXT),
        "sender": Option("", "Sender of SMS that have no sender of their own.", text(11)),
        "base_url": Option("https://api.himal.example", "Address of the API.", web_address),
    }
    needed: ClassVar = {"key": "must be the key of the account", "sender": "must be a sender of the account"}

    def request_of(self, one: Submission) -> ApiRequest | Rejected:
        if not one.text.strip():
            return Rejected(key=one.key, cause=Cause.REFUSED, text="The SMS has no text.")
        sms = {
            "to": one.to,
            "text": one.text,
            "from": one.sender or self.settings["sender"],
            "report_to": f"{settings.IRIS_PUBLIC_URL}/carriers/{self.alias}/report",
        }
        return ApiRequest(path="/himal/v1/messages", json=sms, headers={"X-Key": self.settings["key"]})

    def outcome(self, one: Submission, response: ApiResponse) -> Result | Refusal | None:
        body = response.json()
        if response.status == 202 and isinstance(ref := body.get("id"), str) and ref:
            return Accepted(key=one.key, ref=ref)
        code = body.get("error")
        if not isinstance(code, str) or response.status < 400:
            return None  # not a documented response, so the HTTP status decides
        known = CODES.get(code, Code("unknown code", Verdict.DOUBTFUL))
        return Refusal(known.verdict, f"{code} {known.name}", code)

    def is_genuine(self, callback: CallbackRequest) -> bool:
        digest = hmac.new(self.settings["key"].encode(), callback.body, hashlib.sha256).hexdigest()
        return same(callback.headers.get("x-signature", ""), digest)

    def receive(self, callback: CallbackRequest) -> CallbackReply:
        try:
            report: Any = json.loads(callback.body)
            ref, state = str(report["id"]), str(report["state"])
        except (ValueError, KeyError, TypeError) as error:
            raise UnreadableCallback("It is not the documented JSON.") from error
        if state not in STATES:
            return CallbackReply()  # a step on the way
        status, cause = STATES[state]
        return CallbackReply(items=[CarrierEvent(ref=ref, status=status, cause=cause, at=timezone.now())])
