"""Call scripts assign pressed keys to steps."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from campaigns import runs
from campaigns.models import SurveyAnswer
from campaigns.runs import hopper
from campaigns.surveys.responses import store_responses
from telephony.call_scripts import (
    AnsweredBy,
    ScriptStep,
    SurveyResponse,
    dump,
    finished_steps,
    load,
    responses_to_keys,
    speech_windows,
)
from telephony.carriers.base import CarrierEvent
from telephony.engine import delivery_reports
from telephony.engine.survey_responses import MatchedResponse
from telephony.models import Delivery, DeliveryStatus, Purpose
from tests.campaigns.surveys.surveying import make_survey

KEYS, SPEECH, NOTHING = AnsweredBy.KEYS, AnsweredBy.SPEECH, AnsweredBy.NOTHING
SCRIPT = (
    ScriptStep(1, 2.0, NOTHING),
    ScriptStep(2, 5.0, KEYS),
    ScriptStep(3, 4.0, SPEECH),
    ScriptStep(4, 5.0, KEYS),
    ScriptStep(5, 1.0, NOTHING),
)


@pytest.mark.parametrize(
    ("pressed", "answers"),
    [
        ([], ()),
        ([(1.0, "9")], ()),
        ([(2.0, "1")], (SurveyResponse(2, "1"),)),
        ([(3.0, "1"), (6.9, "2")], (SurveyResponse(2, "12"),)),
        ([(8.0, "1")], (SurveyResponse(2, "1"),)),  # a little late: the next step is already playing
        (
            [(3.0, "1"), (11.0, "2"), (16.5, "3"), (99.0, "#")],
            (SurveyResponse(2, "1"), SurveyResponse(4, "23#")),
        ),
    ],
)
def test_a_key_is_a_response_to_the_step_asked_last(pressed: Any, answers: Any) -> None:
    assert responses_to_keys(SCRIPT, pressed) == answers


def test_keys_are_ignored_if_no_step_asks_for_keys() -> None:
    assert responses_to_keys((), [(1.0, "1")]) == ()


@pytest.mark.parametrize(
    ("seconds", "steps"), [(0, 0), (1.9, 0), (2, 1), (8.5, 2), (16, 4), (17, 5), (60, 5)]
)
def test_a_step_counts_as_heard_when_it_has_ended(seconds: float, steps: int) -> None:
    assert len(finished_steps(SCRIPT, seconds)) == steps


def test_the_response_time_is_the_end_of_a_step() -> None:
    script = (
        ScriptStep(1, 4.0, SPEECH, listen_seconds=3.0),
        ScriptStep(2, 2.0, KEYS, listen_seconds=1.0),
        SCRIPT[2],
    )
    assert speech_windows(script) == [(1, 1.0, 4.0)]


def test_a_script_survives_serialization() -> None:
    script = (*SCRIPT, ScriptStep(6, 12.0, SPEECH, listen_seconds=10.0))
    assert load(dump(script)) == script
    # Stored by a version without `listen_seconds`.
    older = '[{"step": 3, "seconds": 4.0, "answer": "speech"}]'
    assert load(older) == SCRIPT[2:3]
    assert load(dump(())) == ()


@pytest.fixture
def called(db: None) -> list[Delivery]:
    campaign = make_survey()
    hopper.fill(runs.begin(campaign=campaign).pk)
    return list(Delivery.objects.order_by("item"))


def steps_of(delivery: Delivery) -> list[int]:
    assert delivery.script is not None
    return [step["step"] for step in delivery.script]


def report(
    delivery: Delivery, *given: tuple[int, str], status: int = DeliveryStatus.ANSWERED
) -> CarrierEvent:
    steps = steps_of(delivery)
    answers = tuple(SurveyResponse(steps[place], text) for place, text in given)
    status = DeliveryStatus(status)
    return CarrierEvent(key=str(delivery.pk), status=status, at=timezone.now(), seconds=3.0, answers=answers)


def stored() -> list[tuple[int, str]]:
    return list(SurveyAnswer.objects.order_by("recipient", "step").values_list("recipient", "text"))


class TestReports:
    def test_later_reports_extend_the_pressed_keys(self, called: list[Delivery]) -> None:
        ram, sita = called
        delivery_reports.apply_events(
            "sandbox", [report(ram, (0, "1")), report(sita, (0, "5")), report(ram, (0, "12"))]
        )
        delivery_reports.apply_events("sandbox", [report(ram, (0, "12"), (1, "3"))])
        assert stored() == [(ram.item, "12"), (ram.item, "3"), (sita.item, "5")]

    def test_late_and_repeated_reports_change_nothing(self, called: list[Delivery]) -> None:
        ram, _ = called
        whole = report(ram, (0, "12"), status=DeliveryStatus.COMPLETED)
        for event in (whole, whole, report(ram, (0, "1")), report(ram, (0, "34"))):
            delivery_reports.apply_events("sandbox", [event])
        assert stored() == [(ram.item, "12")]

    def test_responses_are_kept_if_the_call_is_lost(self, called: list[Delivery]) -> None:
        ram, _ = called
        delivery_reports.apply_events("sandbox", [report(ram, (0, "1"))])
        delivery_reports.apply_events("sandbox", [report(ram, status=DeliveryStatus.FAILED)])
        assert stored() == [(ram.item, "1")]

    def test_responses_of_unknown_steps_recipients_and_runs_are_dropped(self, called: list[Delivery]) -> None:
        ram, _ = called
        step = steps_of(ram)[0]
        other = make_survey().survey.steps.earliest("pk").pk
        known: dict[str, Any] = {
            "purpose": Purpose.CAMPAIGN,
            "batch": ram.batch,
            "item": ram.item,
            "step": step,
        }
        strange: list[dict[str, Any]] = [
            {"step": 0},
            {"step": other},
            {"item": 0},
            {"batch": 0},
            {"purpose": Purpose.OTP},
        ]
        now = timezone.now()
        store_responses([MatchedResponse(text="1", at=now, **{**known, **change}) for change in strange])
        assert stored() == []

    def test_the_number_of_statements_does_not_grow_with_the_calls(
        self, called: list[Delivery], django_assert_num_queries: Any
    ) -> None:
        now = timezone.now() + timedelta(seconds=1)
        known: dict[str, Any] = {
            "purpose": Purpose.CAMPAIGN,
            "step": steps_of(called[0])[0],
            "at": now,
            "text": "1",
        }
        with django_assert_num_queries(1):
            store_responses([MatchedResponse(batch=one.batch, item=one.item, **known) for one in called])
        assert len(stored()) == 2
