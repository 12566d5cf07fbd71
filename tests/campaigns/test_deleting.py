"""Deleting recipients and campaigns keeps the counts right and stops live runs, even if the process dies."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from importlib import import_module
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.ledger import check_ledger
from campaigns import runs, services
from campaigns.models import Campaign, Run, RunStatus, SurveyAnswer
from campaigns.recipients import editing
from campaigns.runs import hopper, run_statuses
from telephony.models import Delivery, DeliveryStatus, SandboxMessage
from tests.campaigns.surveys.surveying import make_survey
from tests.engine import run_to_the_end
from tests.factories import make_account, make_campaign

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fast_sandbox(settings: Any) -> None:
    settings.IRIS_SANDBOX_SPEED = 100_000


class Died(BaseException):
    """Simulates the death of a process."""


def answered_survey() -> Campaign:
    """Create a survey with two questions, which five recipients have answered."""
    campaign = make_survey(numbers=range(9841000011, 9841000016))
    runs.begin(campaign=campaign)
    run_to_the_end()
    assert SurveyAnswer.objects.count() == 10
    return campaign


def run_migration(name: str, *statements: str) -> None:
    migration = import_module(f"campaigns.migrations.{name}")
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(getattr(migration, statement))


def test_deleting_a_recipient_with_survey_answers_reduces_number_count_by_one() -> None:
    campaign = answered_survey()
    first = campaign.recipients.order_by("pk")[0]
    editing.delete_recipient(recipient=first)
    campaign.refresh_from_db()
    assert campaign.number_count == campaign.recipients.count() == 4


def test_after_a_deletion_the_hold_covers_all_remaining_recipients() -> None:
    campaign = answered_survey()
    editing.delete_recipient(recipient=campaign.recipients.order_by("pk")[0])
    run = runs.begin(campaign=campaign)
    run_to_the_end()
    assert set(Delivery.objects.filter(batch=run.pk).values_list("status", flat=True)) == {
        DeliveryStatus.COMPLETED
    }
    run.hold.refresh_from_db()
    assert run.hold.captured == run.hold.amount == run.call_limit * 4
    assert check_ledger().differences == ()


def test_the_migration_corrects_number_count_of_surveys_only() -> None:
    survey, other = make_survey(), make_campaign()
    Campaign.objects.filter(pk=survey.pk).update(number_count=-3)
    Campaign.objects.filter(pk=other.pk).update(number_count=7)
    run_migration("0008_numbers_of_surveys", "LOCK", "COUNT")
    survey.refresh_from_db()
    other.refresh_from_db()
    assert (survey.number_count, other.number_count) == (2, 7)


def test_deleting_a_campaign_stops_its_run_even_if_the_process_dies(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.IRIS_HOPPER_SIZE = 2
    owner = make_account(credits=10)
    campaign = make_campaign(owner=owner)
    runs.begin(campaign=campaign, message="Hello")
    hopper.fill_all(budget=0)
    delete_and_die(campaign, monkeypatch)
    run_statuses.reconcile_all()
    run_to_the_end()
    assert not SandboxMessage.objects.exists()
    owner.refresh_from_db()
    assert (Run.objects.get().status, owner.balance) == (RunStatus.TERMINATED, Decimal(10))


def test_a_scheduled_run_of_a_deleted_campaign_never_starts_even_if_the_process_dies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    campaign = make_campaign()
    runs.begin(campaign=campaign, message="Hello", starts_at=timezone.now() + timedelta(hours=1))
    delete_and_die(campaign, monkeypatch)
    Run.objects.update(starts_at=timezone.now())
    assert run_statuses.start_due() == 0
    run_to_the_end()
    assert not SandboxMessage.objects.exists()
    assert Run.objects.get().status == RunStatus.TERMINATED


def delete_and_die(campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    """Delete a campaign as if the process died just after the deletion was committed."""

    def die(*arguments: Any, **options: Any) -> None:
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr(runs, "finish_stop", die)
        with pytest.raises(Died):
            services.delete_campaign(campaign=campaign)


def test_the_migration_stops_runs_of_deleted_campaigns() -> None:
    deleted, kept = make_campaign(), make_campaign()
    for campaign in (deleted, kept):
        runs.begin(campaign=campaign, message="Hello", starts_at=timezone.now() + timedelta(hours=1))
    Campaign.objects.filter(pk=deleted.pk).update(deleted_at=timezone.now())
    run_migration("0009_runs_of_deleted_campaigns", "STOP")
    hopper.fill_all(budget=0)
    run_statuses.reconcile_all()
    run_statuses.finish_all()
    assert Run.objects.get(campaign=deleted).status == RunStatus.TERMINATED
    assert Run.objects.get(campaign=kept).status == RunStatus.SCHEDULED
