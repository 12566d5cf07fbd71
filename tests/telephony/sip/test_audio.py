"""What SIPp received sounds like what was synthesized, for one call and for fifty at once."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from telephony import speech
from telephony.carriers.base import CarrierEvent
from telephony.models import DeliveryStatus
from telephony.speech import audio
from tests.telephony.sip.far_end import FarEnd, likeness
from tests.telephony.sip.line import Line, chirp, submission
from tests.telephony.sip.timeline import most_talking

pytestmark = pytest.mark.django_db

QUIET = 50  # what A-law makes of silence is less
INTERRUPTED = "was interrupted by silence"
NAMES = ["राम", "सीता", "गीता", "हरि", "विष्णु", "कमला", "सूर्य", "पार्वती", "गणेश", "मिना"]


def speak(text: str) -> tuple[str, array]:
    """The name of a spoken message, and its samples."""
    spoken = speech.speak(text=text, voice="np_rija")
    header = 44
    return spoken.name, array("h", audio.read_wav(spoken)[header:])


def without_lead(samples: array) -> array:
    """From half a second before the first sound on: whole packets."""
    first = next(place for place, sample in enumerate(samples) if abs(sample) > QUIET)
    return samples[max(0, first // 160 * 160 - 4000) :]


def test_a_spoken_message_arrives_as_it_was_synthesized(tmp_path: Path) -> None:
    name, said = speak("नमस्कार, बैठक बिहान दश बजे हुनेछ।")
    with FarEnd(tmp_path, "answer") as far_end, Line(far_end.host) as line:
        line.call("+9779841000001", said=name)
        assert line.final().status == DeliveryStatus.COMPLETED
    heard = far_end.heard()["+9779841000001"]
    assert heard.lost == 0
    assert likeness(heard.samples, said) > 0.99


def test_fifty_at_once_each_hear_their_own_message(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    messages = {
        f"+97798410000{place:02d}": speak(f"नमस्कार {NAMES[place % 10]}, तपाईंको नम्बर {place} हो।")
        for place in range(50)
    }
    # All are answered before the first begins to hear something.
    with FarEnd(tmp_path, "answer") as far_end, Line(far_end.host, lead_seconds=5.0) as line:
        batch = [submission(to, key=to[-2:], said=name) for to, (name, _) in messages.items()]
        for start in range(0, 50, 10):
            line.carrier.submit(batch[start : start + 10])
        for one in batch:
            assert line.final(one.key).playback == 100
    assert most_talking(far_end) == 50
    assert INTERRUPTED not in caplog.text
    heard = far_end.heard()
    assert {to: heard[to].lost for to in messages} == dict.fromkeys(messages, 0)
    sounds = {to: without_lead(heard[to].samples) for to in messages}
    alike = {to: likeness(sounds[to], said) for to, (_, said) in messages.items()}
    assert min(alike.values()) > 0.99, alike
    other = likeness(sounds["+9779841000001"], messages["+9779841000002"][1])
    assert other < 0.9


class SlowEngine(Line):
    """An engine that breaks its word: once a key is pressed, it does not return for three seconds."""

    def _record(self, items: Sequence[Any], done: Callable[[], object] | None = None) -> None:
        super()._record(items, done)
        if any(isinstance(item, CarrierEvent) and item.digits and not item.seconds for item in items):
            time.sleep(3)


def test_a_process_that_stands_still_for_too_long_is_heard_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # The stack has two seconds in store. What it lacks then is silence; nothing is left out.
    name, said = chirp(6.0)
    with FarEnd(tmp_path, "answer", digit="7") as far_end, SlowEngine(far_end.host) as line:
        line.call("+9779841000001", said=name)
        assert (line.final().status, line.final().playback) == (DeliveryStatus.COMPLETED, 100)
    assert INTERRUPTED in caplog.text
    heard = far_end.heard()["+9779841000001"]
    assert longest_silence(heard.samples) > 0.3
    assert likeness(heard.samples, said[: 8000 * 2]) > 0.99
    assert likeness(heard.samples, said[-8000 * 2 :]) > 0.99


def longest_silence(samples: array) -> float:
    """In seconds, between the first sound and the last."""
    loud = [abs(sample) > QUIET for sample in samples]
    inner = loud[loud.index(True) : len(loud) - loud[::-1].index(True)]
    return max((len(list(run)) for sounds, run in groupby(inner) if not sounds), default=0) / 8000
