"""Opting out by a key in a call: scripts, playback, and what the engine makes of the reports."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from datetime import UTC, datetime

import pytest

from telephony.call_scripts import (
    ANNOUNCEMENT,
    HINT,
    OPT_OUT,
    AnsweredBy,
    Script,
    ScriptStep,
    SurveyResponse,
    dump,
    heard_percent,
    load,
    opts_out,
    responses_to_keys,
)
from telephony.carriers.base import CarrierEvent
from telephony.carriers.twilio import twiml
from telephony.engine import delivery_reports
from telephony.engine.lifecycle import Report, apply_reports
from telephony.models import Cause, Channel, Delivery, DeliveryStatus, OptOut, OptOutWay
from tests.factories import make_delivery

KEYS, NOTHING = AnsweredBy.KEYS, AnsweredBy.NOTHING
MESSAGE: Script = (ScriptStep(OPT_OUT, 12.0, KEYS), ScriptStep(HINT, 8.0, KEYS, 3.0))
SURVEY: Script = (
    ScriptStep(ANNOUNCEMENT, 2.0, NOTHING),
    ScriptStep(11, 4.0, NOTHING),
    ScriptStep(12, 6.0, KEYS, 5.0),
    ScriptStep(13, 2.0, NOTHING),
    ScriptStep(HINT, 6.0, KEYS, 3.0),
)


@pytest.mark.parametrize("seconds", [0.0, 5.0, 11.9, 12.0, 15.0, 19.9])
def test_key_opts_out_at_any_time_of_a_call_without_questions(seconds: float) -> None:
    (response,) = responses_to_keys(MESSAGE, [(seconds, "9")])
    assert opts_out(response)


@pytest.mark.parametrize("key", "0123456780*#")
def test_other_keys_do_not_opt_out(key: str) -> None:
    assert not any(map(opts_out, responses_to_keys(MESSAGE, [(3.0, key), (13.0, key)])))


@pytest.mark.parametrize(
    ("seconds", "is_opt_out"),
    [(1.0, True), (3.0, True), (6.0, False), (11.0, False), (13.0, False), (14.0, True), (19.0, True)],
)
def test_key_is_an_answer_from_the_first_question_to_the_hint(seconds: float, is_opt_out: bool) -> None:
    responses = responses_to_keys(SURVEY, [(seconds, "9")])
    assert [opts_out(one) for one in responses] == [is_opt_out]
    assert (SurveyResponse(12, "9") in responses) is not is_opt_out


def test_survey_that_offers_no_opt_out_ignores_keys_before_the_first_question() -> None:
    assert responses_to_keys(SURVEY[:-1], [(1.0, "9")]) == ()


@pytest.mark.parametrize(
    ("script", "playback", "heard"),
    [
        ((), 37, 37),
        (MESSAGE, 0, 0),
        (MESSAGE, 30, 50),
        (MESSAGE, 58, 97),
        (MESSAGE, 60, 100),
        (MESSAGE, 80, 100),
        (MESSAGE, 100, 100),
        (SURVEY, 10, 0),
        (SURVEY, 40, 50),
        (SURVEY, 70, 100),
        (SURVEY, 90, 100),
        (SURVEY[:-1], 100, 100),
        (SURVEY[-1:], 50, 50),
    ],
)
def test_only_the_message_counts_as_heard(script: Script, playback: int, heard: int) -> None:
    assert heard_percent(script, playback) == heard


@pytest.mark.parametrize("script", [MESSAGE, SURVEY])
def test_twilio_gathers_keys_during_the_whole_call(script: Script) -> None:
    seconds = sum(one.seconds for one in script)
    body = twiml.play(
        twiml.parts_of(script, seconds), script, begin=0.0, audio=lambda *_: "x", keys=lambda _: "y"
    )
    assert [verb.tag for verb in ET.fromstring(body)] == ["Gather"] * len(script) + ["Hangup"]


def call(script: Script = MESSAGE) -> Delivery:
    return make_delivery(
        channel=Channel.CALL,
        to="+9779841000001",
        status=DeliveryStatus.ANSWERED,
        script=json.loads(dump(script) or "null"),
    )


def pressed(delivery: Delivery, *, at: datetime, step: int = OPT_OUT, keys: str = "9") -> CarrierEvent:
    return CarrierEvent(
        key=str(delivery.pk),
        status=DeliveryStatus.ANSWERED,
        at=at,
        digits=keys,
        answers=(SurveyResponse(step, keys),),
    )


@pytest.mark.django_db
class TestReports:
    NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)

    @pytest.mark.parametrize("step", [OPT_OUT, HINT])
    def test_pressed_key_opts_out_with_the_call_as_evidence(self, step: int) -> None:
        delivery = call()
        delivery_reports.apply_events("sandbox", [pressed(delivery, at=self.NOON, step=step)])
        (one,) = OptOut.objects.all()
        assert (one.owner, one.number, one.channel, one.way) == (
            delivery.owner,
            delivery.to,
            "",
            OptOutWay.KEY,
        )
        assert one.evidence == {
            "delivery": delivery.pk,
            "campaign": delivery.batch,
            "pressed_at": self.NOON.isoformat(),
        }

    def test_repeated_reports_of_a_key_change_nothing(self) -> None:
        delivery = call()
        events = [pressed(delivery, at=self.NOON), pressed(delivery, at=self.NOON, keys="92")]
        delivery_reports.apply_events("sandbox", [*events, events[0]])
        delivery_reports.apply_events("sandbox", events)
        assert OptOut.objects.count() == 1

    def test_other_key_opts_nobody_out(self) -> None:
        delivery_reports.apply_events("sandbox", [pressed(call(), at=self.NOON, keys="1")])
        assert not OptOut.objects.exists()

    @pytest.mark.parametrize(
        ("playback", "status", "shown", "cause"),
        [
            (30, DeliveryStatus.HUNGUP, 50, Cause.CUT_OFF),
            (60, DeliveryStatus.COMPLETED, 100, ""),
            (85, DeliveryStatus.COMPLETED, 100, ""),
        ],
    )
    def test_call_that_ends_during_the_hint_is_completed(
        self, playback: int, status: DeliveryStatus, shown: int, cause: str
    ) -> None:
        delivery = call()
        apply_reports(
            [
                Report(
                    id=delivery.pk,
                    status=DeliveryStatus.HUNGUP,
                    at=None,
                    cause=Cause.CUT_OFF,
                    seconds=playback / 5,
                    playback=playback,
                )
            ]
        )
        delivery.refresh_from_db()
        assert (delivery.status, delivery.playback, delivery.cause) == (status, shown, cause)
        assert load(json.dumps(delivery.script)) == MESSAGE
