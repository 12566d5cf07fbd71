"""Requests that begin campaigns, and what they did."""

from __future__ import annotations

import io
import math
import struct
import wave

from django.core.files.uploadedfile import SimpleUploadedFile

from accounts.models import Account
from campaigns.models import Campaign, Run
from telephony.models import DeliveryStatus
from tests.factories import make_recipient


def begin(campaign: Campaign) -> str:
    return f"/api/system/campaigns/{campaign.pk}/begin/"


def latest_run(campaign: Campaign) -> Run:
    return campaign.runs.latest("pk")


def balance(account: Account) -> int:
    account.refresh_from_db()
    return int(account.balance)


def a_recording(seconds: float = 1.0) -> SimpleUploadedFile:
    """Return a tone as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        samples = (int(9000 * math.sin(index / 3)) for index in range(int(8000 * seconds)))
        sound.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return SimpleUploadedFile("notice.wav", file.getvalue(), content_type="audio/wav")


def end_with(campaign: Campaign, **statuses: DeliveryStatus) -> dict[str, int]:
    """Add numbers whose latest delivery ended with these statuses. Return their ids by name."""
    return {
        name: make_recipient(campaign=campaign, number=9800000010 + index, status=status).pk
        for index, (name, status) in enumerate(statuses.items())
    }
