"""Send the SMS of large runs to the account's seed numbers, too, spread over the run.

These SMS belong to no recipient, so they are in none of the campaign's totals. Each has a hold of its own.
"""

from __future__ import annotations

import logging

from django.conf import settings
from django.db import transaction
from django.db.models import Min

from accounts.credits import InsufficientCredits
from campaigns.messages import MessageTemplate, parse_message
from campaigns.models import Recipient, Run, RunStatus, Service
from campaigns.runs.delivery_requests import Addressee, Terms
from campaigns.runs.prices import RunPrices
from iris.errors import IrisError
from telephony.engine.enqueue import DeliveryRequest
from telephony.models import Channel, Purpose
from telephony.seeds import numbers as seeds
from telephony.segments import segments_of

log = logging.getLogger(__name__)


def send_due(run: Run, *, cursor: int) -> None:
    """Queue the SMS to seed numbers that are due when a run has queued its recipients up to `cursor`.

    The first seed number gets its SMS at the beginning of the run, and the others follow at equal distances. Nothing is sent
    if the account cannot pay, or if the run no longer runs. Errors must not stop the run, so they are logged.
    """
    if not _has_seeds(run):
        return
    try:
        numbers = seeds.numbers_of(run.campaign.owner_id)
        if not numbers:
            return
        sent = seeds.sent_to(run.pk)
        for place in sorted(_due_places(run, len(numbers), cursor) - sent.keys()):
            if numbers[place] not in sent.values():  # the numbers may have changed their places since
                _send(run, place, numbers[place])
    except IrisError as error:
        log.warning("The SMS of run %d to seed numbers are not sent: %s", run.pk, error)


def _has_seeds(run: Run) -> bool:
    above: int = settings.IRIS_SEEDS_ABOVE
    return Service(run.campaign.service).texts and not run.trial and run.recipient_count > above


def _due_places(run: Run, count: int, cursor: int) -> set[int]:
    """Return the places of the seed numbers whose part of the run has begun. The ids of recipients stand for their order."""
    first = Recipient.objects.filter(campaign=run.campaign_id).aggregate(first=Min("pk"))["first"] or 0
    return {
        place for place in range(count) if first + place * (run.last_recipient - first) // count <= cursor
    }


def _send(run: Run, place: int, number: str) -> None:
    with transaction.atomic():
        # With this lock, a stop ends this SMS, too, or prevents it.
        running = Run.objects.select_for_update(no_key=True).filter(pk=run.pk, status=RunStatus.RUNNING)
        if running.first() is None:
            return
        request = _request(run, place, number)
        if request.cause:
            return
        try:
            seeds.send(account=run.campaign.owner, request=request)
        except InsufficientCredits:
            log.info("The account has no credits for the SMS of run %d to seed number %d", run.pk, place + 1)


def _request(run: Run, place: int, number: str) -> DeliveryRequest:
    message = parse_message(run.sms_message)
    text = message.render(_names_of_tags(message))
    price = RunPrices(run).of_sms(number, segments_of(text))
    seed = Addressee(seeds.item_of(run.pk, place), number, {})
    return Terms.of(run, Channel.SMS, purpose=Purpose.SEED).request(seed, text, None, price)


def _names_of_tags(message: MessageTemplate) -> dict[str, str]:
    """Return each tag's name as its value: seed numbers get no data of other people."""
    return {name: name.removeprefix("tags_") for name in message.tags}
