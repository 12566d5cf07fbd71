"""Render the text or recording for each recipient of a run, and price it for telephony's queue."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import QuerySet

from campaigns.messages import MessageTemplate, parse_message
from campaigns.models import Recipient, Run, Service, Source
from telephony import speech
from telephony.call_scripts import Script
from telephony.engine.enqueue import DeliveryRequest
from telephony.models import Audio, Cause, Channel, Purpose
from telephony.pricing import call_credits, paid_seconds, sms_credits
from telephony.segments import segments_of

PRIORITY = 10  # OTPs have 0


class Addressee(NamedTuple):
    """The fields of a recipient that rendering needs. Creating model instances would take longer than the rendering."""

    pk: int
    to: str
    tags: dict[str, Any]


def addressees(recipients: QuerySet[Recipient]) -> list[Addressee]:
    return [Addressee(*row) for row in recipients.values_list("pk", "to", "tags")]


def requests_for(run: Run, recipients: Sequence[Addressee]) -> list[DeliveryRequest]:
    """Return the deliveries to queue for these recipients: a call, an SMS, or both for each."""
    service = Service(run.campaign.service)
    calls = call_requests(run, recipients) if service.calls else []
    return calls + (sms_requests(run, recipients) if service.texts else [])


def call_requests(run: Run, recipients: Sequence[Addressee]) -> list[DeliveryRequest]:
    if run.source == Source.AUDIO:
        assert run.audio is not None
        recorded = ("", run.audio, call_credits(run.audio.seconds))
        return [delivery_request(run, Channel.CALL, recipient, *recorded) for recipient in recipients]
    message = parse_message(run.message)
    texts = [message.render(recipient.tags) for recipient in recipients]
    made = []
    for recipient, text, audio in zip(
        recipients, texts, spoken(run, message, recipients, texts), strict=True
    ):
        made.append(delivery_request(run, Channel.CALL, recipient, text, audio, call_price(audio)))
    return made


def call_price(audio: Audio | None) -> Decimal:
    return call_credits(audio.seconds) if audio else Decimal(0)


def prepare_calls(run: Run, recipients: Sequence[Addressee]) -> None:
    """Synthesize the speech for these recipients ahead of time."""
    prepare(run, parse_message(run.message), recipients)


def prepare(run: Run, message: MessageTemplate, recipients: Sequence[Addressee]) -> None:
    if is_joined(run, message):
        fillings = [message.values(recipient.tags) for recipient in recipients]
        speech.prepare_filled(message.pattern, fillings, voice=run.voice, speed=float(run.speed))
    else:
        texts = {message.render(recipient.tags) for recipient in recipients}
        speech.speak_many(texts, voice=run.voice, speed=float(run.speed))


def is_joined(run: Run, message: MessageTemplate) -> bool:
    """Return whether recordings are joined from fragments. Whole sentences sound better, but each must be synthesized."""
    return bool(message.tags) and run.recipient_count > settings.IRIS_WHOLE_SENTENCES


def spoken(
    run: Run, message: MessageTemplate, recipients: Sequence[Addressee], texts: Sequence[str]
) -> Sequence[Audio | None]:
    """Return the recording for each recipient, given the rendered texts. None for a text that cannot be spoken."""
    if is_joined(run, message):
        fillings = [message.values(recipient.tags) for recipient in recipients]
        return speech.speak_filled(message.pattern, fillings, voice=run.voice, speed=float(run.speed))
    recordings = speech.speak_many(texts, voice=run.voice, speed=float(run.speed))
    return [recordings.get(text) for text in texts]


def sms_requests(run: Run, recipients: Sequence[Addressee]) -> list[DeliveryRequest]:
    message = parse_message(run.sms_message)
    texts = [message.render(recipient.tags) for recipient in recipients]
    costs = {text: sms_credits(segments_of(text)) for text in set(texts)}
    return [
        delivery_request(run, Channel.SMS, recipient, text, None, costs[text])
        for recipient, text in zip(recipients, texts, strict=True)
    ]


def delivery_request(
    run: Run,
    channel: Channel,
    recipient: Addressee,
    text: str,
    audio: Audio | None,
    cost: Decimal,
    *,
    script: Script = (),
) -> DeliveryRequest:
    """Return the delivery of a recipient. A call that lasts longer than its hold pays for will not be made."""
    return DeliveryRequest(
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
        credit_limit=min(cost, run.call_limit if channel is Channel.CALL else run.sms_limit),
        script=script,
        cause=Cause.TOO_LONG if _is_too_long(run, audio, cost) else Cause.NONE,
    )


def _is_too_long(run: Run, audio: Audio | None, cost: Decimal) -> bool:
    """Return whether a recording is longer than the run's hold pays for.

    The bound covers every text (`call_length`), so this happens only if the voice has changed since the run began, or
    if the bound is wrong. Prices may change during a run, so seconds are compared. Runs of the previous release have
    only the price.
    """
    if audio is None:
        return False
    return (
        cost > run.call_limit if run.call_seconds is None else paid_seconds(audio.seconds) > run.call_seconds
    )
