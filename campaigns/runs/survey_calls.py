"""Render and price the survey calls of a run, as `delivery_requests` does for other calls.

All steps are joined into one recording, each followed by its time for a response. A call script has the times at which each
step begins and ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from django.conf import settings

from campaigns.messages import check_length, check_tags, parse_message
from campaigns.models import Answer, Campaign, Run, Service, StepKind, SurveyStep
from campaigns.runs import delivery_requests
from campaigns.runs.call_length import Bounds, Speaking
from campaigns.runs.delivery_requests import Addressee, Terms
from campaigns.runs.opt_out_hint import hint_in
from campaigns.runs.prices import RunPrices
from campaigns.tag_sizes import TagSize
from iris.errors import InvalidInput
from telephony import speech
from telephony.call_scripts import ANNOUNCEMENT, AnsweredBy, ScriptStep
from telephony.engine.enqueue import DeliveryRequest
from telephony.models import Audio, Channel
from telephony.speech.concatenation import join, silence

# Seconds after each step, by the kind of response: to press keys, to speak, or as a short pause before the next step.
RESPONSE_SECONDS = {Answer.KEYS: 5.0, Answer.SPEECH: 10.0, Answer.NONE: 0.5}
# Spoken at the beginning of a call that records answers, by the language of its voice.
ANNOUNCEMENTS = {"ne": "तपाईंका जवाफहरू रेकर्ड गरिनेछन्।", "en": "Your answers will be recorded."}


class RenderedStep(NamedTuple):
    """The text and the recording of one step for one recipient."""

    step: SurveyStep
    text: str
    audio: Audio


def records(campaign: Campaign) -> bool:
    """Return whether the calls of a campaign record what recipients say."""
    return (
        campaign.service == Service.SURVEY
        and SurveyStep.objects.asked_by(campaign).filter(answer=Answer.SPEECH).exists()
    )


def _announcement(voice: str, speed: float) -> tuple[str, Audio]:
    """Return the announcement that answers are recorded: its text in the language of the voice, and its recording."""
    known = speech.catalogue().get(voice)
    text = ANNOUNCEMENTS.get(known.language if known else "", ANNOUNCEMENTS["ne"])
    return text, speech.speak(text=text, voice=voice, speed=speed)


def requests_for(run: Run, recipients: Sequence[Addressee]) -> list[DeliveryRequest]:
    """One call for each recipient."""
    steps = SurveyStep.objects.asked_by(run.campaign)
    heard: list[list[RenderedStep]] = [[] for _ in recipients]
    for step in steps:
        for row, (text, audio) in zip(heard, _render_step(run, step, recipients), strict=True):
            if audio is not None:  # None if the step's text cannot be spoken for this recipient
                row.append(RenderedStep(step, text, audio))
    pauses = {answer: silence(seconds) for answer, seconds in RESPONSE_SECONDS.items()}
    rows = [[part for one in row for part in (one.audio, pauses[Answer(one.step.answer)])] for row in heard]
    prices = RunPrices(run)
    announced: tuple[ScriptStep, ...] = ()
    said: list[str] = []
    if run.announces_recording:
        text, audio = _announcement(run.voice, float(run.speed))
        before, said = [audio, pauses[Answer.NONE]], [text]
        rows = [[*before, *row] for row in rows]
        announced = (ScriptStep(ANNOUNCEMENT, sum(part.seconds for part in before), AnsweredBy.NOTHING),)
    offered: tuple[ScriptStep, ...] = ()
    hinted: list[str] = []
    most = float(settings.IRIS_MAX_AUDIO_SECONDS)
    if run.offers_opt_out:
        hint = hint_in(run.voice, float(run.speed))
        rows = [[*row, *hint.parts] if row else row for row in rows]
        offered, hinted, most = (hint.step,), [hint.text], most + hint.seconds
    made, terms = [], Terms.of(run, Channel.CALL)
    for recipient, row, audio in zip(recipients, heard, join(rows), strict=True):
        if audio is not None and audio.seconds > most:
            audio = None
        made.append(
            delivery_requests.call_request(
                terms,
                prices,
                recipient,
                "\n".join([*said, *(one.text for one in row if one.text), *hinted]),
                audio,
                script=(
                    *announced,
                    *(_script_step(one, pauses[Answer(one.step.answer)]) for one in row),
                    *offered,
                ),
            )
        )
    return made


def prepare_calls(run: Run, recipients: Sequence[Addressee]) -> None:
    """Synthesize the speech for these recipients ahead of time."""
    for step in SurveyStep.objects.asked_by(run.campaign):
        if not step.plays:
            delivery_requests.prepare(run, parse_message(step.text), recipients)


def max_seconds(
    campaign: Campaign,
    speaking: Speaking,
    *,
    sizes: Mapping[str, TagSize],
    announces_recording: bool = False,
) -> float:
    """Return the maximum length of one call in seconds, including the announcement that answers are recorded.

    Raises InvalidInput if the survey has no steps, if a step has no content, or if the steps are too long without any tag.
    """
    steps = list(SurveyStep.objects.asked_by(campaign))
    if not steps:
        raise InvalidInput("This survey has no steps. Give it some before you run it.", code="no_steps")
    bounds = [
        _bounds(campaign, step, place, speaking, sizes=sizes) for place, step in enumerate(steps, start=1)
    ]
    if announces_recording:
        _, audio = _announcement(speaking.voice, speaking.speed)
        seconds = audio.seconds + RESPONSE_SECONDS[Answer.NONE]
        bounds.append(Bounds(seconds, seconds))
    least = sum(one.least for one in bounds)
    if least > settings.IRIS_MAX_AUDIO_SECONDS:
        raise InvalidInput(
            f"With the time for answers this survey takes {least:.0f} seconds; at most"
            f" {settings.IRIS_MAX_AUDIO_SECONDS:g} are allowed. Shorten its steps.",
            code="survey_too_long",
        )
    return min(sum(one.most for one in bounds), settings.IRIS_MAX_AUDIO_SECONDS)


def _bounds(
    campaign: Campaign, step: SurveyStep, place: int, speaking: Speaking, *, sizes: Mapping[str, TagSize]
) -> Bounds:
    """Return the seconds of a step, including the time for a response."""
    time = RESPONSE_SECONDS[Answer(step.answer)]
    if step.plays:
        assert step.audio is not None
        return Bounds(step.audio.seconds + time, step.audio.seconds + time)
    if not step.text.strip() or step.kind == StepKind.PLAY:
        plays = step.kind == StepKind.PLAY
        missing = "recording: upload one" if plays else "text: write the text that it speaks"
        raise InvalidInput(f"Step {place} has no {missing}, or omit the step.", code="empty_step")
    message = parse_message(step.text)
    try:
        check_tags(message, campaign.tags)
        check_length(message, {tag: entry.size for tag, entry in sizes.items()})
        least, most = speaking.bounds(message)
    except InvalidInput as error:
        raise InvalidInput(f"Step {place}: {error}", code=error.code) from error
    return Bounds(least + time, most + time)


def _render_step(
    run: Run, step: SurveyStep, recipients: Sequence[Addressee]
) -> Sequence[tuple[str, Audio | None]]:
    """Return text and recording of a step for each recipient. The text is empty if the step plays a recording."""
    if step.plays:
        return [("", step.audio)] * len(recipients)
    message = parse_message(step.text)
    texts = [message.render(recipient.tags) for recipient in recipients]
    return list(zip(texts, delivery_requests.spoken(run, message, recipients, texts), strict=True))


def _script_step(one: RenderedStep, pause: Audio) -> ScriptStep:
    answer = AnsweredBy(one.step.answer)
    return ScriptStep(one.step.pk, one.audio.seconds + pause.seconds, answer, listen_seconds=pause.seconds)
