"""Every status, cause and kind has its word for people, and dates and numbers are written as people read them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.utils import translation
from django.utils.translation import gettext

from accounts.account_settings import SETTINGS as STORED_SETTINGS
from accounts.actors import ActorKind
from accounts.audit_sentences import ACTIONS, OBJECT_KINDS
from accounts.models import AuditEntry, CreditEntry
from accounts.permissions import PRESETS, Permission
from accounts.signin.views import PRESETS as PRESET_NAMES
from campaigns.models import AlertState, RunStatus, Service
from campaigns.reports.why import Hold, Reason
from console import calendars, numerals, vocabulary, words_of_reasons
from console.views import webhooks
from console.words_of_audit import OBJECTS, SENTENCES, changes_of, sentence_of
from console.words_of_credits import KINDS
from console.words_of_people import PERMISSIONS
from console.words_of_settings import SETTINGS
from telephony.engine.held_back import TrunkHold
from telephony.engine.lifecycle.conditions import Wait
from telephony.models import FINAL, Cause, Channel, DeliveryStatus, OptOutWay, SenderStatus
from telephony.numbering import Operator
from webhooks.events import TEST, Event
from webhooks.models import MessageState


@pytest.fixture(params=["en", "ne"])
def language(request: pytest.FixtureRequest) -> Iterator[str]:
    with translation.override(request.param):
        yield request.param


def test_every_status_has_a_word_and_a_sentence() -> None:
    assert set(vocabulary.CAMPAIGN) == {*vocabulary.Stage, *RunStatus} - {RunStatus.WITHDRAWN}
    assert set(vocabulary.RECIPIENT) == {None, *DeliveryStatus}
    assert set(vocabulary.CAUSES) == set(Cause) - {Cause.NONE}
    assert {state for states, _ in vocabulary.HEARING.values() for state in states} == set(AlertState)
    assert set(vocabulary.SERVICES) == set(Service)
    assert set(vocabulary.CHANNELS) == set(Channel)
    assert set(vocabulary.OPERATORS) == set(Operator)
    assert set(vocabulary.OUTCOMES) == {status for status in DeliveryStatus if status >= FINAL}
    assert {*vocabulary.OUTCOMES, *vocabulary.UNDER_WAY, DeliveryStatus.QUEUED} == set(DeliveryStatus)
    assert set(vocabulary.SENDER) == set(SenderStatus)
    assert set(KINDS) == set(CreditEntry.Kind)
    assert set(PERMISSIONS) == set(Permission)
    assert set(vocabulary.WAYS) == set(OptOutWay) - {OptOutWay.UNKNOWN}
    assert set(OBJECTS) == set(OBJECT_KINDS)
    assert {action.partition(":")[0] for action in SENTENCES} == set(ACTIONS)
    assert set(SETTINGS) == {"name", *STORED_SETTINGS}
    assert set(webhooks.EVENTS) == {*Event, TEST}
    assert set(webhooks.STATES) == set(MessageState)
    assert set(PRESET_NAMES) == {*PRESETS, "owner", "custom"}


@pytest.mark.parametrize("code", [*Hold, *Wait, *TrunkHold])
@pytest.mark.parametrize("percent", [None, 80])
def test_every_reason_has_a_sentence(code: str, percent: int | None, language: str) -> None:
    values = {"imported": 1234567, "wave": 2, "percent": percent, "of": 2.5}
    reason = Reason(code=code, message="English.", count=1234567, words="words", values=values, trunk="ntc")
    explained = words_of_reasons.explain(reason)
    assert explained.sentence
    assert "%(" not in explained.sentence
    assert "English" not in explained.sentence
    assert explained.words == "ntc: words"


def test_a_reason_of_a_later_release_is_explained_in_english(language: str) -> None:
    assert (
        words_of_reasons.explain(Reason(code="moon", message="The moon is full.")).sentence
        == "The moon is full."
    )


DETAILS: dict[str, list[dict[str, Any]]] = {
    "run_begun": [{"recipients": 1234}, {"trial": True}, {"awaiting": True}, {"starts_at": "2026-11-30"}],
    "exported": [
        {"what": "survey"},
        {"what": "contacts"},
        {"what": "list"},
        {"what": "statement"},
        {"what": "audit"},
    ],
    "key_created": [{"scopes": ["view", "send"]}, {"scopes": ["of a later release"], "test": True}],
    "credits_added": [{"amount": "12.50", "note": "Bank"}],
    "settings_changed": [
        {"approval_above": [None, 5], "announce_recording": [False, True], "default_services": ["", "sms"]}
    ],
    "sender_approved": [{"operator": "ntc"}, {"operator": ""}, {"operator": "of a later release"}],
}


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_has_a_sentence(action: str, language: str) -> None:
    for details in DETAILS.get(action, [{}]):
        for kind in ActorKind:
            entry = AuditEntry(
                action=action, object_name="X", actor_name="Y", actor_kind=kind, details=details
            )
            said = " ".join([sentence_of(entry), *changes_of(entry)])
            assert "%(" not in said
            assert "None" not in said
            if kind is ActorKind.PERSON:
                assert "Y" in said


def test_the_audit_log_says_why_a_campaign_is_urgent(language: str) -> None:
    details = {"recipients": 1, "urgent": "Flood warning", "past_opt_outs": True}
    (said,) = changes_of(AuditEntry(action="run_begun", object_name="X", details=details))
    assert "“Flood warning”" in said
    assert gettext("It also reaches people who have opted out.") in said
    assert changes_of(AuditEntry(action="run_begun", object_name="X", details={"recipients": 1})) == []


@pytest.mark.parametrize(
    ("count", "end"), [(1, "to 1 person."), (2, "to 2 people."), (1234, "to 1,234 people.")]
)
def test_the_audit_log_tells_one_person_from_several(count: int, end: str) -> None:
    entry = AuditEntry(action="run_begun", object_name="X", actor_name="Y", details={"recipients": count})
    assert sentence_of(entry).endswith(end)


def test_an_action_of_a_later_release_is_described_in_english() -> None:
    assert "did “flown”" in sentence_of(AuditEntry(action="flown", actor_name="Y", actor_kind="person"))


@pytest.mark.parametrize(
    ("number", "english", "nepali"),
    [
        (0, "0", "०"),
        (999, "999", "९९९"),
        (1000, "1,000", "१,०००"),
        (1234567, "1,234,567", "१२,३४,५६७"),
        (-1234567, "−1,234,567", "−१२,३४,५६७"),
        (Decimal("1234567.5"), "1,234,567.50", "१२,३४,५६७.५०"),
        (Decimal("-0.25"), "−0.25", "−०.२५"),
        (Decimal("100.00"), "100", "१००"),
        (10**12, "1,000,000,000,000", "१०,००,००,००,००,०००"),
    ],
)
def test_numbers_are_grouped_as_people_read_them(number: Decimal, english: str, nepali: str) -> None:
    with translation.override("en"):
        assert numerals.grouped(number) == english
    with translation.override("ne"):
        assert numerals.grouped(number) == nepali


@pytest.mark.parametrize(
    ("day", "english", "nepali"),
    [
        (date(2026, 4, 14), "1 Baishakh 2083", "२०८३ वैशाख १"),
        (date(2026, 11, 30), "14 Mangsir 2083", "२०८३ मंसिर १४"),
        (date(2027, 4, 13), "30 Chaitra 2083", "२०८३ चैत ३०"),
    ],
)
def test_dates_are_in_both_calendars(day: date, english: str, nepali: str) -> None:
    with translation.override("en"):
        assert calendars.bikram_sambat(day) == english
        assert calendars.first_and_second(day)[0].endswith(str(day.year))
    with translation.override("ne"):
        assert calendars.first_and_second(day)[0] == nepali


@pytest.mark.parametrize("day", [date.min, date(1900, 1, 1), date(2200, 1, 1), date.max])
def test_a_day_beyond_the_nepali_calendar_is_shown_in_the_other_one(day: date, language: str) -> None:
    first, second = calendars.first_and_second(day)
    assert first
    assert second == ""


def test_the_time_of_day_is_that_of_the_server(language: str) -> None:
    shown = calendars.clock(datetime.fromisoformat("2026-11-30T08:20:00+00:00"))
    assert shown == {"en": "14:05", "ne": "१४:०५"}[language]
