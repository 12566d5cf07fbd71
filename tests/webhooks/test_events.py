"""What is told, to whom, and in which words."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import credits, low_credits, twins
from accounts.models import Account
from campaigns import runs, webhook_events
from campaigns.api.v0.serializers import CAMPAIGN_STATUSES
from campaigns.api.words import RECIPIENT_STATUSES, SERVICES
from campaigns.models import Service
from campaigns.runs import hopper, run_statuses
from otp import webhook_events as otp_events
from otp.api.v0.serializers import CHANNELS
from otp.services import send_otp
from telephony import inbox, optouts
from telephony.carriers.base import InboundSms
from telephony.engine import circuit_breaker, lifecycle
from telephony.engine.lifecycle import Report
from telephony.models import Cause, Channel, Delivery, DeliveryStatus, OptOutWay, PauseCause, Purpose
from tests.engine import run_to_the_end
from tests.factories import make_account, make_campaign, make_delivery, make_phone_number, make_trunk
from tests.webhooks.making import bodies, make_endpoint
from webhooks import outbox
from webhooks.events import MAX_BODY_BYTES, Event
from webhooks.models import OutboxMessage

NUMBER = "+9779841000001"


def of_kind(owner: Account, event: Event) -> list[dict[str, Any]]:
    return [body["data"] for body in bodies(owner) if body["type"] == event.value]


def _fail(account_ids: list[int]) -> int:
    raise RuntimeError


def test_campaign_tells_each_delivery_and_then_the_run(account: Account) -> None:
    make_endpoint(account)
    campaign = make_campaign(owner=account, numbers=[9841000001, 9841000002])
    run = runs.begin(campaign=campaign, message="Namaste")
    run_to_the_end()

    told = of_kind(account, Event.DELIVERY_FINISHED)
    numbers = {one.pk: one.to for one in campaign.recipients.all()}
    assert {one["number_id"]: one["number"] for one in told} == numbers
    assert {(one["campaign"], one["run"], one["services"], one["is_last"], one["try"]) for one in told} == {
        (campaign.pk, run.pk, "SMS", True, 1)
    }
    assert {one["status"] for one in told} <= set(RECIPIENT_STATUSES.values())
    (finished,) = of_kind(account, Event.RUN_FINISHED)
    run.refresh_from_db()
    assert (finished["id"], finished["campaign"], finished["status"]) == (run.pk, campaign.pk, "Completed")
    assert finished["number_count"] == 2
    assert (
        finished["credit_consumed"] == float(run.hold.captured) == sum(one["credit_consumed"] for one in told)
    )
    assert [body["type"] for body in bodies(account)][-1] == "run.finished"


def test_call_that_another_try_follows_is_not_the_last(account: Account) -> None:
    make_endpoint(account)
    campaign = make_campaign(owner=account, service=Service.CALL, numbers=[9841000001])
    runs.begin(campaign=campaign, message="Namaste", retry={"tries": 2, "on": ["busy"], "delay_seconds": 60})

    hopper.fill_all(budget=0)
    first = Delivery.objects.get()
    lifecycle.apply_reports(
        [Report(id=first.pk, status=DeliveryStatus.UNANSWERED, at=timezone.now(), cause="busy")]
    )
    (told,) = of_kind(account, Event.DELIVERY_FINISHED)
    assert (told["status"], told["cause"], told["is_last"], told["services"]) == (
        "unanswered",
        "busy",
        False,
        "PHONE",
    )


def test_late_report_corrects_what_was_told(account: Account) -> None:
    make_endpoint(account)
    campaign = make_campaign(owner=account, numbers=[9841000001])
    run = runs.begin(campaign=campaign, message="Namaste")
    lost = make_delivery(
        owner=account,
        batch=run.pk,
        item=campaign.recipients.get().pk,
        status=DeliveryStatus.FAILED,
        cause=Cause.LOST,
        ended_at=timezone.now(),
        hold=run.hold,
    )
    lifecycle.apply_reports([Report(id=lost.pk, status=DeliveryStatus.COMPLETED, at=timezone.now())])
    (told,) = of_kind(account, Event.DELIVERY_FINISHED)
    assert (told["id"], told["status"], told["corrects"]) == (lost.pk, "completed", True)


@pytest.mark.parametrize("channel", Channel)
def test_otp_is_told_without_its_password_and_message(account: Account, channel: Channel) -> None:
    make_endpoint(account)
    otp = send_otp(
        account=account, number="9841000001", message="Secret {otp}", channel=channel, code="739146"
    )
    run_to_the_end()
    (told,) = of_kind(account, Event.OTP_FINISHED)
    assert (told["id"], told["number"], CHANNELS[told["sms_send_options"]]) == (otp.pk, NUMBER, channel)
    assert told["status"] in RECIPIENT_STATUSES.values()
    text = json.dumps(bodies(account))
    assert "739146" not in text
    assert "7 3 9" not in text
    assert "Secret" not in text


def test_inbound_sms_and_its_opt_out_are_told_to_the_account_that_it_answers(account: Account) -> None:
    make_endpoint(account)
    make_endpoint(make_account())
    make_phone_number(number="9800000101", owner=account)
    sms = InboundSms(sender=NUMBER, to="9800000101", text="STOP", at=timezone.now(), ref="1")
    inbox.receive("sandbox", [sms])
    inbox.receive("sandbox", [sms])  # the carrier repeats it
    assert [body["type"] for body in bodies(account)] == ["sms.received", "optout.added"]
    received, added = (body["data"] for body in bodies(account))
    assert (received["from"], received["to"], received["text"], received["is_cut"]) == (
        NUMBER,
        "9800000101",
        "STOP",
        False,
    )
    assert (added["number"], added["channel"], added["way"], added["reason"]) == (
        NUMBER,
        "all",
        "keyword",
        "STOP",
    )
    assert OutboxMessage.objects.count() == 2


def test_opt_out_that_is_on_the_list_already_is_not_told_again(account: Account) -> None:
    make_endpoint(account)
    new = optouts.NewOptOut(owner_id=account.pk, number=NUMBER, way=OptOutWay.API, channel=Channel.SMS)
    optouts.add([new])
    optouts.add([new])
    (told,) = of_kind(account, Event.OPT_OUT_ADDED)
    assert told["channel"] == "sms"


def test_low_credits_are_told_once_until_the_balance_has_recovered(account: Account) -> None:
    make_endpoint(account)
    make_endpoint(account, events=[Event.RUN_FINISHED])
    Account.objects.filter(pk=account.pk).update(low_credit_level=500)
    low_credits.warn()
    assert bodies(account) == []
    credits.charge(account=account, amount=Decimal(600), cause="number:1")
    assert [low_credits.warn(), low_credits.warn()] == [1, 0]
    assert of_kind(account, Event.CREDITS_LOW) == [{"account": account.pk, "balance": 400.0, "below": 500.0}]
    credits.top_up(account=account, amount=Decimal(300), cause="test:more")
    assert low_credits.warn() == 0
    credits.charge(account=account, amount=Decimal(300), cause="number:2")
    assert low_credits.warn() == 1
    assert len(of_kind(account, Event.CREDITS_LOW)) == 2


def test_low_credits_of_a_test_twin_are_told_to_its_own_endpoints_only(account: Account) -> None:
    twin = twins.open_twin(account=account)
    for owner in (account, twin):
        make_endpoint(owner)
    Account.objects.filter(pk=twin.pk).update(low_credit_level=10**9)
    low_credits.warn()
    assert [len(of_kind(owner, Event.CREDITS_LOW)) for owner in (account, twin)] == [0, 1]


def test_low_credits_are_not_noted_if_the_event_cannot_be_written(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_endpoint(account)
    Account.objects.filter(pk=account.pk).update(low_credit_level=10**9)
    with monkeypatch.context() as patched:
        patched.setattr(outbox, "publish_low_credits", _fail)
        with pytest.raises(RuntimeError):
            low_credits.warn()
    assert (low_credits.warn(), len(of_kind(account, Event.CREDITS_LOW))) == (1, 1)


def test_paused_trunk_is_told_to_accounts_that_use_it_and_to_operators(account: Account) -> None:
    unconcerned, operator = make_account(credits=10), make_account(is_staff=True)
    for owner in (account, unconcerned, operator):
        make_endpoint(owner)
    make_delivery(owner=account, trunk=make_trunk())
    circuit_breaker.fail(
        "sandbox", reason="The password secret-word is wrong", cause=PauseCause.MISCONFIGURED
    )
    (told,) = of_kind(account, Event.TRUNK_PAUSED)
    assert (told["trunk"], told["cause"]) == ("sandbox", "misconfigured")
    assert len(bodies(operator)) == 1
    assert bodies(unconcerned) == []
    assert "secret-word" not in json.dumps([bodies(account), bodies(operator)])


def test_seed_sms_are_not_told(account: Account) -> None:
    make_endpoint(account)
    seed = make_delivery(owner=account, purpose=Purpose.SEED, status=DeliveryStatus.SUBMITTED)
    lifecycle.apply_reports([Report(id=seed.pk, status=DeliveryStatus.COMPLETED, at=timezone.now())])
    assert bodies(account) == []


def test_test_twin_has_endpoints_of_its_own(account: Account) -> None:
    twin = twins.open_twin(account=account)
    make_endpoint(account)
    make_endpoint(twin)
    for owner in (account, twin):
        optouts.add([optouts.NewOptOut(owner_id=owner.pk, number=NUMBER, way=OptOutWay.API)])
        assert len(bodies(owner)) == 1


def test_deliveries_of_an_account_without_an_endpoint_cost_no_statement(account: Account) -> None:
    make_endpoint(make_account())
    campaign = make_campaign(owner=account, numbers=[9841000001, 9841000002])

    def statements() -> int:
        run = runs.begin(campaign=campaign, message="Namaste")

        hopper.fill_all(budget=0)
        ids = list(Delivery.objects.filter(batch=run.pk).values_list("pk", flat=True))
        with CaptureQueriesContext(
            connection,
        ) as captured:
            lifecycle.apply_reports(
                [Report(id=pk, status=DeliveryStatus.COMPLETED, at=timezone.now()) for pk in ids]
            )
        runs_finished = run.pk
        assert run_statuses.finish(runs_finished)
        return len(captured)

    without = statements()
    assert OutboxMessage.objects.count() == 0
    make_endpoint(account)
    assert statements() == without + 1
    assert OutboxMessage.objects.count() == 3


def test_no_body_exceeds_the_limit(account: Account) -> None:
    make_endpoint(account)
    make_phone_number(number="9800000101", owner=account)
    for ref, character in enumerate(("\x01", "नी", "💥", '"')):
        text = character * 40_000
        inbox.receive(
            "sandbox",
            [InboundSms(sender=NUMBER, to="9800000101", text=text, at=timezone.now(), ref=str(ref))],
        )
    sizes = [len(row.body.encode()) for row in OutboxMessage.objects.all()]
    assert len(sizes) == 4
    assert max(sizes) <= MAX_BODY_BYTES
    assert {one["is_cut"] for one in of_kind(account, Event.SMS_RECEIVED)} == {True}


def test_words_are_those_of_v0() -> None:
    for status, word in webhook_events.NUMBER_STATUSES.items():
        assert RECIPIENT_STATUSES[status] == word
    for run_status, word in webhook_events.RUN_STATUSES.items():
        assert CAMPAIGN_STATUSES[run_status] == word
    assert set(webhook_events.SERVICES.values()) <= set(SERVICES.values())
    assert {word: channel for channel, word in otp_events.CHANNELS.items()} == CHANNELS
    assert otp_events.STATUSES == webhook_events.NUMBER_STATUSES
