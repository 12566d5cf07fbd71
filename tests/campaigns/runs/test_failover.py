"""Calls and SMS to the same recipients, SMS after missed calls, and spending limits."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from accounts.ledger import check_ledger
from campaigns import runs
from campaigns.models import Campaign, Recipient, Run, RunStatus, Service
from campaigns.reports import states
from iris.errors import InvalidInput
from telephony.models import Delivery, DeliveryStatus, SandboxMessage
from tests.engine import run_to_the_end
from tests.factories import make_account, make_campaign

pytestmark = pytest.mark.django_db

S = DeliveryStatus


@pytest.fixture(autouse=True)
def fast_sandbox(settings: Any) -> None:
    settings.IRIS_SANDBOX_SPEED = 10_000
    settings.IRIS_CALL_CREDITS, settings.IRIS_SMS_CREDITS = Decimal(2), Decimal(1)


def sent() -> list[tuple[str, str, str]]:
    return sorted(SandboxMessage.objects.values_list("to", "channel", "text"))


def statuses(campaign: Campaign) -> list[str]:
    rows = states.states_of(campaign, list(campaign.recipients.order_by("pk")))
    return [state.status.name if state.status else "-" for state in rows]


def assert_credits_released(run: Run) -> None:
    run.hold.refresh_from_db()
    assert run.hold.remaining == 0
    assert check_ledger().differences == ()


def test_a_campaign_with_calls_and_sms_sends_both_to_each_recipient() -> None:
    campaign = make_campaign(service=Service.BOTH, numbers=[9841000001, 9841009901])
    run = runs.begin(campaign=campaign, message="Spoken", sms_message="Written")
    assert run.hold.amount == Decimal(6)
    run_to_the_end()
    assert sent() == [
        ("+9779841000001", "call", "Spoken"),
        ("+9779841000001", "sms", "Written"),
        ("+9779841009901", "call", "Spoken"),
        ("+9779841009901", "sms", "Written"),
    ]
    assert statuses(campaign) == ["COMPLETED", "UNANSWERED"]
    assert list(Recipient.objects.order_by("pk").values_list("credits", "sms_credits", "sms_status")) == [
        (3, 1, S.COMPLETED),
        (1, 1, S.COMPLETED),
    ]
    assert_credits_released(run)


def test_without_sms_message_the_message_is_used_for_both_channels() -> None:
    campaign = make_campaign(service=Service.BOTH, numbers=[9841000001], sms_message="Old")
    runs.begin(campaign=campaign, message="Same")
    run_to_the_end()
    assert [text for _, _, text in sent()] == ["Same", "Same"]


def test_an_sms_follows_a_call_that_ended_in_a_failover_status() -> None:
    campaign = make_campaign(
        service=Service.CALL,
        numbers=[9841000001, 9841009902, 9841009903],
        failover_statuses=[S.UNANSWERED],
        sms_message="We could not reach you.",
    )
    run = runs.begin(campaign=campaign, message="Hello", sms_message="We could not reach you.")
    assert run.hold.amount == Decimal(9)
    run_to_the_end()
    assert [row for row in sent() if row[1] == "sms"] == [
        ("+9779841009902", "sms", "We could not reach you.")
    ]
    assert statuses(campaign) == ["COMPLETED", "UNANSWERED", "HUNGUP"]
    missed = Recipient.objects.get(number=9841009902)
    assert (missed.credits, missed.sms_credits, missed.sms_status) == (1, 1, S.COMPLETED)
    assert_credits_released(run)


def test_no_sms_follows_a_missed_call_after_the_run_was_stopped(settings: Any) -> None:
    campaign = make_campaign(service=Service.CALL, numbers=[9841009902], failover_statuses=[S.UNANSWERED])
    run = runs.begin(campaign=campaign, message="Hello")
    from campaigns.runs import hopper
    from telephony.engine import dispatch

    hopper.fill_all(budget=0)
    dispatch.run("sandbox", budget=1)
    assert len(runs.stop(campaign=campaign).in_flight) == 1
    run_to_the_end()
    assert [channel for _, channel, _ in sent()] == ["call"]
    assert_credits_released(run)


def test_a_spending_limit_bounds_the_hold_and_the_cost() -> None:
    owner = make_account(credits=100)
    campaign = make_campaign(
        owner=owner, numbers=range(9841000001, 9841000011), spending_limit=Decimal("3.50")
    )
    run = runs.begin(campaign=campaign, message="Hello")
    assert run.hold.amount == Decimal("3.50")
    run_to_the_end()
    assert statuses(campaign) == ["COMPLETED"] * 3 + ["-"] * 7
    owner.refresh_from_db()
    assert owner.balance == 97
    assert Run.objects.get().status == RunStatus.COMPLETED
    assert_credits_released(run)


def test_with_a_spending_limit_the_released_credits_of_a_missed_call_pay_for_the_next_recipient() -> None:
    campaign = make_campaign(
        service=Service.CALL, numbers=[9841009901, 9841009902, 9841000003], spending_limit=Decimal(2)
    )
    run = runs.begin(campaign=campaign, message="Hello")
    run_to_the_end()
    assert statuses(campaign) == ["UNANSWERED", "UNANSWERED", "COMPLETED"]
    assert Delivery.objects.count() == 3
    assert_credits_released(run)


def test_a_spending_limit_below_the_cost_of_one_recipient_is_refused() -> None:
    campaign = make_campaign(service=Service.CALL, spending_limit=Decimal(1))
    with pytest.raises(InvalidInput, match="credit limit"):
        runs.begin(campaign=campaign, message="Hello")
