"""A survey over a real SIP line: keys that are pressed there answer the step that was being asked."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from campaigns import runs
from campaigns.models import Answer, RunStatus, StepKind, SurveyAnswer
from campaigns.surveys import calls
from telephony import sessions
from telephony.carriers import get_carrier
from telephony.models import Audio, Delivery, DeliveryStatus
from tests.engine import run_to_the_end
from tests.sip.far_end import FarEnd
from tests.sip.line import chirp
from tests.surveys.surveying import asks, make_survey

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(find_spec("baresip") is None, reason="baresip-python is not installed."),
]


@pytest.fixture
def far_end(tmp_path: Path, settings: Any) -> Iterator[FarEnd]:
    """Presses 4 after 0.3 s, 7 after 0.5 s, and # after 1.8 s."""
    with FarEnd(tmp_path, "survey", digit="7") as far_end:
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
        yield far_end
        sessions.close_all()
    get_carrier.cache_clear()


def test_each_key_answers_the_step_that_was_asked_when_it_was_pressed(
    far_end: FarEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "TIMES", {Answer.KEYS: 0.5, Answer.NONE: 0.1, Answer.SPEECH: 0.5})
    short, long = (Audio.objects.create(name=chirp(seconds)[0], seconds=seconds) for seconds in (0.5, 1.5))
    plays: dict[str, Any] = {"text": "", "kind": StepKind.PLAY}
    plans = [
        asks(0, audio=short, **plays),  # to 1.0 s
        asks(1, audio=short, answer=Answer.NONE, **plays),  # to 1.6 s
        asks(2, audio=long, **plays),
    ]
    campaign = make_survey(numbers=[9841000012], plans=plans)
    run = runs.begin(campaign=campaign)
    run_to_the_end(seconds=30)
    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED
    (delivery,) = Delivery.objects.all()
    assert (delivery.status, delivery.playback) == (DeliveryStatus.COMPLETED, 100)
    answered = SurveyAnswer.objects.order_by("step__order").values_list("step__order", "text")
    assert list(answered) == [(0, "47"), (2, "#")]
