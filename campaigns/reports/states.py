"""Read the current state of recipients from their rows, their campaign's run and its deliveries."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import DateTimeField, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.utils import timezone

from campaigns.models import Campaign, Recipient, Run, RunStatus, Service
from campaigns.runs.run_statuses import live_run
from telephony.models import FINAL, Channel, Delivery, DeliveryStatus, Purpose


@dataclass(frozen=True, slots=True)
class RecipientState:
    """The current state of a recipient. A `status` of None means not started, in the live run or at all.

    `attempts` is how often the run has tried to reach the recipient; None if it has no retries. Between two tries, the
    status is that of a call in progress, because clients take a final status as final. `next_try_at` is when the next
    try is due, if that is later.
    """

    recipient: Recipient
    status: DeliveryStatus | None
    seconds: float | None
    playback: int | None
    credits: Decimal
    attempts: int | None = None
    next_try_at: datetime | None = None


class _Try(NamedTuple):
    """The unfinished delivery of a recipient, and when it is due."""

    status: int
    number: int
    due: datetime | None

    @property
    def is_queued(self) -> bool:
        return self.status == DeliveryStatus.QUEUED


# What a recipient is shown as between two tries.
BETWEEN_TRIES = DeliveryStatus.SUBMITTING
# A paused delivery has an infinite `not_before`, which Python cannot represent.
_DUE = RawSQL(
    "CASE WHEN isfinite(not_before) THEN not_before ELSE due_at END", (), output_field=DateTimeField()
)


def states_of(campaign: Campaign, recipients: Sequence[Recipient]) -> list[RecipientState]:
    """Return the state of each recipient, with two queries in total."""
    run = _shown_run(campaign)
    under_way: dict[int, _Try] = {}
    if run is not None:
        ids = [recipient.pk for recipient in recipients]
        rows = _unfinished(campaign, run).filter(item__in=ids).annotate(due=_DUE)
        under_way = {
            item: _Try(*row) for item, *row in rows.values_list("item", "status", "try_number", "due")
        }
    return [_state(recipient, run, under_way.get(recipient.pk)) for recipient in recipients]


def are_stored_on_recipients(campaign: Campaign, statuses: Set[DeliveryStatus | None]) -> bool:
    """Return whether a search for these statuses can use the partial index of recipients who were not reached.

    All statuses must be such outcomes, and the stored statuses must be up to date. While a run is stopping they are not:
    recipients that it will not reach are shown as `terminated` before their rows are updated.
    """
    if not statuses or not all(
        status is not None and status > DeliveryStatus.COMPLETED for status in statuses
    ):
        return False
    run = _shown_run(campaign) if DeliveryStatus.TERMINATED in statuses else None
    return run is None or run.status != RunStatus.STOPPING


def has_status(campaign: Campaign, statuses: Set[DeliveryStatus | None], *, ids: tuple[int, int]) -> Q:
    """Return the condition that a recipient currently has one of these statuses, consistent with `states_of`.

    It is valid only for recipients with ids[0] <= id < ids[1].
    """
    run = _shown_run(campaign)
    ended = Q(status__in=[status for status in statuses if status is not None])
    if None in statuses:
        ended |= Q(status=None)
    if run is None:
        return ended
    unfinished = _unfinished(campaign, run).filter(item__gte=ids[0], item__lt=ids[1])
    # A recipient with a queued delivery is shown as not started (None), or as between two tries. “Queued” is never shown, so
    # this status matches nobody.
    moving = Q(status__in=[status for status in statuses if status not in (None, DeliveryStatus.QUEUED)])
    if None in statuses:
        moving |= Q(status=DeliveryStatus.QUEUED, try_number=1)
    if BETWEEN_TRIES in statuses:
        moving |= Q(status=DeliveryStatus.QUEUED, try_number__gt=1)
    is_moving = Q(pk__in=unfinished.values("item"))
    untouched = _untouched(run)
    untouched_status = DeliveryStatus.TERMINATED if run.status == RunStatus.STOPPING else None
    resting = ended & ~untouched
    if untouched_status in statuses:
        resting |= untouched
    return Q(pk__in=unfinished.filter(moving).values("item")) | (resting & ~is_moving)


def _shown_run(campaign: Campaign) -> Run | None:
    """Return the live run that the recipients' states reflect. Trials are ignored."""
    run = live_run(campaign.pk)
    return None if run is None or run.trial else run


def _unfinished(campaign: Campaign, run: Run) -> QuerySet[Delivery]:
    """Return the run's unfinished deliveries that decide the shown status: calls, or SMS in a campaign without calls."""
    return Delivery.objects.filter(
        purpose=Purpose.CAMPAIGN,
        batch=run.pk,
        channel=Channel.CALL if Service(campaign.service).calls else Channel.SMS,
        status__lt=FINAL,
    )


def _untouched(run: Run) -> Q:
    """Return `_is_untouched` as a query condition."""
    if run.filled_at is not None:
        return Q(pk__in=[])
    chosen = Q(pk__gt=run.cursor, pk__lte=run.last_recipient)
    if run.statuses is not None:
        chosen &= Q(status__in=run.statuses)
    if run.individual is not None:
        chosen &= Q(pk__in=run.individual)
    return chosen


def _state(recipient: Recipient, run: Run | None, under_way: _Try | None) -> RecipientState:
    status = None if recipient.status is None else DeliveryStatus(recipient.status)
    state = RecipientState(
        recipient, status, recipient.seconds, recipient.playback, recipient.credits, recipient.attempts
    )
    if run is not None and under_way is not None:
        return replace(state, **_moving(run, under_way))
    if run is not None and _is_untouched(recipient, run):
        return replace(state, **_resting(run))
    return state


def _moving(run: Run, under_way: _Try) -> dict[str, Any]:
    """Return what is shown of a recipient with an unfinished delivery."""
    now = timezone.now()
    due = under_way.due if under_way.is_queued else None
    between = under_way.is_queued and under_way.number > 1
    shown = BETWEEN_TRIES if between else None if under_way.is_queued else DeliveryStatus(under_way.status)
    return {
        "status": shown,
        "seconds": None,
        "playback": None,
        "attempts": under_way.number - under_way.is_queued if "retry" in run.rules else None,
        "next_try_at": due if due is not None and (between or due > now) else None,
    }


def _resting(run: Run) -> dict[str, Any]:
    """Return what is shown of a recipient for whom the run has not queued anything yet."""
    return {
        "status": DeliveryStatus.TERMINATED if run.status == RunStatus.STOPPING else None,
        "seconds": None,
        "playback": None,
        "attempts": 0 if "retry" in run.rules else None,
        "next_try_at": None,
    }


def _is_untouched(recipient: Recipient, run: Run) -> bool:
    """Return whether `Run.untouched` would include the recipient, without a query."""
    return (
        run.filled_at is None
        and run.cursor < recipient.pk <= run.last_recipient
        and (run.statuses is None or recipient.status in run.statuses)
        and (run.individual is None or recipient.pk in run.individual)
    )
