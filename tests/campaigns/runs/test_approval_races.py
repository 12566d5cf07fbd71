"""Approvals that race with changes, expiry, stop and each other, on real transactions and threads.

What was approved is what is sent, and each hold is released once.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts import actors
from accounts.actors import Acting, ActorKind
from accounts.ledger import check_ledger
from accounts.models import Account, CreditEntry, User
from campaigns import runs, services
from campaigns.models import Campaign, Run, RunStatus
from campaigns.recipients import editing
from campaigns.runs import approval, run_statuses
from telephony.models import Delivery
from tests import engine
from tests.accounts.test_credits_races import at_once
from tests.factories import make_account, make_campaign, make_member

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = 6


def waiting(**options: Any) -> tuple[Campaign, Run, Acting]:
    """Begin a run that waits for approval. Return its campaign, the run, and a person who may approve it."""
    account = make_account(credits=100)
    Account.objects.filter(pk=account.pk).update(approval_above=0)
    campaign = make_campaign(owner=Account.objects.get(pk=account.pk))
    with actors.acting(in_person(make_member(account, "sender"))):
        run = runs.begin(campaign=campaign, message="Seen", **options)
    campaign.refresh_from_db()
    return campaign, run, in_person(make_member(account, "sender"))


def in_person(user: User) -> Acting:
    return Acting(kind=ActorKind.PERSON, user_id=user.pk, name=user.email, email=user.email)


def approve(campaign: Campaign, run: Run, by: Acting) -> Run:
    return runs.approve(campaign=campaign, run_id=run.pk, by=by)


def releases() -> int:
    return CreditEntry.objects.filter(kind="release").count()


def change_message(campaign: Campaign) -> object:
    return services.update_campaign(campaign=campaign, message="Unseen", sms_message="Unseen")


def add_recipient(campaign: Campaign) -> object:
    return editing.add_recipient(campaign=campaign, number=9841000099)


@pytest.mark.parametrize("change", [change_message, add_recipient])
@pytest.mark.parametrize("later", [False, True], ids=["now", "scheduled"])
def test_a_change_and_an_approval_at_once_never_send_anything_unseen(
    change: Callable[[Campaign], object], later: bool
) -> None:
    for _ in range(ROUNDS):
        starts_at = timezone.now() + timedelta(hours=1) if later else None
        campaign, run, by = waiting(starts_at=starts_at)
        approved, changed = at_once([partial(approve, campaign, run, by), partial(change, campaign)])
        latest = Run.objects.filter(campaign=campaign).latest("pk")
        for one in Run.objects.filter(campaign=campaign, approved_at__isnull=False):
            assert (one.pk, one.sms_message, one.recipient_count) == (run.pk, "Seen", 3)
        if isinstance(approved, Run) and not later:
            assert latest.pk == run.pk  # the run was running already, and the change is for the next one
            assert latest.status == RunStatus.RUNNING
        else:
            assert not isinstance(changed, Exception)
            assert (latest.status, latest.approved_at) == (RunStatus.AWAITING, None)
    Run.objects.update(starts_at=timezone.now())
    run_statuses.start_due()
    engine.run_all_loops_once()
    assert set(Delivery.objects.values_list("text", flat=True)) <= {"Seen"}
    assert not Delivery.objects.filter(to="+9779841000099").exists()
    assert check_ledger().differences == ()


def test_a_run_is_approved_once_even_if_many_approve_it_at_once() -> None:
    for _ in range(3):
        campaign, run, by = waiting()
        people = [in_person(make_member(campaign.owner, "sender")) for _ in range(4)]
        answers = at_once([partial(approve, campaign, run, person) for person in (by, *people)])
        assert sum(isinstance(answer, Run) for answer in answers) == 1
        run.refresh_from_db()
        assert run.status == RunStatus.RUNNING
    assert check_ledger().differences == ()


def test_a_run_either_expires_or_is_approved() -> None:
    for n in range(ROUNDS):
        campaign, run, by = waiting()
        Run.objects.filter(pk=run.pk).update(approve_until=timezone.now() + timedelta(milliseconds=5 * n))
        before = releases()

        def expire(run_id: int = run.pk) -> int:
            while Run.objects.filter(pk=run_id, status=RunStatus.AWAITING).exists():
                approval.expire_all()
            return run_id

        approved, _, _ = at_once([partial(approve, campaign, run, by), expire, expire])
        run.refresh_from_db()
        if isinstance(approved, Run):
            assert (run.status, releases()) == (RunStatus.RUNNING, before)
        else:
            assert (run.status, releases()) == (RunStatus.WITHDRAWN, before + 1)
            assert Account.objects.get(pk=campaign.owner_id).balance == Decimal(100)
    assert check_ledger().differences == ()


@pytest.mark.parametrize("end", ["stop", "reject"])
def test_an_approval_and_an_end_at_once_release_the_hold_once_and_send_nothing_afterwards(end: str) -> None:
    for _ in range(ROUNDS):
        campaign, run, by = waiting()
        ending = (
            partial(runs.stop, campaign=campaign)
            if end == "stop"
            else partial(runs.reject, campaign=campaign, run_id=run.pk, by=by)
        )
        answers = at_once([partial(approve, campaign, run, by), ending])
        run.refresh_from_db()
        if end == "stop":
            assert run.status == RunStatus.TERMINATED
        else:
            assert run.status == (RunStatus.RUNNING if isinstance(answers[0], Run) else RunStatus.WITHDRAWN)
            if run.status == RunStatus.RUNNING:
                runs.stop(campaign=campaign)
        assert CreditEntry.objects.filter(kind="release", hold=run.hold_id).count() == 1
        assert Account.objects.get(pk=campaign.owner_id).balance == Decimal(100)
    engine.run_all_loops_once()
    assert not Delivery.objects.exists()
    assert check_ledger().differences == ()


def test_an_expiry_does_not_wait_for_a_campaign_that_is_in_use() -> None:
    campaign, run, _ = waiting()
    Run.objects.update(approve_until=timezone.now())

    def expire() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '100ms'")
        return approval.expire_all()

    with transaction.atomic():
        Campaign.objects.select_for_update().get(pk=campaign.pk)
        assert at_once([expire]) == [0]
    assert approval.expire_all() == 1
