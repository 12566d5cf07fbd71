"""Render the text or recording for each recipient of a run, and price it for telephony's queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from campaigns.messages import MessageTemplate, parse_message
from campaigns.models import Recipient, Run, Service, Source
from campaigns.runs import heard_key
from campaigns.runs.opt_out_hint import with_hint
from campaigns.runs.prices import Price, RunPrices
from campaigns.runs.rules import rules_of
from telephony import speech
from telephony.call_scripts import Script
from telephony.caller_id import choose_caller
from telephony.engine.enqueue import DeliveryRequest
from telephony.models import Audio, Channel, Purpose
from telephony.segments import segments_of


class Addressee(NamedTuple):
    """The fields of a recipient that rendering needs. Creating model instances would take longer than the rendering."""

    pk: int
    to: str
    tags: dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """What the first tries of a run over one channel have in common that are requested now, whoever they reach."""

    run: Run
    channel: Channel
    purpose: Purpose
    priority: int
    not_before: datetime | None
    not_after: datetime | None
    tries_reserved: int
    past_opt_outs: bool

    @classmethod
    def of(cls, run: Run, channel: Channel, *, purpose: Purpose = Purpose.CAMPAIGN) -> Terms:
        """Return the terms of deliveries from now on, or from the next calling hours on."""
        rules = rules_of(run)
        now = timezone.now()
        window = rules.window(channel, now)
        return cls(
            run=run,
            channel=channel,
            purpose=purpose,
            priority=rules.priority,
            not_before=window.opens if window.opens > now else None,
            not_after=window.closes,
            tries_reserved=rules.paid_tries - 1 if channel is Channel.CALL else 0,
            past_opt_outs=rules.urgent is not None and rules.urgent.past_opt_outs,
        )

    def request(
        self, recipient: Addressee, text: str, audio: Audio | None, price: Price, *, script: Script = ()
    ) -> DeliveryRequest:
        """Return the first try to reach this recipient."""
        return DeliveryRequest(
            owner_id=self.run.campaign.owner_id,
            channel=self.channel,
            to=recipient.to,
            purpose=self.purpose,
            batch=self.run.pk,
            item=recipient.pk,
            priority=self.priority,
            text=text,
            audio_id=audio.pk if audio else None,
            caller=self.run.caller,
            hold_id=self.run.hold_id,
            credit_limit=price.limit,
            pulse_credits=price.pulse_credits,
            pulse_seconds=price.pulse_seconds,
            script=script,
            cause=price.cause,
            not_before=self.not_before,
            not_after=self.not_after,
            tries_reserved=self.tries_reserved,
            past_opt_outs=self.past_opt_outs,
        )


def caller_of(run: Run) -> str:
    """Return the number from which a run calls now. Its own may have been released since it began."""
    return choose_caller(owner_id=run.campaign.owner_id, wanted=run.caller) if run.caller else ""


def addressees(recipients: QuerySet[Recipient]) -> list[Addressee]:
    return [Addressee(*row) for row in recipients.values_list("pk", "to", "tags")]


def requests_for(run: Run, recipients: Sequence[Addressee]) -> list[DeliveryRequest]:
    """Return the deliveries to queue for these recipients: a call, an SMS, or both for each."""
    service = Service(run.campaign.service)
    calls = call_requests(run, recipients) if service.calls else []
    return calls + (sms_requests(run, recipients) if service.texts else [])


def call_requests(run: Run, recipients: Sequence[Addressee]) -> list[DeliveryRequest]:
    prices = RunPrices(run)
    texts, recordings = _said(run, recipients)
    calls: list[tuple[Audio | None, Script]] = [(audio, ()) for audio in recordings]
    if asks_if_heard(run):
        calls = heard_key.with_request(recordings, voice=run.voice, speed=float(run.speed))
    if run.offers_opt_out:
        hint, hinted = with_hint(run, [audio for audio, _ in calls])
        texts = [f"{text}\n{hint.text}".strip() for text in texts]
        # While an alert waits for its key, 9 is no opt-out.
        calls = [
            (audio, (*asked, *script[1:]) if asked else script)
            for (_, asked), (audio, script) in zip(calls, hinted, strict=True)
        ]
    terms = Terms.of(run, Channel.CALL)
    return [
        call_request(terms, prices, recipient, text, audio, script=script)
        for recipient, text, (audio, script) in zip(recipients, texts, calls, strict=True)
    ]


def asks_if_heard(run: Run) -> bool:
    """Return whether the calls of a run ask to press a key (`heard_key`)."""
    urgent = rules_of(run).urgent
    return urgent is not None and urgent.heard is not None


def _said(run: Run, recipients: Sequence[Addressee]) -> tuple[Sequence[str], Sequence[Audio | None]]:
    """Return the text and the recording of the message for each recipient. An uploaded recording has no text."""
    if run.source == Source.AUDIO:
        assert run.audio is not None
        return [""] * len(recipients), [run.audio] * len(recipients)
    message = parse_message(run.message)
    texts = [message.render(recipient.tags) for recipient in recipients]
    return texts, spoken(run, message, recipients, texts)


def call_request(
    terms: Terms,
    prices: RunPrices,
    recipient: Addressee,
    text: str,
    audio: Audio | None,
    *,
    script: Script = (),
) -> DeliveryRequest:
    price = prices.of_call(recipient.to, audio.seconds if audio else None)
    return terms.request(recipient, text, audio, price, script=script)


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
    prices, terms = RunPrices(run), Terms.of(run, Channel.SMS)
    return [
        terms.request(recipient, text, None, prices.of_sms(recipient.to, sizes[text]))
        for recipient, text in zip(recipients, texts, strict=True)
    ]
