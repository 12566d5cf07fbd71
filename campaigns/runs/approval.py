"""Let large runs wait until a second person approves them.

An account sets above how many recipients its runs and those of its departments need approval. Such a run waits, with its
credits on hold, until a person who is not one of its authors approves it. It is never changed while it waits or until it
starts: every change of the campaign's message, recipients or rules replaces it by another run, which waits again
(`reschedule`). So the id of a run identifies what an approver saw. `approve` and all changes lock the campaign
first, so one of them comes first: either the change replaces the run and the approval names a run that is gone, or the
run is approved and the change replaces it afterwards.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models.functions import Now

from accounts import actors
from accounts.actors import Acting
from accounts.models import Account
from campaigns.models import Campaign, NotStarted, Run, RunStatus
from campaigns.runs import run_statuses
from iris.errors import Conflict, NotAllowed, NotFound
from telephony.engine.nudge import nudge

log = logging.getLogger(__name__)


class OwnRun(NotAllowed):
    """An author of a run wants to approve it."""

    default_code = "own_run"


class PeopleOnly(NotAllowed):
    """An API key wants to approve or reject a run."""

    default_code = "people_only"


@dataclass(frozen=True, kw_only=True)
class ApprovalRule:
    """Runs for more than `above` recipients must be approved within `hours`. If `above` is None, no run needs approval."""

    above: int | None
    hours: int


def rule_of(account: Account) -> ApprovalRule:
    """Return the rule for runs of an account. A department has the stricter of its own rule and its parent's rule."""
    demanding = [
        (one.approval_above, one.approval_hours)
        for one in (account, account.parent)
        if one is not None and one.approval_above is not None
    ]
    above, hours = min(demanding, default=(None, account.approval_hours))
    return ApprovalRule(above=above, hours=hours)


def is_needed(rule: ApprovalRule, recipients: int, *, changed: Run | None) -> bool:
    """Return whether a run needs approval. It always does if it replaces a run that needed approval."""
    over = rule.above is not None and recipients > rule.above
    return over or (changed is not None and changed.needs_approval)


def authors_of(changed: Run | None) -> list[int]:
    """Return the authors of a new run: the person who acts, and the authors of the run that it replaces after a change.

    If an API key acts, the person who created the key is an author: nobody may approve a run that was begun with their own
    key.
    """
    before = set() if changed is None else set(changed.authors)
    author = actors.current().author_id
    return sorted(before if author is None else before | {author})


def first_status(*, needs_approval: bool, starts_later: bool) -> RunStatus:
    """Return the status with which a run begins."""
    if needs_approval:
        return RunStatus.AWAITING
    return RunStatus.SCHEDULED if starts_later else RunStatus.RUNNING


def deadline(rule: ApprovalRule, *, now: datetime, starts_at: datetime | None) -> datetime:
    """Return the deadline for the approval of a run: the rule's hours from now, but not after the run's start time."""
    until = now + timedelta(hours=rule.hours)
    return until if starts_at is None else min(until, starts_at)


def approve(*, campaign: Campaign, run_id: int, by: Acting) -> Run:
    """Approve the campaign's run that waits for approval, and let it start. `run_id` is the run that the person saw.

    Raises PeopleOnly and OwnRun, and Conflict if no run waits, if another run waits, or if the deadline has passed.
    """
    person = _person(by, verb="approve")
    with _waiting_run(campaign, run_id) as run:
        if person in run.authors:
            raise OwnRun(
                "You began this run or changed it since, in person or with an API key that you created, so you cannot"
                " approve it. Another person with the permission “send” must."
            )
        if not run_statuses.approve(run.pk, by=person):
            raise Conflict(
                "The time to approve this run is over, so it does not start. Begin the campaign again.",
                code="approval_expired",
            )
        nudge("campaigns.tasks.fill")
    run.refresh_from_db()
    return run


def reject(*, campaign: Campaign, run_id: int | None, by: Acting, words: str = "") -> Run:
    """End the campaign's run that waits for approval, and release its credits. Authors may reject their own runs.

    Raises PeopleOnly, and Conflict if no run waits or if another run than `run_id` waits.
    """
    person = _person(by, verb="reject")
    with _waiting_run(campaign, run_id) as run:
        run_statuses.withdraw(run, because=NotStarted.REJECTED, by=person, words=words)
    return run


def expire_all() -> int:
    """End the runs that were not approved in time, and release their credits. Return how many."""
    due = Run.objects.filter(status=RunStatus.AWAITING, approve_until__lte=Now())
    ended = 0
    for pk, campaign_id in due.values_list("pk", "campaign"):
        try:
            with transaction.atomic():
                # The tick must not wait for a campaign that is in use; the next tick tries again.
                campaign = Campaign.objects.select_for_update(of=("self",), skip_locked=True).filter(
                    pk=campaign_id
                )
                if campaign.first() is None:
                    continue
                run = due.select_for_update(of=("self",)).filter(pk=pk).first()
                if run is not None:
                    run_statuses.withdraw(run, because=NotStarted.EXPIRED)
                    ended += 1
        except Exception:  # the other runs must still end
            log.exception("Run %d, which was not approved in time, cannot be ended", pk)
    return ended


def _person(by: Acting, *, verb: str) -> int:
    if by.person_id is None:
        raise PeopleOnly(f"Only people {verb} runs, not API keys. Log in, and {verb} it in person.")
    return by.person_id


@contextmanager
def _waiting_run(campaign: Campaign, run_id: int | None) -> Iterator[Run]:
    """Lock the campaign and its run that waits for approval. Raises NotFound and Conflict."""
    with transaction.atomic():
        locked = Campaign.objects.select_for_update(of=("self",)).get(pk=campaign.pk)
        if locked.deleted_at is not None:
            raise NotFound("This campaign has been deleted.", code="campaign_deleted")
        run = (
            Run.objects.select_for_update(of=("self",))
            .filter(campaign=locked, status=RunStatus.AWAITING)
            .first()
        )
        if run is None:
            raise Conflict("No run of this campaign awaits approval.", code="not_awaiting_approval")
        if run_id is not None and run.pk != run_id:
            raise Conflict(
                f"The campaign was changed or begun again since run {run_id}. Run {run.pk} awaits approval now: see the"
                " campaign's details, and decide about that one.",
                code="approval_outdated",
            )
        yield run
