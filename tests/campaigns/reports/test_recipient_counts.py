"""The counts that triggers keep agree with the recipients, whoever changes them."""

from __future__ import annotations

import random

import pytest
from django.db import connection, connections, transaction

from accounts.models import Account
from campaigns.models import Campaign, LeftOut, Recipient, RecipientCount, Run, RunStatus
from campaigns.recipients import editing
from campaigns.reports import figures, recipient_counts
from campaigns.runs import recipient_statuses
from telephony.models import Delivery, DeliveryStatus
from tests.factories import make_account, make_campaign, make_delivery_of, make_run

STATUSES = [status for status in DeliveryStatus if status != DeliveryStatus.UNKNOWN]


@pytest.fixture
def campaign(sita: Account) -> Campaign:
    return make_campaign(owner=sita, numbers=range(9_841_000_001, 9_841_000_021))


def agree(campaign: Campaign, run: Run | None) -> bool:
    derived = figures._from_counts(campaign, run)
    assert derived is not None
    return derived == figures._counted(campaign, run)


def test_counts_follow_all_changes_of_recipients(campaign: Campaign) -> None:
    assert recipient_counts.is_counted(campaign.pk)
    people = list(campaign.recipients.order_by("pk"))
    editing.add_recipients(campaign=campaign, rows=[(9_851_000_000 + n, {}) for n in range(7)])
    assert agree(campaign, None)
    editing.delete_recipient(recipient=people[0])
    assert agree(campaign, None)
    run = make_run(campaign=campaign)
    recipient_statuses.terminate([one.pk for one in people[1:4]], run=run)
    recipient_statuses.leave_out(run, {people[4].pk: LeftOut.DUPLICATE})
    assert agree(campaign, None)
    Recipient.objects.filter(pk__in=[one.pk for one in people[2:9]]).update(status=DeliveryStatus.COMPLETED)
    assert agree(campaign, None)
    Recipient.objects.filter(campaign=campaign).update(tags={"name": "Sita"})
    assert agree(campaign, None)
    Recipient.objects.filter(campaign=campaign).delete()
    assert agree(campaign, None)


@pytest.mark.parametrize("status", [RunStatus.RUNNING, RunStatus.PAUSED])
@pytest.mark.parametrize("is_filled", [True, False])
def test_figures_of_a_live_run_show_the_status_of_its_deliveries(
    campaign: Campaign, status: RunStatus, is_filled: bool
) -> None:
    people = list(campaign.recipients.order_by("pk"))
    run = make_run(campaign=campaign, status=status, cursor=people[14].pk)
    if is_filled:
        Run.objects.filter(pk=run.pk).update(filled_at=run.starts_at)
        run.refresh_from_db()
    drawn = random.Random(5)
    for recipient in people[:15]:
        delivery = make_delivery_of(run=run, recipient=recipient, status=drawn.choice(STATUSES))
        if delivery.status >= DeliveryStatus.COMPLETED:
            Recipient.objects.filter(pk=recipient.pk).update(status=delivery.status)
    assert agree(campaign, run)
    Recipient.objects.filter(pk__in=[one.pk for one in people[:5]]).update(status=DeliveryStatus.FAILED)
    Delivery.objects.filter(item__in=[one.pk for one in people[:5]]).update(status=DeliveryStatus.FAILED)
    assert agree(campaign, run)


def test_figures_are_read_from_the_recipients_while_a_later_run_fills(campaign: Campaign) -> None:
    make_run(campaign=campaign, status=RunStatus.COMPLETED)
    later = make_run(campaign=campaign)
    assert figures._from_counts(campaign, later) is None
    Run.objects.filter(pk=later.pk).update(filled_at=later.starts_at)
    later.refresh_from_db()
    assert agree(campaign, later)


def test_figures_are_read_from_the_recipients_while_the_run_is_stopping(campaign: Campaign) -> None:
    stopping = make_run(campaign=campaign, status=RunStatus.STOPPING)
    assert figures._from_counts(campaign, stopping) is None


def test_compacting_keeps_the_sums(campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipient_counts, "MAX_PARTS", 5)
    run = make_run(campaign=campaign, filled_at=None)
    assert recipient_counts.is_counted(campaign.pk)
    for recipient in campaign.recipients.all():
        recipient_statuses.terminate([recipient.pk], run=run)
    before = RecipientCount.objects.count()
    recipient_counts.compact()
    assert RecipientCount.objects.count() < before
    assert agree(campaign, None)
    recipient_statuses.leave_out(run, {})
    Recipient.objects.filter(campaign=campaign).update(status=None)
    recipient_counts.compact()
    assert agree(campaign, None)


def test_a_campaign_that_nobody_counts_has_no_counts(campaign: Campaign) -> None:
    Recipient.objects.filter(campaign=campaign).update(status=DeliveryStatus.COMPLETED)
    assert not RecipientCount.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_counting_does_not_begin_while_recipients_are_changed() -> None:
    campaign = make_campaign(owner=make_account(credits=100))
    other = connections.create_connection("default")
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute(
                "UPDATE campaigns_recipient SET status = 100 WHERE campaign_id = %s", [campaign.pk]
            )
        assert not recipient_counts.is_counted(campaign.pk)
        other.commit()
        assert recipient_counts.is_counted(campaign.pk)
        assert figures._from_counts(campaign, None) == {DeliveryStatus.COMPLETED: 3}
    finally:
        other.close()


@pytest.mark.django_db(transaction=True)
def test_counting_does_not_begin_in_a_read_only_database() -> None:
    campaign = make_campaign(owner=make_account(credits=100))
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
        assert not recipient_counts.is_counted(campaign.pk)
