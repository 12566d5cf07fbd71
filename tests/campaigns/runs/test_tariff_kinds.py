"""Each kind of run and of message has the prices of its own begin: approval, re-runs, failover, trials, surveys, OTPs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from accounts.ledger import check_ledger
from accounts.models import Account
from campaigns import runs
from campaigns.models import Run, RunStatus, Service
from campaigns.runs import approval
from otp.services import send_otp
from telephony.models import Channel, Delivery, DeliveryStatus, Tariff, TariffPrice
from telephony.pricing import Rates, call_credits
from tests.campaigns.runs.approval.approving import begun_by, demanding, in_person
from tests.campaigns.surveys.surveying import asks, make_survey
from tests.engine import run_to_the_end
from tests.factories import make_account, make_campaign, make_member
from tests.telephony.tariffs.making import call, make_tariff, sms

pytestmark = pytest.mark.django_db

ANSWERS, MISSES = 9841000001, 9841009902  # the sandbox's people
RATES = Rates(Decimal("1.25"), Decimal("0.75"), 7)


@pytest.fixture(autouse=True)
def _fast(settings: Any) -> None:
    settings.IRIS_SANDBOX_SPEED = 100_000


@pytest.fixture
def account() -> Account:
    account = make_account(credits=10_000)
    make_tariff(sms("977", "1.25"), call("977", "0.75", 7), account=account)
    return account


def raise_prices() -> None:
    """Raise all prices, and take them away from destinations that have none."""
    TariffPrice.objects.update(credits=99)
    Tariff.objects.update(refuses_unpriced=True)


def paid(run: Run) -> Decimal:
    run.hold.refresh_from_db()
    assert run.hold.captured == sum(Delivery.objects.filter(batch=run.pk).values_list("credits", flat=True))
    assert not check_ledger().differences
    return run.hold.captured


def test_approved_run_has_the_prices_that_the_approver_saw(account: Account) -> None:
    demanding(account, above=0)
    author, other = make_member(account, "sender"), make_member(account, "sender")
    campaign = make_campaign(owner=account, numbers=[ANSWERS])
    run = begun_by(author, campaign)
    assert (run.status, run.hold.amount) == (RunStatus.AWAITING, Decimal("1.25"))
    raise_prices()
    approval.approve(campaign=campaign, run_id=run.pk, by=in_person(other))
    run_to_the_end()
    assert paid(run) == Decimal("1.25")


def test_change_of_the_campaign_while_it_awaits_approval_takes_the_new_prices(account: Account) -> None:
    demanding(account, above=0)
    campaign = make_campaign(owner=account, numbers=[ANSWERS])
    run = begun_by(make_member(account, "sender"), campaign)
    raise_prices()
    again = runs.begin(campaign=campaign, message="Changed", replaces_pending=True)
    assert (again.status, again.hold.amount) == (RunStatus.AWAITING, 99)
    run.refresh_from_db()
    assert run.status == RunStatus.WITHDRAWN
    assert paid(run) == 0


def test_rerun_has_the_prices_of_its_own_begin(account: Account) -> None:
    campaign = make_campaign(owner=account, numbers=[ANSWERS])
    first = runs.begin(campaign=campaign, message="Namaste")
    run_to_the_end()
    raise_prices()
    again = runs.begin(campaign=campaign, message="Namaste", statuses=[DeliveryStatus.COMPLETED])
    run_to_the_end()
    assert (paid(first), paid(again)) == (Decimal("1.25"), 99)


def test_sms_after_a_missed_call_has_the_prices_of_the_run(account: Account) -> None:
    campaign = make_campaign(
        owner=account,
        service=Service.CALL,
        numbers=[MISSES],
        failover_statuses=[DeliveryStatus.UNANSWERED],
        sms_message="We could not reach you.",
    )
    run = runs.begin(campaign=campaign, message="Namaste", sms_message="We could not reach you.")
    raise_prices()
    run_to_the_end()
    assert dict(Delivery.objects.values_list("channel", "credits")) == {"call": 0, "sms": Decimal("1.25")}
    assert paid(run) == Decimal("1.25") <= run.hold.amount


def test_trial_and_survey_cost_pulses_of_the_tariff(account: Account) -> None:
    campaign = make_campaign(owner=account, service=Service.CALL, numbers=[ANSWERS])
    survey = make_survey(owner=account, numbers=[ANSWERS], plans=[asks(0, "Are you well?")])
    recipient = campaign.recipients.get().pk
    begun = [
        runs.begin(campaign=campaign, message="Namaste", trial=True, individual=[recipient]),
        runs.begin(campaign=survey),
    ]
    raise_prices()
    run_to_the_end()
    for run in begun:
        made = Delivery.objects.get(batch=run.pk)
        assert made.seconds is not None
        assert made.credits == min(made.credit_limit, call_credits(made.seconds, RATES)) > 0
        assert paid(run) == made.credits <= run.hold.amount


@pytest.mark.parametrize("channel", list(Channel))
def test_otp_that_is_under_way_keeps_its_price(account: Account, channel: Channel) -> None:
    otp = send_otp(account=account, number=ANSWERS, message="{otp}", channel=channel)
    assert otp.hold is not None
    raise_prices()
    run_to_the_end()
    otp.hold.refresh_from_db()
    made = Delivery.objects.get()
    expected = Decimal("1.25") if channel == Channel.SMS else call_credits(made.seconds or 0.0, RATES)
    assert otp.hold.captured == made.credits == min(expected, made.credit_limit)
    assert not check_ledger().differences
