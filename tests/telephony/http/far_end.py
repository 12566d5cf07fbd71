"""Create carriers that use the server of the tests."""

from __future__ import annotations

from typing import Any

from telephony.carriers.aakash import AakashCarrier
from telephony.carriers.http import HttpCarrier
from telephony.carriers.sparrow import SparrowCarrier
from telephony.carriers.twilio import TwilioCarrier
from tests.telephony.http.faults import ACCOUNT, TOKEN
from tests.telephony.http.himal import HimalCarrier
from tests.telephony.http.processes import FarEnd

BACKENDS: dict[str, type[HttpCarrier]] = {
    "twilio": TwilioCarrier,
    "sparrow": SparrowCarrier,
    "aakash": AakashCarrier,
    "himal": HimalCarrier,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "twilio": {"account_sid": ACCOUNT, "auth_token": TOKEN, "sender": "+15005550006"},
    "sparrow": {"token": TOKEN, "sender": "InfoSMS"},
    "aakash": {"auth_token": TOKEN, "poll_seconds": 0},
    "himal": {"key": TOKEN, "sender": "InfoSMS"},
}


def carrier_of(name: str, far: FarEnd, *, alias: str = "", **options: Any) -> HttpCarrier:
    """Create a carrier that uses this far end."""
    return BACKENDS[name](alias=alias or name, **{**OPTIONS[name], "base_url": far.url, **options})
