"""Send an SMS after a missed call."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from campaigns.models import Recipient, Run, RunStatus
from campaigns.runs import delivery_requests
from iris.errors import Unavailable
from telephony.caller_id import choose_caller
from telephony.engine import lifecycle as deliveries
from telephony.engine.enqueue import enqueue
from telephony.engine.lifecycle import Changed
from telephony.models import Channel, Purpose

log = logging.getLogger(__name__)


def send_sms_after_missed_calls(changed: Sequence[Changed], **kwargs: Any) -> None:
    """Queue an SMS for each call that ended with one of its run's failover statuses.

    This is a receiver of `deliveries_changed`, and runs in the transaction that ended the call.
    """
    ended = [
        delivery
        for delivery in changed
        if delivery.purpose is Purpose.CAMPAIGN
        and delivery.is_final
        and delivery.channel is Channel.CALL
        and not delivery.is_late  # its end was announced when it counted as lost
    ]
    if not ended:
        return
    # The lock makes a concurrent stop, pause or resume wait. Each of them first changes the run, and then its queued
    # deliveries.
    runs = (
        Run.objects.select_for_update(of=("self",), no_key=True)
        .filter(
            pk__in={delivery.batch for delivery in ended}, status__in=[RunStatus.RUNNING, RunStatus.PAUSED]
        )
        .exclude(failover_statuses=[])
        .select_related("campaign")
        .order_by("pk")
    )
    for run in runs:
        missed = [d.item for d in ended if d.batch == run.pk and d.status in run.failover_statuses]
        recipients = delivery_requests.addressees(Recipient.objects.filter(pk__in=missed))
        if run.caller:  # the number may have been released since the run began
            run.caller = choose_caller(owner_id=run.campaign.owner_id, wanted=run.caller)
        try:
            ids = enqueue(requests=delivery_requests.sms_requests(run, recipients))
        except Unavailable as e:  # the end of the calls must still be stored
            log.error("Run %d: no SMS could be queued after its missed calls: %s", run.pk, e)
            continue
        if run.status == RunStatus.PAUSED:
            deliveries.pause_deliveries(ids)
