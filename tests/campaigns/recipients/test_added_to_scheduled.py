"""Recipients added to a campaign with a scheduled run are included in that run and in its hold."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.credits import InsufficientCredits
from accounts.ledger import check_ledger
from campaigns import runs
from campaigns.models import Campaign, Run, RunStatus
from campaigns.recipients import background_imports, editing
from campaigns.runs import run_statuses
from tests.engine import run_to_the_end
from tests.factories import make_account, make_campaign, make_sheet

pytestmark = pytest.mark.django_db


def scheduled(*, credits: int = 100, **options: Any) -> Campaign:
    campaign = make_campaign(owner=make_account(credits=credits), numbers=[9841000001])
    runs.begin(campaign=campaign, message="Namaste", starts_at=timezone.now() + timedelta(hours=1), **options)
    return campaign


def scheduled_run(campaign: Campaign) -> Run:
    return campaign.runs.get(status=RunStatus.SCHEDULED)


def status_of(campaign: Campaign) -> str | None:
    shown: Any = Campaign.objects.with_status().get(pk=campaign.pk)
    status: str | None = shown.run_status
    return status


def count_completed(campaign: Campaign) -> int:
    """Start the scheduled run, let it end, and return how many recipients have completed."""
    Run.objects.filter(status=RunStatus.SCHEDULED).update(starts_at=timezone.now())
    run_statuses.start_due()
    run_to_the_end()
    assert check_ledger().differences == ()
    return campaign.recipients.filter(status=100).count()


def test_a_scheduled_run_includes_a_number_that_is_added_later() -> None:
    campaign = scheduled()
    editing.add_recipient(campaign=campaign, number=9841000002)
    assert (scheduled_run(campaign).recipient_count, scheduled_run(campaign).hold.amount) == (2, 2)
    assert count_completed(campaign) == 2


def test_a_scheduled_run_includes_a_list_that_is_added_later() -> None:
    campaign = scheduled()
    editing.add_recipients(campaign=campaign, rows=[(9841000002, {}), (9841000003, {})])
    assert count_completed(campaign) == 3


def test_a_scheduled_run_includes_a_sheet_that_is_added_later() -> None:
    campaign = scheduled()
    editing.import_sheet(campaign=campaign, file=make_sheet(["numbers"], [9841000002], [9841000003]))
    assert count_completed(campaign) == 3


def test_a_scheduled_run_includes_a_large_sheet_after_its_background_import(settings: Any) -> None:
    settings.IRIS_BACKGROUND_IMPORT_BYTES = 0
    campaign = scheduled()
    editing.import_sheet(campaign=campaign, file=make_sheet(["numbers"], [9841000002], [9841000003]))
    assert scheduled_run(campaign).recipient_count == 1
    background_imports.resume_import(campaign.imports.get().pk)
    assert count_completed(campaign) == 3


def test_a_number_is_refused_if_the_scheduled_run_would_exceed_the_balance() -> None:
    campaign = scheduled(credits=1)
    with pytest.raises(InsufficientCredits):
        editing.add_recipient(campaign=campaign, number=9841000002)
    campaign.refresh_from_db()
    assert (campaign.number_count, campaign.recipients.count(), scheduled_run(campaign).hold.amount) == (
        1,
        1,
        1,
    )


def test_a_large_sheet_beyond_the_balance_is_imported_without_joining_the_scheduled_run(
    settings: Any,
) -> None:
    settings.IRIS_BACKGROUND_IMPORT_BYTES = 0
    campaign = scheduled(credits=1)
    editing.import_sheet(campaign=campaign, file=make_sheet(["numbers"], [9841000002], [9841000003]))
    pending = campaign.imports.get()
    background_imports.resume_import(pending.pk)
    pending.refresh_from_db()
    assert (pending.status, pending.imported) == ("done", 2)
    assert pending.message.startswith("The scheduled run does not reach these numbers.")
    assert count_completed(campaign) == 1


def test_a_scheduled_run_for_chosen_recipients_does_not_include_added_recipients() -> None:
    campaign = make_campaign(numbers=[9841000001, 9841000002])
    only = campaign.recipients.earliest("pk").pk
    runs.begin(
        campaign=campaign,
        message="Namaste",
        individual=[only],
        starts_at=timezone.now() + timedelta(hours=1),
    )
    editing.add_recipient(campaign=campaign, number=9841000003)
    assert campaign.runs.count() == 1
    assert count_completed(campaign) == 1


def test_a_withdrawn_run_does_not_change_the_status_of_the_campaign() -> None:
    campaign = scheduled()
    runs.withdraw(campaign=campaign)
    assert status_of(campaign) is None
    runs.begin(campaign=campaign, message="Namaste")
    run_to_the_end()
    runs.begin(campaign=campaign, starts_at=timezone.now() + timedelta(hours=1))
    runs.withdraw(campaign=campaign)
    assert status_of(campaign) == RunStatus.COMPLETED
