"""A running run keeps a small stock of queued deliveries ahead of its trunk: the hopper.

Recipients are taken by the order of their ids. Inserting their deliveries and moving the run's cursor is one
transaction, so no crash can skip or repeat anyone; the cursor is compared before, so two fillers cannot either.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from decimal import Decimal

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from campaigns import lifecycle
from campaigns.messages import parse_message
from campaigns.models import Recipient, Run, RunStatus, Service, Source
from telephony import voices
from telephony.failpoints import failpoint
from telephony.lifecycle import QUEUED
from telephony.models import Audio, Channel, Purpose
from telephony.orders import Order, enqueue
from telephony.pricing import call_credits, sms_credits
from telephony.segments import segments_of

PRIORITY = 10  # OTPs have 0
IDLE = 0.05  # seconds between two looks at full hoppers
SPEECH_CHUNK = (
    200  # recipients whose speech is made at once, so that the first calls need not wait for the last
)

CHANNELS = {Service.CALL: Channel.CALL, Service.SMS: Channel.SMS}


def fill_all(*, budget: float) -> bool:
    """Keep every running run's hopper full until all are filled for good or `budget` seconds are over.

    Returns whether some run still has recipients to take.
    """
    end = time.monotonic() + budget
    while True:
        unfilled = list(
            Run.objects.filter(status__in=[RunStatus.RUNNING, RunStatus.STOPPING], filled_at__isnull=True)
            .order_by("pk")
            .values_list("pk", "status")
        )
        if not unfilled:
            return False
        moved = [
            lifecycle.terminate_untouched(pk) if status == RunStatus.STOPPING else fill(pk) > 0
            for pk, status in unfilled
        ]
        if time.monotonic() >= end:
            return True
        if not any(moved):
            time.sleep(IDLE)


def fill(run_id: int) -> int:
    """Queue the deliveries of a run's next recipients, as many as its hopper has room for; how many."""
    run = Run.objects.select_related("campaign", "audio").get(pk=run_id)
    stock = queued_count(run)
    room = settings.IRIS_HOPPER_SIZE - stock
    if room < settings.IRIS_HOPPER_SIZE / 2 and stock > 0:
        return 0
    speaks = run.campaign.service == Service.CALL and run.source == Source.MESSAGE
    limit = min(room, SPEECH_CHUNK) if speaks else room
    recipients = list(run.untouched().only("pk", "to", "tags")[:limit])
    orders = _orders(run, recipients)
    failpoint("rendered")
    with transaction.atomic():
        # Speech was made outside: it takes time. Whoever filled, stopped or paused this run meanwhile has won.
        moved = Run.objects.filter(
            pk=run.pk, status=RunStatus.RUNNING, cursor=run.cursor, filled_at=None
        ).update(
            cursor=recipients[-1].pk if recipients else run.last_recipient,
            filled_at=timezone.now() if len(recipients) < limit else None,
        )
        if not moved:
            return 0
        enqueue(orders=orders)
        failpoint("filling")
    failpoint("filled")
    return len(orders)


def queued_count(run: Run) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) FROM telephony_delivery WHERE purpose = %s AND batch = %s AND status = {QUEUED}",
            [Purpose.CAMPAIGN.value, run.pk],
        )
        count: int = cursor.fetchone()[0]
        return count


def _orders(run: Run, recipients: Sequence[Recipient]) -> list[Order]:
    channel = CHANNELS[Service(run.campaign.service)]
    contents = _contents(run, channel, recipients)
    return [
        Order(
            owner_id=run.campaign.owner_id,
            channel=channel,
            to=recipient.to,
            purpose=Purpose.CAMPAIGN,
            batch=run.pk,
            item=recipient.pk,
            priority=PRIORITY,
            text=text,
            audio_id=audio.pk if audio else None,
            caller=run.caller,
            hold_id=run.hold_id,
            credit_limit=min(cost, run.credit_limit),
        )
        for recipient, (text, audio, cost) in zip(recipients, contents, strict=True)
    ]


def _contents(
    run: Run, channel: Channel, recipients: Sequence[Recipient]
) -> list[tuple[str, Audio | None, Decimal]]:
    """What each recipient is told, and what that costs when all of it is delivered."""
    if run.source == Source.AUDIO:
        assert run.audio is not None
        return [("", run.audio, call_credits(run.audio.seconds))] * len(recipients)
    message = parse_message(run.message)
    texts = [message.render(recipient.tags) for recipient in recipients]
    if channel is Channel.CALL:
        spoken = voices.speak_many(texts, voice=run.voice)
        return [
            (text, spoken[text], call_credits(spoken[text].seconds))
            if text in spoken
            else (text, None, Decimal(0))
            for text in texts
        ]
    costs = {text: sms_credits(segments_of(text)) for text in set(texts)}
    return [(text, None, costs[text]) for text in texts]
