"""Test that SIPp receives the synthesized audio intact, in one call and in fifty concurrent ones."""

from __future__ import annotations

import time
from array import array
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from telephony import speech
from telephony.carriers.base import CarrierEvent, Done
from telephony.models import DeliveryStatus
from telephony.speech import audio
from tests.telephony.sip.far_end import FarEnd, correlation
from tests.telephony.sip.line import Line, chirp, submission
from tests.telephony.sip.timeline import max_answered_calls

pytestmark = pytest.mark.django_db

QUIET = 50  # above the samples that A-law makes of silence
INTERRUPTED = "was interrupted by silence"
NAMES = ["राम", "सीता", "गीता", "हरि", "विष्णु", "कमला", "सूर्य", "पार्वती", "गणेश", "मिना"]


def speak(text: str) -> tuple[str, array]:
    """Synthesize a message. Return the name of the recording and its samples."""
    spoken = speech.speak(text=text, voice="np_rija")
    header = 44
    return spoken.name, array("h", audio.read_wav(spoken)[header:])


def without_leading_silence(samples: array) -> array:
    """Cut the samples to begin half a second before the first sound, in whole packets."""
    first = next(place for place, sample in enumerate(samples) if abs(sample) > QUIET)
    return samples[max(0, first // 160 * 160 - 4000) :]


def test_a_spoken_message_arrives_as_it_was_synthesized(tmp_path: Path) -> None:
    name, said = speak("नमस्कार, बैठक बिहान दश बजे हुनेछ।")
    with FarEnd(tmp_path, "answer") as far_end, Line(far_end.host) as line:
        line.call("+9779841000001", said=name)
        assert line.final().status == DeliveryStatus.COMPLETED
    heard = far_end.heard()["+9779841000001"]
    assert heard.lost_packets == 0
    assert correlation(heard.samples, said) > 0.99


def test_fifty_concurrent_calls_each_hear_their_own_message(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    messages = {
        f"+97798410000{place:02d}": speak(f"नमस्कार {NAMES[place % 10]}, तपाईंको नम्बर {place} हो।")
        for place in range(50)
    }
    # All calls are answered before the first message begins.
    with FarEnd(tmp_path, "answer") as far_end, Line(far_end.host, lead_seconds=5.0) as line:
        batch = [submission(to, key=to[-2:], said=name) for to, (name, _) in messages.items()]
        for start in range(0, 50, 10):
            line.carrier.submit(batch[start : start + 10])
        for one in batch:
            assert line.final(one.key).playback == 100
    assert max_answered_calls(far_end) == 50
    assert INTERRUPTED not in caplog.text
    heard = far_end.heard()
    assert {to: heard[to].lost_packets for to in messages} == dict.fromkeys(messages, 0)
    sounds = {to: without_leading_silence(heard[to].samples) for to in messages}
    alike = {to: correlation(sounds[to], said) for to, (_, said) in messages.items()}
    assert min(alike.values()) > 0.99, alike
    other = correlation(sounds["+9779841000001"], messages["+9779841000002"][1])
    assert other < 0.9


class BlockingEngine(Line):
    """An engine whose `record` blocks for three seconds when a key is pressed, which the contract forbids."""

    def _record(self, items: Sequence[Any], done: Done | None = None) -> None:
        super()._record(items, done)
        if any(isinstance(item, CarrierEvent) and item.digits and not item.seconds for item in items):
            time.sleep(3)


def test_blocked_process_causes_a_gap_that_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # The stack buffers two seconds. After that it sends silence, but it skips no audio.
    name, said = chirp(6.0)
    with FarEnd(tmp_path, "answer", digit="7") as far_end, BlockingEngine(far_end.host) as line:
        line.call("+9779841000001", said=name)
        assert (line.final().status, line.final().playback) == (DeliveryStatus.COMPLETED, 100)
    assert INTERRUPTED in caplog.text
    heard = far_end.heard()["+9779841000001"]
    assert longest_silence(heard.samples) > 0.3
    assert correlation(heard.samples, said[: 8000 * 2]) > 0.99
    assert correlation(heard.samples, said[-8000 * 2 :]) > 0.99


def longest_silence(samples: array) -> float:
    """Return the longest silence in seconds between the first sound and the last."""
    loud = [abs(sample) > QUIET for sample in samples]
    inner = loud[loud.index(True) : len(loud) - loud[::-1].index(True)]
    return max((len(list(run)) for sounds, run in groupby(inner) if not sounds), default=0) / 8000
