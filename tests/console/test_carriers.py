"""The page on which operators see how reliable the carriers are."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from telephony.engine.carrier_truth import Unusual
from telephony.models import OutcomeChunk, OutcomeCount
from tests.console.test_operator import get
from tests.console.test_pages import latin_words
from tests.console.world import client_for
from tests.factories import make_trunk, make_user

pytestmark = pytest.mark.django_db
PATH = "console:operator-carriers"


@pytest.fixture
def hari() -> User:
    return make_user(first_name="Hari", is_staff=True, is_superuser=True)


@pytest.fixture
def operator(hari: User) -> Client:
    return client_for(hari)


def make_figures() -> None:
    """Store what became of a hundred SMS to each of three operators."""
    chunk = OutcomeChunk.objects.create(number=-1, is_complete=True)
    for name, silent in (("Nepal Telecom", 5), ("NCell", 0), ("IN", 0)):
        OutcomeCount.objects.create(
            chunk=chunk, trunk=make_trunk(), channel="sms", operator=name, hour=timezone.now(), accepted=100,
            delivered=95 - silent, failed=5, silent=silent, overdue=0, unconfirmed=0, refused=7,
            latencies=[0, 0, 0, 95 - silent, *[0] * 11],
        )  # fmt: skip


def test_the_figures_of_each_operator_are_shown(operator: Client, hari: User) -> None:
    make_figures()
    page = get(operator, reverse(PATH))
    for words in ("Nepal Telecom", "Ncell", ">IN<", ">90%<", ">5%<", ">7<", ">7.5 s<"):
        assert words in page
    in_nepali = get(client_for(hari, language="ne"), reverse(PATH))
    assert latin_words(in_nepali) <= {"Hari"}
    assert "७.५ सेकेन्ड" in in_nepali


def test_other_days_are_chosen_and_wrong_ones_are_said(operator: Client) -> None:
    make_figures()
    page = get(operator, reverse(PATH), first="2020-01-01", last="2020-01-02")
    assert "No carrier has accepted anything on these days" in page
    for first, last in (
        ("2026-01-02", "2026-01-01"),
        ("0001-01-01", "9999-12-31"),
        ("9999-12-31", "9999-12-31"),
    ):
        page = get(operator, reverse(PATH), first=first, last=last)
        assert 'role="alert">' in page.replace(" hidden", "")


def test_a_silent_share_that_is_unusual_is_said(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Unusual(
        trunk="sandbox", channel="sms", operator="Nepal Telecom", share=0.3, usual=0.05, low=0.0, high=0.1
    )
    monkeypatch.setattr("telephony.engine.carrier_truth.unusual", lambda: [one])
    page = get(operator, reverse(PATH))
    assert "in the last day, 30% were never reported. Usually it is 5%." in page
