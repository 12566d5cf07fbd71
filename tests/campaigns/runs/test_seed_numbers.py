"""Large SMS runs go to the account's seed numbers, too, and nothing of the campaign shows it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from accounts.models import Account, CreditEntry, CreditHold
from accounts.people.persons import Person
from campaigns import runs
from campaigns.models import Campaign, Run, RunStatus, Service
from campaigns.retention import prune
from campaigns.runs import hopper, run_statuses
from campaigns.runs import seeds as seeds_of_runs
from telephony.engine import lifecycle
from telephony.models import Cause, Delivery, DeliveryStatus, OptOut, Purpose, SandboxMessage, SeedSms, Trunk
from telephony.people import erasing
from telephony.seeds import numbers as seeds
from telephony.seeds import results
from tests.campaigns.runs.trying import begun, claim, tick
from tests.clock import stopped_clock
from tests.engine import run_all_loops_once, run_to_the_end
from tests.factories import client_of, make_account, make_campaign
from tests.telephony.http.test_campaign import check_ledger

pytestmark = pytest.mark.django_db

SEEDS = ["+9779801000091", "+9779801000092", "+9779801000093"]


@pytest.fixture
def account() -> Account:
    account = make_account(email="sita@example.com", credits=1000)
    seeds.set_numbers(account=account, numbers=SEEDS)
    return account


@pytest.fixture(autouse=True)
def _small_runs_have_seeds(settings: Any) -> None:
    settings.IRIS_SEEDS_ABOVE = 5
    settings.IRIS_SANDBOX_SPEED = 10_000


def campaign_of(account: Account, count: int = 12, **fields: Any) -> Campaign:
    return make_campaign(owner=account, numbers=range(9841000001, 9841000001 + count), **fields)


def seed_deliveries() -> list[Delivery]:
    return list(Delivery.objects.filter(purpose=Purpose.SEED).order_by("item"))


def sent() -> list[str]:
    return list(SandboxMessage.objects.order_by("pk").values_list("to", flat=True))


def test_each_seed_number_gets_the_sms_once_spread_over_the_run(account: Account, settings: Any) -> None:
    settings.IRIS_HOPPER_SIZE = 4
    runs.begin(campaign=campaign_of(account), message="Namaste")
    run_to_the_end()
    assert sorted(one for one in sent() if one in SEEDS) == SEEDS
    places = [sent().index(number) for number in SEEDS]
    assert places == sorted(places), "in the order of the numbers"
    assert places[0] < 6 < places[2], "the first one early, the last one late"
    check_ledger()


def test_seed_numbers_count_in_no_total_of_the_campaign(account: Account) -> None:
    campaign = campaign_of(account)
    run = runs.begin(campaign=campaign, message="Namaste")
    run_to_the_end()
    client = client_of(account)
    details = client.get(f"/api/system/campaigns/{campaign.pk}/details/").json()["data"]["details"][0]
    assert (details["number_count"], details["status"]) == (12, "Completed")
    listed = str(client.get(f"/api/system/campaigns/number/{campaign.pk}").getvalue())
    assert "9841000001" in listed
    assert not any(number[4:] in listed for number in SEEDS)
    run.refresh_from_db()
    assert (run.recipient_count, run.hold.amount, run.hold.captured) == (12, 12, 12)
    assert Delivery.objects.filter(purpose=Purpose.CAMPAIGN).count() == 12


def test_each_seed_sms_is_paid_once_by_a_hold_of_its_own(account: Account, settings: Any) -> None:
    settings.IRIS_HOPPER_SIZE = 3  # many fills
    run = runs.begin(campaign=campaign_of(account), message="Namaste")
    run_to_the_end()
    holds = CreditHold.objects.filter(cause__startswith="seed:").order_by("cause")
    assert [(one.cause, one.amount, one.captured, one.remaining) for one in holds] == [
        (f"seed:{seeds.item_of(run.pk, place)}", Decimal(1), Decimal(1), Decimal(0)) for place in range(3)
    ]
    captured = CreditEntry.objects.filter(kind=CreditEntry.Kind.CAPTURE, hold__in=holds)
    assert captured.count() == 3
    account.refresh_from_db()
    assert account.balance == 1000 - 12 - 3
    check_ledger()


def test_repeated_and_concurrent_fills_send_nothing_twice(account: Account) -> None:
    run = runs.begin(campaign=campaign_of(account), message="Namaste")
    hopper.fill_all(budget=0)
    for _ in range(3):
        seeds_of_runs.send_due(run, cursor=run.last_recipient)
    assert [one.to for one in seed_deliveries()] == SEEDS
    assert SeedSms.objects.count() == 3


def test_numbers_that_change_places_during_a_run_get_nothing_twice(account: Account, settings: Any) -> None:
    settings.IRIS_HOPPER_SIZE = 4
    run = runs.begin(campaign=campaign_of(account), message="Namaste")
    seeds_of_runs.send_due(run, cursor=run.campaign.recipients.order_by("pk")[3].pk)
    assert [one.to for one in seed_deliveries()] == SEEDS[:2]
    seeds.set_numbers(account=account, numbers=[SEEDS[2], SEEDS[0], SEEDS[1]])
    seeds_of_runs.send_due(run, cursor=run.last_recipient)
    assert [one.to for one in seed_deliveries()] == SEEDS[:2]


def test_missed_seeds_follow_with_the_next_fill(account: Account, settings: Any) -> None:
    settings.IRIS_HOPPER_SIZE = 4
    run = runs.begin(campaign=campaign_of(account), message="Namaste")
    first = run.campaign.recipients.order_by("pk")[3].pk
    seeds_of_runs.send_due(run, cursor=first)
    assert [one.to for one in seed_deliveries()] == SEEDS[:2]
    Delivery.objects.filter(purpose=Purpose.SEED).delete()
    SeedSms.objects.all().delete()
    seeds_of_runs.send_due(run, cursor=run.last_recipient)
    assert [one.to for one in seed_deliveries()] == SEEDS


@pytest.mark.parametrize(
    ("count", "fields", "arguments"),
    [
        pytest.param(5, {}, {}, id="small run"),
        pytest.param(12, {"service": Service.CALL}, {}, id="calls"),
        pytest.param(12, {}, {"trial": True}, id="trial"),
    ],
)
def test_other_runs_have_no_seeds(
    account: Account, count: int, fields: dict[str, Any], arguments: dict[str, Any]
) -> None:
    campaign = campaign_of(account, count, **fields)
    if arguments:
        arguments["individual"] = [campaign.recipients.first().pk]  # type: ignore[union-attr]
    runs.begin(campaign=campaign, message="Namaste", **arguments)
    run_to_the_end()
    assert seed_deliveries() == []


def test_seed_numbers_of_another_account_get_nothing(account: Account) -> None:
    runs.begin(campaign=campaign_of(make_account(credits=100)), message="Namaste")
    run_to_the_end()
    assert not set(SEEDS) & set(sent())


def test_seeds_get_the_names_of_tags_and_no_data_of_recipients(account: Account) -> None:
    campaign = campaign_of(account, tags=["tags_name"])
    campaign.recipients.update(tags={"tags_name": "Sita Kumari"})
    runs.begin(campaign=campaign, message="Namaste {tags_name}, {name}")
    run_to_the_end()
    assert {one.text for one in seed_deliveries()} == {"Namaste name, name"}


def test_stop_ends_the_sms_to_seeds_and_returns_their_credits(account: Account) -> None:
    campaign = campaign_of(account)
    run = runs.begin(campaign=campaign, message="Namaste")
    hopper.fill_all(budget=0)
    assert len(seed_deliveries()) == 3
    assert client_of(account).post(f"/api/system/campaigns/{campaign.pk}/stop/").status_code == 200
    run_all_loops_once()
    assert {one.status for one in seed_deliveries()} == {DeliveryStatus.TERMINATED}
    seeds_of_runs.send_due(run, cursor=run.last_recipient)  # a filler that was slow
    assert sent() == []
    account.refresh_from_db()
    assert account.balance == 1000
    check_ledger()


def test_pause_and_resume_hold_the_sms_to_seeds_back(account: Account) -> None:
    campaign = campaign_of(account)
    run = runs.begin(campaign=campaign, message="Namaste")
    hopper.fill_all(budget=0)
    Run.objects.filter(pk=run.pk).update(status=RunStatus.PAUSED)
    run_statuses.reconcile(run.pk)
    run_all_loops_once()
    assert sent() == []
    Run.objects.filter(pk=run.pk).update(status=RunStatus.RUNNING)
    run_statuses.reconcile(run.pk)
    run_to_the_end()
    assert set(SEEDS) <= set(sent())


def test_run_goes_on_if_the_account_cannot_pay_for_seeds() -> None:
    poor = make_account(credits=13)
    seeds.set_numbers(account=poor, numbers=SEEDS)
    runs.begin(campaign=campaign_of(poor), message="Namaste")
    run_to_the_end()
    assert Run.objects.get().status == RunStatus.COMPLETED
    assert Delivery.objects.filter(purpose=Purpose.CAMPAIGN, status=DeliveryStatus.COMPLETED).count() == 12
    assert [one.to for one in seed_deliveries()] == SEEDS[:1], "one credit was left"
    poor.refresh_from_db()
    assert poor.balance == 0
    check_ledger()


def test_seed_that_has_opted_out_gets_nothing(account: Account) -> None:
    OptOut.objects.create(owner=account, number=SEEDS[1], source="STOP")
    runs.begin(campaign=campaign_of(account), message="Namaste")
    run_to_the_end()
    assert [one.cause for one in seed_deliveries()] == [Cause.NONE, Cause.OPTED_OUT, Cause.NONE]
    assert SEEDS[1] not in sent()


def test_status_and_carrier_truth_show_what_arrived(account: Account) -> None:
    runs.begin(campaign=campaign_of(account), message="Namaste")
    run_to_the_end()
    first, second, third = seed_deliveries()
    seeds.tell(account=account, delivery_id=first.pk, arrived=True)
    seeds.tell(account=account, delivery_id=second.pk, arrived=False)
    assert third.delivered_at is not None, "the sandbox reports every SMS"
    (shown,) = results.figures(since=first.created_at)
    assert shown == results.SeedFigures("sandbox", 3, 3, 1, 1, 1)
    output = StringIO()
    call_command("trunk_status", stdout=output)
    assert (
        "3 SMS to seed numbers accepted, 3 reported as delivered, 1 seen to arrive, 1 missing"
        in output.getvalue()
    )
    output = StringIO()
    call_command("carrier_truth", stdout=output)
    assert "1 are missing, of which 1 were reported as delivered." in output.getvalue()


def test_the_statement_has_a_line_of_its_own_for_seeds(account: Account) -> None:
    runs.begin(campaign=campaign_of(account), message="Namaste")
    run_to_the_end()
    lines = client_of(account).get("/api/system/credits/statement/").json()["data"]["statement"]["lines"]
    spent = {one["purpose"]: float(one["amount"]) for one in lines if one["kind"] == "capture"}
    assert spent == {"campaign": 12, "seed": 3}


def test_erasing_a_person_erases_the_seed_number_and_its_sms(account: Account) -> None:
    runs.begin(campaign=campaign_of(account), message=f"Call {SEEDS[0]}")
    run_to_the_end()
    erasing.erase(Person([account.pk], SEEDS[0]))
    assert seeds.numbers_of(account.pk) == SEEDS[1:]
    assert SEEDS[0] not in {one.to for one in seed_deliveries()}


def test_retention_removes_seed_sms_with_their_run(account: Account) -> None:
    runs.begin(campaign=campaign_of(account), message="Namaste")
    run_to_the_end()
    Run.objects.update(finished_at="2020-01-01T00:00Z")
    SeedSms.objects.update(created_at="2020-01-01T00:00Z")
    prune(days=30)
    assert (seed_deliveries(), SeedSms.objects.count()) == ([], 0)


def test_a_report_ends_a_seed_sms_and_tells_nobody_else(account: Account) -> None:
    runs.begin(campaign=campaign_of(account), message="Namaste")
    hopper.fill_all(budget=0)
    (one, *_) = seed_deliveries()
    lifecycle.apply_reports([lifecycle.Report(id=one.pk, status=DeliveryStatus.COMPLETED, at=None)])
    one.refresh_from_db()
    assert (one.status, one.credits) == (DeliveryStatus.COMPLETED, 1)
    assert set(Trunk.objects.values_list("alias", flat=True)) == {"sandbox"}


def test_sms_to_seeds_wait_for_the_next_calling_hours(settings: Any) -> None:
    daily = {"sms": [{"from": "09:00", "to": "18:00"}]}
    closing = datetime(2026, 11, 30, 12, 15, tzinfo=UTC)  # Monday, 18:00 in Nepal
    with stopped_clock(closing - timedelta(seconds=1)) as clock:
        campaign, _ = begun(service=Service.SMS, numbers=range(9841000001, 9841000013), calling_hours=daily)
        seeds.set_numbers(account=campaign.owner, numbers=SEEDS)
        tick()
        assert len(seed_deliveries()) == 3
        clock.set(closing)
        assert claim() == []
        tick()
        clock.set(closing + timedelta(hours=15))  # 09:00
        assert {one.to for one in claim()} >= set(SEEDS)
