"""Read the current state of recipients from their rows, their campaign's run and its deliveries."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Q, QuerySet

from campaigns.models import Campaign, Recipient, Run, RunStatus, Service
from campaigns.runs.run_statuses import live_run
from telephony.models import FINAL, Channel, Delivery, DeliveryStatus, Purpose


@dataclass(frozen=True, slots=True)
class RecipientState:
    """The current state of a recipient. A `status` of None means not started, in the live run or at all."""

    recipient: Recipient
    status: DeliveryStatus | None
    seconds: float | None
    playback: int | None
    credits: Decimal


def states_of(campaign: Campaign, recipients: Sequence[Recipient]) -> list[RecipientState]:
    """Return the state of each recipient, with two queries in total."""
    run = _shown_run(campaign)
    under_way: dict[int, int] = {}
    if run is not None:
        ids = [recipient.pk for recipient in recipients]
        under_way = dict(_unfinished(campaign, run).filter(item__in=ids).values_list("item", "status"))
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
    # A recipient with a queued delivery is shown as not started (None). “Queued” is never shown, so this status matches
    # nobody.
    moving = {DeliveryStatus.QUEUED if status is None else status for status in statuses}
    if None not in statuses:
        moving.discard(DeliveryStatus.QUEUED)
    is_moving = Q(pk__in=unfinished.values("item"))
    untouched = _untouched(run)
    untouched_status = DeliveryStatus.TERMINATED if run.status == RunStatus.STOPPING else None
    resting = ended & ~untouched
    if untouched_status in statuses:
        resting |= untouched
    return Q(pk__in=unfinished.filter(status__in=moving).values("item")) | (resting & ~is_moving)


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


def _state(recipient: Recipient, run: Run | None, under_way: int | None) -> RecipientState:
    status = None if recipient.status is None else DeliveryStatus(recipient.status)
    seconds, playback = recipient.seconds, recipient.playback
    if run is not None and under_way is not None:
        queued = under_way == DeliveryStatus.QUEUED
        status, seconds, playback = None if queued else DeliveryStatus(under_way), None, None
    elif run is not None and _is_untouched(recipient, run):
        stopping = run.status == RunStatus.STOPPING
        status, seconds, playback = DeliveryStatus.TERMINATED if stopping else None, None, None
    return RecipientState(recipient, status, seconds, playback, recipient.credits)


def _is_untouched(recipient: Recipient, run: Run) -> bool:
    """Return whether `Run.untouched` would include the recipient, without a query."""
    return (
        run.filled_at is None
        and run.cursor < recipient.pk <= run.last_recipient
        and (run.statuses is None or recipient.status in run.statuses)
        and (run.individual is None or recipient.pk in run.individual)
    )
