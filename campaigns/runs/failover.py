"""Send an SMS after a missed call."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from campaigns.models import Recipient, Run, RunStatus
from campaigns.runs import delivery_requests
from iris.errors import Unavailable
from telephony.engine import lifecycle as deliveries
from telephony.engine.enqueue import enqueue
from telephony.engine.lifecycle import Changed
from telephony.models import Channel

log = logging.getLogger(__name__)


def send_sms_after_missed_calls(ended: Sequence[Changed], runs: Mapping[int, Run]) -> None:
    """Queue an SMS for each call that ended for good with one of its run's failover statuses.

    Call it in the transaction that ended the calls, with the runs that go on, locked (`outcomes`).
    """
    for run in runs.values():
        missed = [
            one.item
            for one in ended
            if one.batch == run.pk and one.channel is Channel.CALL and one.status in run.failover_statuses
        ]
        if missed:
            send_sms(run, missed)


def send_sms(run: Run, recipients: Sequence[int]) -> None:
    """Queue the SMS of a run to recipients whom its calls have not reached. One that was queued before is not repeated.

    Call it as `send_sms_after_missed_calls`.
    """
    run.caller = delivery_requests.caller_of(run)
    addressees = delivery_requests.addressees(Recipient.objects.filter(pk__in=recipients))
    try:
        ids = enqueue(requests=delivery_requests.sms_requests(run, addressees))
    except Unavailable as e:  # the end of the calls must still be stored
        log.error("Run %d: no SMS could be queued after its missed calls: %s", run.pk, e)
        return
    if run.status == RunStatus.PAUSED:
        deliveries.pause_deliveries(ids)
