"""A survey over a real SIP line: keys and speech become responses to the step that is playing."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from campaigns import runs
from campaigns.models import Answer, RunStatus, StepKind, SurveyAnswer
from campaigns.runs import survey_calls as calls
from campaigns.surveys.steps import StepPlan
from telephony import speech
from telephony.carriers import get_carrier
from telephony.engine import trunk_worker
from telephony.models import Audio, Delivery, DeliveryStatus
from telephony.speech import audio as recordings
from tests.campaigns.surveys.surveying import asks, make_survey
from tests.engine import run_to_the_end
from tests.telephony.sip.conftest import require_stack
from tests.telephony.sip.far_end import FarEnd, correlation
from tests.telephony.sip.line import chirp

pytestmark = pytest.mark.django_db(transaction=True)


PLAYS: dict[str, Any] = {"text": "", "kind": StepKind.PLAY}


@pytest.fixture(autouse=True)
def _stack() -> None:
    require_stack()


@contextmanager
def line_to(far_end: FarEnd, settings: Any) -> Iterator[None]:
    """Route all calls over a SIP line to this far end."""
    with far_end:
        settings.CARRIERS = {
            "line": {
                "BACKEND": "telephony.carriers.sip.SipCarrier",
                "CHANNELS": 10,
                "OPTIONS": {
                    "host": far_end.host,
                    "interface": "127.0.0.1",
                    "rtp_ports": "20000-40000",
                    "lead_seconds": 0.0,
                    "tail_seconds": 0.3,
                },
            }
        }
        settings.ROUTES = {"call": ["line"], "sms": ["line"]}
        get_carrier.cache_clear()
        yield
        trunk_worker.close_all()
    get_carrier.cache_clear()


def plays(seconds: float) -> Audio:
    return Audio.objects.get_or_create(name=chirp(seconds)[0], defaults={"seconds": seconds})[0]


def call_everybody(plans: list[StepPlan]) -> Delivery:
    """Run a survey with these steps and one contact. Return its call when it has ended."""
    run = runs.begin(campaign=make_survey(numbers=[9841000012], plans=plans))
    run_to_the_end(seconds=30)
    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED
    return Delivery.objects.get()


def test_each_key_is_a_response_to_the_step_that_was_playing(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "RESPONSE_SECONDS", {Answer.KEYS: 0.5, Answer.NONE: 0.1, Answer.SPEECH: 0.5})
    short = plays(0.5)
    plans = [
        asks(0, audio=short, **PLAYS),  # to 1.0 s, and up to half a second later, because silence comes first
        asks(1, audio=short, answer=Answer.NONE, **PLAYS),  # to 1.6 s
        asks(2, audio=plays(1.5), **PLAYS),
    ]
    # Presses 4 after 0.3 s, 7 after 0.5 s, and # after 2.7 s.
    with line_to(FarEnd(tmp_path, "survey", digit="7"), settings):
        delivery = call_everybody(plans)
    assert (delivery.status, delivery.playback) == (DeliveryStatus.COMPLETED, 100)
    answered = SurveyAnswer.objects.order_by("step__order").values_list("step__order", "text")
    assert list(answered) == [(0, "47"), (2, "#")]


def test_speech_is_recorded_during_the_response_time_of_its_step(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "RESPONSE_SECONDS", {Answer.KEYS: 0.5, Answer.NONE: 0.1, Answer.SPEECH: 3.5})
    said = array("h", recordings.read_pcm(speech.speak(text="हाम्रो वडामा पानी छैन।").name))
    seconds = len(said) / 8000
    assert 1 < seconds < 2.5
    plans = [
        asks(0, audio=plays(0.4), answer=Answer.SPEECH, **PLAYS),  # listens until 3.9 s
        asks(
            1, audio=plays(0.4), answer=Answer.SPEECH, **PLAYS
        ),  # and from 4.3 s on, when the recipient no longer speaks
    ]
    # The far end begins to speak half a second after it answers the call.
    with line_to(FarEnd(tmp_path, "speak", record=False, says=said), settings):
        delivery = call_everybody(plans)
    assert (delivery.status, delivery.playback) == (DeliveryStatus.COMPLETED, 100)
    (answer,) = SurveyAnswer.objects.select_related("step", "audio")
    assert answer.step.order == 0
    assert answer.audio is not None
    assert answer.text == answer.audio.name
    heard = array("h", recordings.read_pcm(answer.audio.name))
    assert len(heard) / 8000 == pytest.approx(answer.audio.seconds)
    assert len(heard) / 8000 == pytest.approx(seconds, abs=0.7)  # with a little silence around it
    # A packet that SIPp sends too late leaves a gap. Even on a busy machine, most packets are in time.
    parts = [said[start : start + 800] for start in range(1600, len(said) - 2400, 1600)]
    assert median(correlation(heard, part, frame=1) for part in parts) > 0.99
