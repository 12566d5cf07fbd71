"""Provide a configured SMPP trunk with the alias smsc, which is not open."""

from __future__ import annotations

from typing import Any

import pytest

from telephony.models import Trunk
from tests.factories import make_trunk


@pytest.fixture
def trunk(settings: Any, db: None) -> Trunk:
    settings.CARRIERS = {
        "smsc": {
            "BACKEND": "telephony.carriers.smpp.SmppCarrier",
            "OPTIONS": {"host": "127.0.0.1", "system_id": "iris"},
            "CPS": None,
            "CHANNELS": None,
        }
    }
    settings.ROUTES = {"call": [], "sms": ["smsc"]}
    return make_trunk("smsc")
