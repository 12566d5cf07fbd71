"""Campaigns and recordings that the tests of v1 send."""

from __future__ import annotations

import io
import struct
import wave
from typing import Any

from tests.v1.caller import Caller


def wav_of_a_tone() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(b"".join(struct.pack("<h", 9000 * (-1) ** (n // 9)) for n in range(8000)))
    return file.getvalue()


def create(caller: Caller, **fields: Any) -> dict[str, Any]:
    body = {"name": "Water", "services": "PHONE", **fields}
    answer: dict[str, Any] = caller.post("campaign/create/", body, status=201)
    return answer
