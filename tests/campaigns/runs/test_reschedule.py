"""A changed campaign replaces its scheduled run, and its account is not locked while the new text is synthesized."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts import credits
from accounts.credits import InsufficientCredits
from accounts.ledger import check_ledger
from campaigns import runs, services
from campaigns.models import Campaign, Run, RunStatus, Service
from campaigns.runs import run_statuses
from iris.errors import Conflict
from telephony import speech
from telephony.models import Audio
from tests.factories import client_of, make_account, make_campaign


def scheduled(**fields: Any) -> Campaign:
    campaign = make_campaign(service=Service.CALL, **fields)
    runs.begin(campaign=campaign, message="One", starts_at=timezone.now() + timedelta(hours=1))
    campaign.refresh_from_db()
    return campaign


def change(campaign: Campaign) -> None:
    services.update_campaign(campaign=campaign, message="Two, and so on")


def run_again(campaign: Campaign) -> None:
    Campaign.objects.filter(pk=campaign.pk).update(message="Two, and so on")
    answer = client_of(campaign.owner).post(f"/api/v1/run-campaign/{campaign.pk}/")
    assert answer.status_code == 200, answer.content


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("act", [change, run_again])
def test_the_account_is_not_locked_while_the_new_text_is_synthesized(
    act: Callable[[Campaign], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = scheduled(owner=make_account(credits=100))
    really = speech.speak
    paid: list[bool] = []

    def pay() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
        try:
            credits.hold(account=campaign.owner, amount=Decimal(1), cause="otp:1")
            paid.append(True)
        finally:
            connection.close()

    def speak(**options: Any) -> Audio:
        paying = threading.Thread(target=pay)
        paying.start()
        paying.join()
        return really(**options)

    monkeypatch.setattr(speech, "speak", speak)
    act(campaign)
    assert paid == [True]
    latest = Run.objects.order_by("-pk")[0]
    assert (latest.status, latest.message) == (RunStatus.SCHEDULED, "Two, and so on")
    assert Run.objects.filter(status=RunStatus.WITHDRAWN).count() == 1
    assert check_ledger().differences == ()


@pytest.mark.django_db
def test_a_change_beyond_the_balance_leaves_the_scheduled_run_unchanged() -> None:
    campaign = scheduled(owner=make_account(credits=6))
    with pytest.raises(InsufficientCredits):
        services.update_campaign(campaign=campaign, message="And so on. " * 200)
    campaign.refresh_from_db()
    run = Run.objects.get()
    assert (run.status, run.message, run.hold.remaining, campaign.message) == (
        RunStatus.SCHEDULED, "One", Decimal(6), "One"
    )  # fmt: skip


@pytest.mark.django_db
def test_the_hold_of_the_old_run_can_pay_for_the_new_one() -> None:
    owner = make_account(credits=6)
    change(scheduled(owner=owner))
    owner.refresh_from_db()
    assert owner.balance == 0


@pytest.mark.django_db
def test_a_run_that_starts_while_the_new_text_is_synthesized_is_not_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    campaign = scheduled()
    really = speech.speak

    def speak(**options: Any) -> Audio:
        Run.objects.update(starts_at=timezone.now())
        assert run_statuses.start_due() == 1
        return really(**options)

    monkeypatch.setattr(speech, "speak", speak)
    with pytest.raises(Conflict, match="is running"):
        change(campaign)


@pytest.mark.django_db
def test_a_running_campaign_is_not_replaced() -> None:
    campaign = make_campaign()
    runs.begin(campaign=campaign, message="Hello")
    with pytest.raises(Conflict, match="is running"):
        runs.begin(campaign=campaign, message="Hello", replaces_pending=True)
