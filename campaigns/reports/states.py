"""Reads that span campaigns, runs and deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

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
    run = live_run(campaign.pk)
    if run is not None and run.trial:
        run = None
    under_way: dict[int, int] = {}
    if run is not None:
        under_way = dict(
            Delivery.objects.filter(
                purpose=Purpose.CAMPAIGN,
                batch=run.pk,
                channel=Channel.CALL if Service(campaign.service).calls else Channel.SMS,
                item__in=[recipient.pk for recipient in recipients],
                status__lt=FINAL,
            ).values_list("item", "status")
        )
    return [_state(recipient, run, under_way.get(recipient.pk)) for recipient in recipients]


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
