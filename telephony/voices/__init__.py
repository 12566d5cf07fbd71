"""Voices: what `np_rija` is, and making it say something.

The catalogue is `settings.IRIS_VOICES`: `{name: {"engine": …, "display": …, "language": …, and what that
engine wants to know}}`. Whatever is said is synthesized once and stored (`telephony.models.Audio`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from iris.errors import InvalidInput
from telephony.models import Audio
from telephony.voices import audio, store
from telephony.voices.engine import Engine, Pcm, Unspeakable
from telephony.voices.wording import spoken_form

__all__ = ["Unspeakable", "UnknownVoice", "Voice", "catalogue", "faults", "resolve", "speak", "speak_many"]

ENGINES = {"espeak": "telephony.voices.espeak.Espeak"}

DEFAULT = "np_rija"
ALIASES = {"np_prashanna": "np_prasanna"}  # sic: both spellings are documented

SLOWEST, FASTEST = 0.5, 2.0
AT_ONCE = 1000  # texts looked up and recorded by one statement


class UnknownVoice(InvalidInput):
    """Nobody here has this voice."""

    default_code = "unknown_voice"


@dataclass(frozen=True, slots=True)
class Voice:
    name: str
    display: str
    language: str
    engine: str
    options: Mapping[str, Any]


def catalogue() -> dict[str, Voice]:
    """The voices there are, by name, in the operator's order."""
    voices = {}
    for name, entry in settings.IRIS_VOICES.items():
        options = {key: value for key, value in entry.items() if key not in {"engine", "display", "language"}}
        voices[name] = Voice(
            name=name,
            display=entry.get("display", name),
            language=entry.get("language", "ne"),
            engine=entry.get("engine", ""),
            options=options,
        )
    return voices


def faults() -> Iterator[str]:
    """What is wrong with settings.IRIS_VOICES: a sentence for each voice that would not speak."""
    if not settings.IRIS_VOICES:
        yield "IRIS_VOICES has no voice."
    for name in settings.IRIS_VOICES:
        voice = catalogue()[name]
        if voice.engine not in ENGINES:
            yield f"IRIS_VOICES[{name!r}]: the engine is {voice.engine!r}; there are: {', '.join(ENGINES)}."
            continue
        try:
            _engine(voice.engine).check(language=voice.language, options=voice.options)
        except ValueError as error:
            yield f"IRIS_VOICES[{name!r}]: {error}"


def resolve(name: str | None) -> str:
    """The name of a voice as it is stored; the default voice when none is named. Raises UnknownVoice."""
    voices = catalogue()
    asked = str(name or "").strip().lower()
    if not asked:
        return DEFAULT if DEFAULT in voices else next(iter(voices))
    for known in (asked, ALIASES.get(asked, "")):
        if known in voices:
            return known
    raise UnknownVoice(f"There is no voice {asked[:50]!r}. Choose one of: {', '.join(voices)}.")


def speak(*, text: str, voice: str | None = None, speed: float = 1.0) -> Audio:
    """The recording of this text, spoken now unless it was before. `speed` 1 is the voice's own pace.

    Raises UnknownVoice, Unspeakable, and InvalidInput for a speed out of bounds.
    """
    speaker = _speaker(voice, speed)
    said = spoken_form(text, language=speaker.language)
    name = _name(speaker, speed, said)
    return _recordings(speaker, speed, {name: said}, strict=True)[name]


def speak_many(texts: Iterable[str], voice: str | None = None, speed: float = 1.0) -> dict[str, Audio]:
    """The recordings of many texts, by text. What cannot be spoken is missing: one must not stop the others.

    Costs three statements a thousand texts. Call it outside the transaction that uses the result: speaking
    takes time, and a recording is of use whatever becomes of that transaction.
    """
    speaker = _speaker(voice, speed)
    recordings: dict[str, Audio] = {}
    waiting = list(dict.fromkeys(texts))
    for start in range(0, len(waiting), AT_ONCE):
        names: dict[str, str] = {}
        wanted: dict[str, str] = {}
        for text in waiting[start : start + AT_ONCE]:
            try:
                said = spoken_form(text, language=speaker.language)
            except Unspeakable:
                continue
            names[text] = name = _name(speaker, speed, said)
            wanted[name] = said
        found = _recordings(speaker, speed, wanted, strict=False)
        recordings.update((text, found[name]) for text, name in names.items() if name in found)
    return recordings


def _speaker(voice: str | None, speed: float) -> Voice:
    if not SLOWEST <= speed <= FASTEST:
        raise InvalidInput(f"The speed of a voice must be from {SLOWEST:g} to {FASTEST:g}; it is {speed}.")
    return catalogue()[resolve(voice)]


def _name(speaker: Voice, speed: float, said: str) -> str:
    """Equal for what sounds the same: the settings of the voice count, and not its name in the catalogue."""
    version = _engine(speaker.engine).version(speaker.options)
    return store.keyed_name(
        "speech", speaker.engine, version, speaker.language, speaker.options, round(float(speed), 3), said
    )


def _recordings(speaker: Voice, speed: float, wanted: Mapping[str, str], *, strict: bool) -> dict[str, Audio]:
    """The recordings of texts, by the names they must have. What is missing is spoken.

    The file comes first and the row second, so a row always has its file. Of two processes that speak the
    same text at the same moment one finds the other's row, and both wrote equally good files.
    """
    found: dict[str, Audio] = Audio.objects.in_bulk(list(wanted), field_name="name")
    made = []
    # Sorted, so that two processes insert the same names in the same order and cannot block each other.
    for name in sorted(name for name in wanted if name not in found or store.lost(name)):
        try:
            pcm = _synthesized(speaker, speed, wanted[name])
        except Unspeakable:
            if strict:
                raise
            continue
        store.write(name, "wav", audio.wav(pcm))
        made.append(Audio(name=name, seconds=pcm.seconds, voice=speaker.name))
    if made:
        Audio.objects.bulk_create(made, ignore_conflicts=True)
        found |= Audio.objects.in_bulk([recording.name for recording in made], field_name="name")
    return found


def _synthesized(speaker: Voice, speed: float, said: str) -> Pcm:
    pcm = _engine(speaker.engine).synthesize(
        said,
        language=speaker.language,
        options=speaker.options,
        speed=speed,
        max_seconds=settings.IRIS_MAX_AUDIO_SECONDS,
    )
    if not pcm.samples.strip(b"\0"):
        raise Unspeakable(f"The voice {speaker.name} cannot read this message. Write it in its language.")
    return audio.for_telephone(pcm)


@cache
def _engine(name: str) -> Engine:
    if name not in ENGINES:
        raise ImproperlyConfigured(f"IRIS_VOICES names the engine {name!r}; there are: {', '.join(ENGINES)}.")
    engine: Engine = import_string(ENGINES[name])()
    return engine
