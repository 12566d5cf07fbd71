"""Test `updated_at` of a v1 contact: the time of its last change, in lists and reports."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Account
from campaigns.api.v1.serializers import moment_json
from campaigns.models import Campaign, Recipient, Service
from telephony.models import DeliveryStatus
from tests.factories import make_delivery_of, make_empty_campaign, make_recipient, make_run
from tests.v1.caller import Caller
from tests.v1.test_contacts import add, upload


@pytest.fixture
def campaign(account: Account) -> Campaign:
    month_ago = timezone.now() - timedelta(days=30)
    return make_empty_campaign(owner=account, service=Service.CALL, created_at=month_ago)


def updated_at_of_contacts(caller: Caller, campaign: Campaign) -> list[str]:
    """Return `updated_at` of each contact in the list, and check that the report shows the same."""
    rows = caller.get(f"campaign-detail/{campaign.pk}/")["results"]
    report = caller.client.get(f"/api/v1/download/report/{campaign.pk}/").getvalue().decode("utf-8-sig")
    reported = [row["updated_at"] for row in csv.DictReader(io.StringIO(report))]
    listed: list[str] = [row["updated_at"] for row in reversed(rows)]
    assert listed == reported
    return listed


def test_updated_at_of_a_new_contact_is_when_it_was_added(caller: Caller, campaign: Campaign) -> None:
    before = moment_json(timezone.now()) or ""
    one = add(caller, campaign, {"number": 9841000001})["updated_at"]
    (many,) = add(caller, campaign, {"contacts": [{"number": 9841000002}]})["contacts"]
    upload(caller, campaign, b"numbers\n9841000003\n")
    *known, imported = updated_at_of_contacts(caller, campaign)
    assert known == [one, many["created_at"]]
    assert before <= one <= many["created_at"] <= imported


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("phone-number/update/{}/", {"number": "9841000005"}),
        ("campaign/{}/attributes/", {"name": "Ram"}),
    ],
)
def test_updated_at_moves_when_a_contact_is_edited(
    caller: Caller, campaign: Campaign, path: str, change: dict[str, Any]
) -> None:
    week_ago = timezone.now() - timedelta(days=7)
    contact = make_recipient(campaign=campaign, updated_at=week_ago)
    assert updated_at_of_contacts(caller, campaign) == [moment_json(week_ago)]
    before = moment_json(timezone.now()) or ""
    answer = caller.patch(path.format(contact.pk), change)
    (edited,) = updated_at_of_contacts(caller, campaign)
    assert edited >= before
    assert answer.get("updated_at", edited) == edited


def test_updated_at_is_the_later_of_last_edit_and_last_call(caller: Caller, campaign: Campaign) -> None:
    called, added, edited = (timezone.now() - timedelta(days=days) for days in (5, 7, 3))
    contact = make_recipient(campaign=campaign, updated_at=added)
    run = make_run(campaign=campaign)
    make_delivery_of(run=run, recipient=contact, status=DeliveryStatus.COMPLETED, claimed_at=called)
    assert updated_at_of_contacts(caller, campaign) == [moment_json(called)]
    Recipient.objects.update(updated_at=edited)
    assert updated_at_of_contacts(caller, campaign) == [moment_json(edited)]


def test_updated_at_is_never_before_the_campaign_was_created(caller: Caller, campaign: Campaign) -> None:
    make_recipient(campaign=campaign, updated_at=datetime(1970, 1, 1, tzinfo=UTC))
    assert updated_at_of_contacts(caller, campaign) == [moment_json(campaign.created_at)]
