"""Provide carriers with callbacks."""

from __future__ import annotations

from typing import Any

import pytest

from telephony.models import Trunk
from tests.factories import make_trunk
from tests.telephony.http.door.callbacks import NEXT_TOKEN, PUBLIC, SECRET
from tests.telephony.http.far_end import OPTIONS


@pytest.fixture(autouse=True)
def _carriers(settings: Any) -> None:
    settings.IRIS_PUBLIC_URL = PUBLIC
    settings.CARRIERS = {
        "twilio": {
            "BACKEND": "telephony.carriers.twilio.TwilioCarrier",
            "OPTIONS": {**OPTIONS["twilio"], "signature_keys": [NEXT_TOKEN]},
        },
        "sparrow": {
            "BACKEND": "telephony.carriers.sparrow.SparrowCarrier",
            "OPTIONS": {
                **OPTIONS["sparrow"],
                "callback_secret": SECRET,
                "callback_addresses": ["203.0.113.0/24"],
                "reply": "Thank you.",
            },
        },
        "sandbox": {"BACKEND": "telephony.carriers.sandbox.SandboxCarrier"},
    }


@pytest.fixture
def twilio() -> Trunk:
    return make_trunk("twilio")
