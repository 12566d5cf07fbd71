"""Reads that span campaigns, runs and deliveries."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Q, QuerySet

from campaigns.models import Campaign, Recipient, Run, RunStatus, Service
from campaigns.runs.lifecycle import live_run
from telephony.models import FINAL, Channel, Delivery, DeliveryStatus, Purpose


@dataclass(frozen=True, slots=True)
class RecipientState:
    """How a recipient stands now. `status` None: not started in the present run, or never."""

    recipient: Recipient
    status: DeliveryStatus | None
    seconds: float | None
    playback: int | None
    credits: Decimal


def states_of(campaign: Campaign, recipients: Sequence[Recipient]) -> list[RecipientState]:
    """The state of each recipient; two queries, however many."""
    run = _shown_run(campaign)
    under_way: dict[int, int] = {}
    if run is not None:
        ids = [recipient.pk for recipient in recipients]
        under_way = dict(_unfinished(campaign, run).filter(item__in=ids).values_list("item", "status"))
    return [_state(recipient, run, under_way.get(recipient.pk)) for recipient in recipients]


def are_stored_on_recipients(campaign: Campaign, statuses: Set[DeliveryStatus | None]) -> bool:
    """Whether all of these are statuses of recipients who were not reached, and nobody has one now whose row says otherwise:
    those whom a run that is being stopped will not reach are shown as `terminated` before their rows are.
    """
    if not statuses or not all(
        status is not None and status > DeliveryStatus.COMPLETED for status in statuses
    ):
        return False
    run = _shown_run(campaign) if DeliveryStatus.TERMINATED in statuses else None
    return run is None or run.status != RunStatus.STOPPING


def has_status(campaign: Campaign, statuses: Set[DeliveryStatus | None], *, ids: tuple[int, int]) -> Q:
    """The condition that a recipient has one of these statuses now, as `states_of` says it. Of the recipients whose ids are
    from the first of `ids` on and below the second; it says nothing of others.
    """
    run = _shown_run(campaign)
    ended = Q(status__in=[status for status in statuses if status is not None])
    if None in statuses:
        ended |= Q(status=None)
    if run is None:
        return ended
    unfinished = _unfinished(campaign, run).filter(item__gte=ids[0], item__lt=ids[1])
    # A queued delivery has not started. Whoever looks for “queued” alone finds nothing, as nothing shows it.
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
    """The live run that the recipients show; a trial is not shown."""
    run = live_run(campaign.pk)
    return None if run is None or run.trial else run


def _unfinished(campaign: Campaign, run: Run) -> QuerySet[Delivery]:
    """The deliveries under way in this run that the recipients show: calls, or the SMS where nobody is called."""
    return Delivery.objects.filter(
        purpose=Purpose.CAMPAIGN,
        batch=run.pk,
        channel=Channel.CALL if Service(campaign.service).calls else Channel.SMS,
        status__lt=FINAL,
    )


def _untouched(run: Run) -> Q:
    """`_is_untouched` as a condition."""
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
    """`Run.untouched`, asked of one recipient in memory."""
    return (
        run.filled_at is None
        and run.cursor < recipient.pk <= run.last_recipient
        and (run.statuses is None or recipient.status in run.statuses)
        and (run.individual is None or recipient.pk in run.individual)
    )
