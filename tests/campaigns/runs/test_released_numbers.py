"""A released phone number is no longer the caller id of its former owner's calls."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from campaigns import runs, services
from campaigns.models import Run, Service
from campaigns.runs import hopper, run_statuses
from telephony.models import Delivery, SandboxMessage
from telephony.phone_numbers import buy_number, release_number
from tests.engine import run_to_the_end
from tests.factories import make_account, make_campaign, make_phone_number

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("kept", ["9800000102", ""], ids=["another number is left", "none is left"])
def test_a_scheduled_run_replaces_a_released_caller_id(kept: str) -> None:
    owner = make_account(credits=100)
    number = make_phone_number(number="9800000101", owner=owner)
    if kept:
        make_phone_number(number=kept, owner=owner)
    campaign = make_campaign(owner=owner, service=Service.CALL, caller_ids=[number.pk])
    run = runs.begin(campaign=campaign, message="Namaste", starts_at=timezone.now() + timedelta(hours=1))
    assert run.caller == "9800000101"
    release_number(account=owner, sid=number.sid)
    buy_number(account=make_account(email="other@example.com", credits=100), sid=number.sid)
    Run.objects.update(starts_at=timezone.now())
    run_statuses.start_due()
    run_to_the_end()
    assert list(SandboxMessage.objects.values_list("caller", flat=True)) == [kept] * 3


def test_queued_deliveries_replace_a_released_caller_id(settings: Any) -> None:
    settings.IRIS_HOPPER_SIZE = 2
    owner = make_account(credits=100)
    number = make_phone_number(number="9800000101", owner=owner)
    make_phone_number(number="9800000102", owner=owner)
    campaign = make_campaign(owner=owner, service=Service.CALL)
    runs.begin(campaign=campaign, message="Namaste")
    hopper.fill_all(budget=0)
    assert set(Delivery.objects.values_list("caller", flat=True)) == {"9800000101"}
    release_number(account=owner, sid=number.sid)
    run_to_the_end()
    assert list(SandboxMessage.objects.values_list("caller", flat=True)) == ["9800000102"] * 3


def test_a_number_released_during_speech_synthesis_is_not_queued_as_caller_id(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    owner = make_account(credits=100)
    number = make_phone_number(number="9800000101", owner=owner)
    campaign = make_campaign(owner=owner, service=Service.CALL)
    run = runs.begin(campaign=campaign, message="Namaste")

    def release(point: str) -> None:
        if point == "rendered":
            monkeypatch.undo()
            release_number(account=owner, sid=number.sid)

    monkeypatch.setattr(hopper, "failpoint", release)
    assert hopper.fill(run.pk) == 0
    assert hopper.fill(run.pk) == 3
    assert set(Delivery.objects.values_list("caller", flat=True)) == {""}


def test_a_client_can_send_back_a_campaign_with_a_released_number() -> None:
    owner = make_account(credits=100)
    number = make_phone_number(number="9800000101", owner=owner)
    make_phone_number(number="9800000102", owner=owner)
    campaign = make_campaign(owner=owner, service=Service.CALL, caller_ids=[number.pk])
    release_number(account=owner, sid=number.sid)
    changed = services.update_campaign(campaign=campaign, name="New", caller_ids=[number.pk])
    assert (changed.name, changed.caller_ids) == ("New", [number.pk])
