"""Runs whose SMS have no approved sender are refused before they hold credits, or wait until there is one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Account
from campaigns import runs
from campaigns.models import Campaign, Run, RunStatus, Service
from campaigns.runs import hopper, run_statuses
from telephony.models import Cause, Channel, Delivery, DeliveryStatus, SandboxMessage, Sender
from telephony.senders import decisions
from telephony.senders.choosing import NoSender
from tests.engine import run_all_loops_once, run_to_the_end
from tests.factories import client_of, make_account, make_campaign
from tests.telephony.senders.making import NCELL, NTC, OTHER, SMART, make_sender, use_trunks
from tests.v0 import Caller, row_counts_and_balances

pytestmark = pytest.mark.django_db

S = DeliveryStatus
MISSED, MISSED_NCELL = "+9779841009902", "+9779801009902"


@pytest.fixture
def account() -> Account:
    return make_account(email="sita@example.com", credits=1000)


@pytest.fixture(autouse=True)
def _trunk(settings: Any) -> None:
    use_trunks(settings, strict=True)
    settings.IRIS_SANDBOX_SPEED = 10_000


def campaign_to(account: Account, *numbers: str, service: Service = Service.SMS, **fields: Any) -> Campaign:
    return make_campaign(owner=account, numbers=numbers, service=service, message="Namaste", **fields)


def senders() -> dict[str, str]:
    return dict(SandboxMessage.objects.filter(channel=Channel.SMS).values_list("to", "caller"))


def test_sms_to_each_operator_leave_with_its_approved_sender(account: Account) -> None:
    for operator, address in (("ntc", "31001"), ("ncell", "ACME"), ("", "+9779841000099")):
        make_sender(address, owner=account, operator=operator)
    runs.begin(campaign=campaign_to(account, NTC, NCELL, SMART, OTHER))
    run_to_the_end()
    assert senders() == {NTC: "31001", NCELL: "ACME", SMART: "+9779841000099", OTHER: "+9779841000099"}


def test_begin_without_a_sender_names_the_operators_and_changes_nothing(account: Account) -> None:
    make_sender("31001", owner=account, operator="ntc")
    campaign = campaign_to(account, NTC, NCELL, SMART, SMART)
    before = row_counts_and_balances()
    answer = Caller(account).fails("POST", f"/api/system/campaigns/{campaign.pk}/begin/", {}, status=409)
    assert "Smart Telecom numbers (2)" in answer["message"]
    assert "Ncell numbers (1)" in answer["message"]
    assert "Nepal Telecom" not in answer["message"]
    assert row_counts_and_balances() == before


def test_v1_refuses_in_its_own_words(account: Account) -> None:
    campaign = campaign_to(account, NCELL)
    response = client_of(account).post(f"/api/v1/run-campaign/{campaign.pk}/")
    assert response.status_code == 409
    assert "no approved sender for SMS to Ncell numbers (1)" in response.content.decode()
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("service", "fields"),
    [
        (Service.BOTH, {}),
        (Service.CALL, {"failover_statuses": [S.UNANSWERED], "sms_message": "We called you."}),
    ],
    ids=["calls and SMS", "SMS after missed calls"],
)
def test_every_run_that_can_send_sms_needs_a_sender(
    account: Account, service: Service, fields: dict[str, Any]
) -> None:
    campaign = campaign_to(account, NCELL, service=service, **fields)
    with pytest.raises(NoSender):
        runs.begin(campaign=campaign)
    make_sender("ACME", owner=account)
    runs.begin(campaign=campaign)


def test_calls_need_no_sender(account: Account) -> None:
    runs.begin(campaign=campaign_to(account, NCELL, service=Service.CALL))
    run_to_the_end()
    assert Delivery.objects.get().status == S.COMPLETED


def test_numbers_that_cannot_exist_need_no_sender(account: Account) -> None:
    make_sender("31001", owner=account, operator="ntc")
    runs.begin(campaign=campaign_to(account, NTC, "1234567"))
    run_to_the_end()
    assert senders() == {NTC: "31001"}


def test_only_the_recipients_of_the_run_count(account: Account) -> None:
    make_sender("31001", owner=account, operator="ntc")
    campaign = campaign_to(account, NTC, NCELL)
    first, second = campaign.recipients.order_by("pk").values_list("pk", flat=True)
    with pytest.raises(NoSender):
        runs.begin(campaign=campaign, individual=[second])
    with pytest.raises(NoSender):
        runs.begin(campaign=campaign, individual=[second], trial=True)
    runs.begin(campaign=campaign, individual=[first])
    run_to_the_end()
    with pytest.raises(NoSender):  # a re-run of those that were not reached
        runs.begin(campaign=campaign)


def test_scheduled_run_needs_a_sender_when_it_is_scheduled(account: Account) -> None:
    later = timezone.now() + timedelta(hours=1)
    campaign = campaign_to(account, NCELL)
    with pytest.raises(NoSender):
        runs.begin(campaign=campaign, starts_at=later)
    make_sender("ACME", owner=account)
    runs.begin(campaign=campaign, starts_at=later)


@pytest.mark.parametrize("scheduled", [False, True])
def test_run_whose_sender_is_refused_meanwhile_is_paused_and_goes_on_after_approval(
    account: Account, scheduled: bool
) -> None:
    sender = make_sender("ACME", owner=account)
    starts_at = timezone.now() + timedelta(hours=1) if scheduled else None
    campaign = campaign_to(account, NTC, NCELL)
    run = runs.begin(campaign=campaign, starts_at=starts_at)
    decisions.refuse([sender.pk], reason="Not your brand.")
    Run.objects.update(starts_at=timezone.now())
    run_all_loops_once()
    run.refresh_from_db()
    assert run.status == RunStatus.PAUSED
    assert "no approved sender" in run.pause_reason
    assert run.pause_reason.endswith("resume this campaign, or stop it.")
    assert not Delivery.objects.exists()
    runs.resume(campaign=campaign)
    run_all_loops_once()
    run.refresh_from_db()
    assert run.status == RunStatus.PAUSED  # still none
    decisions.approve([sender.pk])
    runs.resume(campaign=campaign)
    run_to_the_end()
    assert senders() == {NTC: "ACME", NCELL: "ACME"}


def test_queued_sms_of_a_refused_sender_fail_without_costs_and_can_be_sent_again(account: Account) -> None:
    sender = make_sender("ACME", owner=account)
    campaign = campaign_to(account, NTC)
    runs.begin(campaign=campaign)
    hopper.fill_all(budget=0)
    decisions.refuse([sender.pk], reason="Not your brand.")
    run_to_the_end()
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.cause, delivery.credits) == (S.FAILED, Cause.NO_SENDER, 0)
    assert delivery.carrier_text == "The account has no approved sender for this number."
    account.refresh_from_db()
    assert account.balance == 1000
    decisions.approve([sender.pk])
    runs.begin(campaign=campaign, statuses=[S.FAILED])
    run_to_the_end()
    assert senders() == {NTC: "ACME"}


def test_sms_after_a_missed_call_has_its_operators_sender(account: Account) -> None:
    make_sender("31001", owner=account, operator="ntc")
    make_sender("ACME", owner=account, operator="ncell")
    campaign = campaign_to(
        account,
        MISSED,
        MISSED_NCELL,
        service=Service.CALL,
        failover_statuses=[S.UNANSWERED],
        sms_message="Missed",
    )
    runs.begin(campaign=campaign)
    run_to_the_end()
    assert senders() == {MISSED: "31001", MISSED_NCELL: "ACME"}


def test_sms_after_a_missed_call_fails_if_its_sender_was_refused_meanwhile(account: Account) -> None:
    sender = make_sender("ACME", owner=account)
    campaign = campaign_to(
        account, MISSED, service=Service.CALL, failover_statuses=[S.UNANSWERED], sms_message="Missed"
    )
    run = runs.begin(campaign=campaign)
    hopper.fill_all(budget=0)
    decisions.refuse([sender.pk], reason="Not your brand.")
    run_to_the_end()
    call, sms = Delivery.objects.order_by("channel")
    assert (call.status, sms.status, sms.cause) == (S.UNANSWERED, S.FAILED, Cause.NO_SENDER)
    assert senders() == {}
    run.hold.refresh_from_db()
    assert run.hold.remaining == 0


def test_without_configured_senders_everything_is_as_before(account: Account, settings: Any) -> None:
    use_trunks(settings, lenient=False)
    runs.begin(campaign=campaign_to(account, NTC, OTHER))
    run_to_the_end()
    assert senders() == {NTC: "", OTHER: ""}
    assert set(Delivery.objects.values_list("sender", "cause")) == {("", "")}


def test_begin_reads_recipients_only_if_some_may_have_no_sender(account: Account, settings: Any) -> None:
    for operator in ("ntc", "ncell"):
        make_sender("ACME", owner=account, operator=operator)
    grouped = []
    for needs, operator in ((True, "smart"), (False, "smart"), (True, "")):
        make_sender(f"ACME{len(grouped)}", owner=account, operator=operator)
        use_trunks(settings, trunk=needs)
        campaign = campaign_to(account, NTC, NCELL)
        with CaptureQueriesContext(connection) as queries:
            runs.begin(campaign=campaign)
        grouped.append(sum("GROUP BY" in query["sql"] for query in queries))
    assert grouped == [1, 0, 0]


def test_queueing_takes_as_many_queries_for_many_recipients_as_for_few(account: Account) -> None:
    make_sender("31001", owner=account, operator="ntc")
    make_sender("ACME", owner=account)
    counts = []
    for size in (2, 200):
        campaign = campaign_to(account, *(f"+97798{40 + row % 3}{row:06}" for row in range(size)))
        run = runs.begin(campaign=campaign)
        with CaptureQueriesContext(connection) as queries:
            assert hopper.fill(run.pk) == size
        counts.append(len(queries))
        run_statuses.move(run.pk, to=RunStatus.STOPPING, allowed_from=[RunStatus.RUNNING])
    assert counts[0] == counts[1]
    assert set(Sender.objects.values_list("address", flat=True)) >= set(
        Delivery.objects.values_list("sender", flat=True)
    )
