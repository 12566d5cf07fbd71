"""Provide a carrier whose results a test chooses."""

from __future__ import annotations

from typing import Any

import pytest

from telephony.carriers import get_carrier
from telephony.engine import pace_meter
from tests.telephony.engine.scripted_carrier import ScriptedCarrier, accept


@pytest.fixture
def carrier(settings: Any, monkeypatch: pytest.MonkeyPatch) -> type[ScriptedCarrier]:
    monkeypatch.setattr(pace_meter, "_meters", {})
    settings.CARRIERS = {
        "sandbox": {
            "BACKEND": "tests.telephony.engine.scripted_carrier.ScriptedCarrier",
            "CPS": None,
            "CHANNELS": None,
        }
    }
    kind = type(get_carrier("sandbox"))
    assert issubclass(kind, ScriptedCarrier)
    kind.answer, kind.seen = staticmethod(accept), []
    return kind
