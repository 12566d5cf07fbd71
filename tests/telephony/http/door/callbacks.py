"""Callbacks as Twilio and Sparrow send them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.test import Client

from telephony.carriers.twilio.callbacks import Addresses, signature
from telephony.models import Delivery
from tests.telephony.http.faults import TOKEN

NEXT_TOKEN = "the-next-token-of-the-account"
SECRET = "n3vZ8tQk0yRb5LmX-secret"
PUBLIC = "https://iris.example.com"


def address_of(delivery: Delivery, **fields: str) -> str:
    """Return path and query of the status callback of a delivery."""
    return Addresses("twilio").of("status", str(delivery.pk), **fields).removeprefix(PUBLIC)


def post(path: str, fields: Any, *, key: str = TOKEN, signed: str | None = None) -> Any:
    """Send a request to the door, signed as Twilio does."""
    pairs = list(fields.items()) if isinstance(fields, dict) else list(fields)
    given = signature(key, PUBLIC + path, pairs) if signed is None else signed
    return Client().post(
        path,
        urlencode(pairs),
        content_type="application/x-www-form-urlencoded",
        headers={"X-Twilio-Signature": given},
    )


def get_sms(
    path: str = f"/carriers/sparrow/inbox/{SECRET}", *, sender: str = "203.0.113.9", **query: str
) -> Any:
    fields = {"from": "9841000001", "to": "31001", "keyword": "IRIS", "text": "Namaste", **query}
    return Client(REMOTE_ADDR=sender).get(path, fields)


def message(status: str, sid: str = "SM1", **fields: str) -> dict[str, str]:
    return {"MessageSid": sid, "MessageStatus": status, **fields}
