"""A campaign without a carrier for its channel is refused, and a route removed later does no harm."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from accounts.models import Account
from campaigns import runs
from campaigns.models import Run, Service
from campaigns.runs import hopper
from iris.errors import Unavailable
from telephony.engine import dispatch
from telephony.models import DeliveryStatus
from tests import v0
from tests.engine import run_to_the_end
from tests.factories import make_account, make_campaign
from tests.v1.caller import Caller as CallerOfV1

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> Account:
    return make_account(credits=100)


@pytest.mark.parametrize(
    ("service", "failover", "missing"),
    [
        (Service.SMS, [], "sms"),
        (Service.CALL, [], "call"),
        (Service.BOTH, [], "sms"),
        (Service.BOTH, [], "call"),
        (Service.CALL, [DeliveryStatus.UNANSWERED], "sms"),
    ],
)
def test_a_campaign_without_a_carrier_for_its_channel_is_refused_without_a_hold(
    settings: Any, owner: Account, service: Service, failover: list[DeliveryStatus], missing: str
) -> None:
    settings.ROUTES = {**settings.ROUTES, missing: []}
    campaign = make_campaign(owner=owner, service=service, failover_statuses=failover)
    with pytest.raises(Unavailable, match="No carrier is set up for"):
        runs.begin(campaign=campaign, message="Namaste")
    owner.refresh_from_db()
    assert (owner.balance, Run.objects.count()) == (100, 0)


def test_an_unused_channel_needs_no_carrier(settings: Any, owner: Account) -> None:
    settings.ROUTES = {**settings.ROUTES, "call": []}
    runs.begin(campaign=make_campaign(owner=owner), message="Namaste")


def test_v0_explains_the_missing_carrier(settings: Any, owner: Account) -> None:
    settings.ROUTES = {**settings.ROUTES, "sms": []}
    campaign = make_campaign(owner=owner)
    answer = v0.Caller(owner).call(
        "post", f"/api/system/campaigns/{campaign.pk}/begin/", {"message": "Namaste"}, status=503
    )
    assert answer["message"] == "No carrier is set up for Sms: ask this server's operator."


def test_v1_explains_the_missing_carrier(settings: Any, owner: Account) -> None:
    settings.ROUTES = {**settings.ROUTES, "sms": []}
    campaign = make_campaign(owner=owner, message="Namaste")
    CallerOfV1(owner).fails("post", f"run-campaign/{campaign.pk}/", status=503)


def test_a_call_ends_even_if_its_failover_sms_has_no_route(settings: Any, owner: Account) -> None:
    settings.IRIS_SANDBOX_SPEED = 1000
    campaign = make_campaign(
        owner=owner,
        service=Service.CALL,
        numbers=[9841009902],
        failover_statuses=[DeliveryStatus.UNANSWERED],
    )
    run = runs.begin(campaign=campaign, message="Namaste", sms_message="Call us")
    hopper.fill_all(budget=0)
    dispatch.run("sandbox", budget=1)
    settings.ROUTES = {**settings.ROUTES, "sms": []}
    run_to_the_end()
    assert campaign.recipients.get().status == DeliveryStatus.UNANSWERED
    run.hold.refresh_from_db()
    assert run.hold.remaining == 0


def test_a_run_that_cannot_be_filled_is_tried_once_per_time_slice_and_delays_no_other(
    settings: Any, owner: Account, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings.IRIS_SANDBOX_SPEED = 1000
    lost = runs.begin(campaign=make_campaign(owner=owner, service=Service.CALL), message="Namaste")
    other = runs.begin(campaign=make_campaign(owner=owner), message="Namaste")
    settings.ROUTES = {**settings.ROUTES, "call": []}
    with caplog.at_level(logging.ERROR, logger="campaigns.runs.hopper"):
        assert hopper.fill_all(budget=1) is False
    assert len(caplog.records) == 1
    lost.refresh_from_db()
    other.refresh_from_db()
    assert lost.filled_at is None
    assert other.filled_at is not None
