"""Create HTTP carriers and submissions without a far end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from telephony.carriers.base import Submission
from telephony.carriers.http import HttpCarrier
from telephony.carriers.http.options import Secret
from telephony.models import Channel
from tests.telephony.http.far_end import BACKENDS, OPTIONS

EVERY_CARRIER = pytest.mark.parametrize("name", list(BACKENDS))
# The option of each carrier with its login.
SECRETS = {
    name: next(option for option in kind.needed if kind.table[option].secret is Secret.TEXT)
    for name, kind in BACKENDS.items()
}


def submission(**changes: Any) -> Submission:
    fields: dict[str, Any] = {
        "key": "7", "channel": Channel.SMS, "to": "+9779841000001", "caller": "", "text": "Namaste", "audio_name": "",
        "audio_seconds": None, "attempt": 1, "owner_id": 1, "valid_until": timezone.now() + timedelta(seconds=60),
    }  # fmt: skip
    return Submission(**{**fields, **changes})


def create(name: str, **options: Any) -> HttpCarrier:
    return BACKENDS[name](alias=name, **{**OPTIONS[name], **options})
