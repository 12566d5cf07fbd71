"""Render the text or recording for each recipient of a run, and price it for telephony's queue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import QuerySet

from campaigns.messages import MessageTemplate, parse_message
from campaigns.models import Recipient, Run, Service, Source
from campaigns.runs.prices import Price, RunPrices
from telephony import speech
from telephony.call_scripts import Script
from telephony.engine.enqueue import DeliveryRequest
from telephony.models import Audio, Channel, Purpose
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
    prices = RunPrices(run)
    if run.source == Source.AUDIO:
        assert run.audio is not None
        return [call_request(run, prices, recipient, "", run.audio) for recipient in recipients]
    message = parse_message(run.message)
    texts = [message.render(recipient.tags) for recipient in recipients]
    return [
        call_request(run, prices, recipient, text, audio)
        for recipient, text, audio in zip(
            recipients, texts, spoken(run, message, recipients, texts), strict=True
        )
    ]


def call_request(
    run: Run, prices: RunPrices, recipient: Addressee, text: str, audio: Audio | None, *, script: Script = ()
) -> DeliveryRequest:
    price = prices.of_call(recipient.to, audio.seconds if audio else None)
    return delivery_request(run, Channel.CALL, recipient, text, audio, price, script=script)


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
    sizes = {text: segments_of(text) for text in set(texts)}
    prices = RunPrices(run)
    return [
        delivery_request(run, Channel.SMS, recipient, text, None, prices.of_sms(recipient.to, sizes[text]))
        for recipient, text in zip(recipients, texts, strict=True)
    ]


def delivery_request(
    run: Run,
    channel: Channel,
    recipient: Addressee,
    text: str,
    audio: Audio | None,
    price: Price,
    *,
    script: Script = (),
) -> DeliveryRequest:
    """Return the delivery of a recipient."""
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
        credit_limit=price.limit,
        pulse_credits=price.pulse_credits,
        pulse_seconds=price.pulse_seconds,
        script=script,
        cause=price.cause,
    )
