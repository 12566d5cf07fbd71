"""Campaigns whose phone number the operator has withdrawn do not begin, and running ones wait for their owner."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from campaigns import runs
from campaigns.models import RunStatus, Service
from campaigns.runs import hopper
from telephony.inventory import states
from telephony.models import Delivery, SandboxMessage
from tests.engine import run_to_the_end
from tests.factories import make_account, make_campaign, make_phone_number
from tests.v0 import Caller, row_counts_and_balances

OLD, NEW = "9841000001", "9841000002"


@pytest.mark.django_db
def test_campaign_of_a_retired_number_does_not_begin() -> None:
    owner = make_account(credits=100)
    old, new = (make_phone_number(number=number, owner=owner) for number in (OLD, NEW))
    campaign = make_campaign(owner=owner, service=Service.CALL, caller_ids=[old.pk], message="Namaste")
    states.retire([old.pk])
    before = row_counts_and_balances()
    answer = Caller(owner).fails("POST", f"/api/system/campaigns/{campaign.pk}/begin/", {}, status=409)
    assert OLD in answer["message"]
    assert "Choose another one" in answer["message"]
    assert row_counts_and_balances() == before
    campaign.caller_ids = [old.pk, new.pk]
    campaign.save()
    assert runs.begin(campaign=campaign).caller == NEW


@pytest.mark.django_db(transaction=True)
def test_running_and_scheduled_runs_are_paused_and_continue_with_another_number() -> None:
    owner = make_account(credits=100)
    old = make_phone_number(number=OLD, owner=owner)
    make_phone_number(number=NEW, owner=owner)
    running, scheduled, other = (
        make_campaign(
            owner=owner, service=Service.CALL, caller_ids=[pk], numbers=[9841000011], message="Namaste"
        )
        for pk in (old.pk, old.pk, owner.phone_numbers.latest("pk").pk)
    )
    later = timezone.now() + timedelta(hours=1)
    begun = [
        runs.begin(campaign=running),
        runs.begin(campaign=scheduled, starts_at=later),
        runs.begin(campaign=other),
    ]
    hopper.fill_all(budget=0)
    states.retire([old.pk])
    for run, status in zip(begun, (RunStatus.PAUSED, RunStatus.PAUSED, RunStatus.RUNNING), strict=True):
        run.refresh_from_db()
        assert run.status == status
        assert (OLD in run.pause_reason) == (status == RunStatus.PAUSED)
    assert set(Delivery.objects.values_list("caller", flat=True)) == {NEW}
    runs.resume(campaign=running)
    runs.stop(campaign=scheduled)
    run_to_the_end()
    assert list(SandboxMessage.objects.values_list("caller", flat=True)) == [NEW, NEW]
