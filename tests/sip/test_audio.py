"""What SIPp received sounds like what was synthesized, for one call and for fifty at once."""

from __future__ import annotations

from array import array
from pathlib import Path

import pytest

from telephony import voices
from telephony.models import DeliveryStatus
from telephony.voices import audio
from tests.sip.far_end import FarEnd, likeness
from tests.sip.line import Line, submission

pytestmark = pytest.mark.django_db

NAMES = ["राम", "सीता", "गीता", "हरि", "विष्णु", "कमला", "सूर्य", "पार्वती", "गणेश", "मिना"]


def speak(text: str) -> tuple[str, array]:
    """The name of a spoken message, and its samples."""
    spoken = voices.speak(text=text, voice="np_rija")
    header = 44
    return spoken.name, array("h", audio.wav_bytes(spoken)[header:])


def test_a_spoken_message_arrives_as_it_was_synthesized(tmp_path: Path) -> None:
    name, said = speak("नमस्कार, बैठक बिहान दश बजे हुनेछ।")
    with FarEnd(tmp_path, "answer") as far_end, Line(far_end.host) as line:
        line.call("+9779841000001", said=name)
        assert line.final().status == DeliveryStatus.COMPLETED
    heard = far_end.heard()["+9779841000001"]
    assert heard.lost == 0
    assert likeness(heard.samples, said) > 0.99


def test_fifty_at_once_each_hear_their_own_message(tmp_path: Path) -> None:
    messages = {
        f"+97798410000{place:02d}": speak(f"नमस्कार {NAMES[place % 10]}, तपाईंको नम्बर {place} हो।")
        for place in range(50)
    }
    with FarEnd(tmp_path, "answer") as far_end, Line(far_end.host) as line:
        batch = [submission(to, key=to[-2:], said=name) for to, (name, _) in messages.items()]
        for start in range(0, 50, 10):
            line.carrier.submit(batch[start : start + 10])
        for one in batch:
            assert line.final(one.key).playback == 100
    heard = far_end.heard()
    assert {to: heard[to].lost for to in messages} == dict.fromkeys(messages, 0)
    alike = {to: likeness(heard[to].samples, said) for to, (_, said) in messages.items()}
    assert min(alike.values()) > 0.99, alike
    other = likeness(heard["+9779841000001"].samples, messages["+9779841000002"][1])
    assert other < 0.9
