"""Which voices there are: rows of `telephony.models.Voice`, edited in the admin pages.

`migrate` adds those of `settings.IRIS_VOICES` that are missing, and changes none that is there. A row without an
engine speaks as the settings say, so a new release, or the operator's IRIS_VOICES_FILE, can give a voice a better
engine; a row with one has its own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.utils.module_loading import import_string

from iris.errors import InvalidInput
from telephony.models import Voice as Row
from telephony.speech.engine import Engine

log = logging.getLogger(__name__)

ENGINES = {"espeak": "telephony.speech.espeak.Espeak", "piper": "telephony.speech.piper.Piper"}
FALLBACK = "espeak"
DEFAULT = "np_rija"

# What an entry of IRIS_VOICES says of the voice; all else is for its engine.
VOICE_FACTS = frozenset({"id", "display", "language", "api_name", "premium", "engine"})
FIRST_OWN_ID = 100  # smaller ids are for voices that iris comes with: the API promises them

FRESH_SECONDS = 5.0  # after which a change that another process made is seen


class UnknownVoice(InvalidInput):
    """Nobody here has this voice."""

    default_code = "unknown_voice"


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice as it is offered. `api_name` is not unique: v1 tells a plain and a premium Rija apart by `pk` only."""

    pk: int
    name: str
    api_name: str
    display: str
    language: str
    engine: str
    options: Mapping[str, Any]
    is_premium: bool


def catalogue() -> dict[str, Voice]:
    """The voices that are offered, by name, in the operator's order."""
    return {row.name: _voice(row) for row in _rows() if row.enabled}


def resolve(name: str | None) -> str:
    """The name of a voice as it is stored; the default voice when none is named. Raises UnknownVoice."""
    asked = str(name or "").strip().lower()
    voices = catalogue()
    if not asked and voices:
        return DEFAULT if DEFAULT in voices else next(iter(voices))
    if asked in voices:
        return asked
    premium = asked.endswith("(premium)")
    known = asked.removesuffix("(premium)").strip()
    for voice in voices.values():
        if voice.api_name == known and voice.is_premium == premium:
            return voice.name
    offered = ", ".join(voices) or "none, since the operator has enabled none"
    raise UnknownVoice(f"There is no voice {asked[:50]!r}. Choose one of: {offered}.")


def faults() -> Iterator[str]:
    """What is wrong with settings.IRIS_VOICES: a sentence for each voice that would not speak."""
    if not settings.IRIS_VOICES:
        yield "IRIS_VOICES has no voice."
    for name, entry in settings.IRIS_VOICES.items():
        engine, options = _by_settings(name)
        if fault := fault_of(engine, entry.get("language", "ne"), options):
            yield f"IRIS_VOICES[{name!r}]: {fault}"


def fault_of(engine: str, language: str, options: Mapping[str, Any]) -> str:
    """Why a voice with these settings cannot be made, "" when it can."""
    if engine not in ENGINES:
        return f"the engine is {engine!r}; there are: {', '.join(ENGINES)}."
    try:
        engine_called(engine).check(language=language, options=options)
        if engine != FALLBACK:
            engine_called(FALLBACK).check(language=language, options=options.get("fallback", {}))
    except ValueError as error:
        return str(error)
    return ""


def missing() -> Iterator[str]:
    """For each voice of the settings whose engine is not installed yet: what to put where."""
    for name in settings.IRIS_VOICES:
        engine, options = _by_settings(name)
        if engine in ENGINES and (what := engine_called(engine).missing(options)):
            yield _instead(name, what)


def faults_of_rows() -> Iterator[str]:
    """As `faults`, of the voices that have an engine of their own in the database."""
    for row in Row.objects.exclude(engine=""):
        if fault := fault_of_row(row):
            yield f"The voice {row.name}: {fault}"


def missing_of_rows() -> Iterator[str]:
    for row in Row.objects.exclude(engine=""):
        if not fault_of_row(row) and (what := engine_of(row)[1]):
            yield _instead(row.name, what)


def fault_of_row(row: Row) -> str:
    if not isinstance(row.options, dict):
        return 'options must be an object, such as {"pitch": 50}.'
    voice = _voice(row)
    return fault_of(voice.engine, voice.language, voice.options)


def engine_of(row: Row) -> tuple[str, str]:
    """The engine of a voice, and what has to be installed for it, "" when nothing."""
    voice = _voice(row)
    return voice.engine, engine_called(voice.engine).missing(voice.options) if voice.engine in ENGINES else ""


def _instead(name: str, what: str) -> str:
    return f"The voice {name} is spoken by {FALLBACK} for now. {what}"


def known(name: str | None) -> str:
    """As `resolve`, but a run that was begun with a voice keeps it although it is not offered any more."""
    return name if name and any(row.name == name for row in _rows()) else resolve(name)


def effective(name: str) -> Voice:
    """The voice with the engine that speaks for it now: espeak while its own is not installed."""
    voice = next(_voice(row) for row in _rows() if row.name == name)
    engine = engine_called(voice.engine)
    if voice.engine == FALLBACK or not (what := engine.missing(voice.options)):
        return voice
    _say_once(_instead(name, what))
    return replace(voice, engine=FALLBACK, options=voice.options.get("fallback", {}))


@cache
def engine_called(name: str) -> Engine:
    if name not in ENGINES:
        raise ImproperlyConfigured(f"A voice names the engine {name!r}; there are: {', '.join(ENGINES)}.")
    engine: Engine = import_string(ENGINES[name])()
    return engine


@cache
def _say_once(sentence: str) -> None:
    log.warning(sentence)


def _by_settings(name: str) -> tuple[str, dict[str, Any]]:
    entry = settings.IRIS_VOICES.get(name, {})
    return entry.get("engine", ""), {key: value for key, value in entry.items() if key not in VOICE_FACTS}


def _voice(row: Row) -> Voice:
    engine, options = (row.engine, row.options) if row.engine else _by_settings(row.name)
    return Voice(
        pk=row.pk,
        name=row.name,
        api_name=row.api_name,
        display=row.display,
        language=row.language,
        engine=engine or FALLBACK,
        options=options,
        is_premium=row.is_premium,
    )


# Five rows that hardly ever change: read again every few seconds, so that no process needs to be told.
_kept: tuple[float, list[Row]] | None = None


def _rows() -> list[Row]:
    global _kept
    kept = _kept
    if kept is None or time.monotonic() > kept[0] + FRESH_SECONDS:
        kept = _kept = (time.monotonic(), list(Row.objects.all()))
    return kept[1]


def forget(**_: Any) -> None:
    """Read the rows again when they are next asked for. Receiver of a voice's saving and deletion."""
    global _kept
    _kept = None


def seed(using: str = "default", apps: Any = None, **_: Any) -> None:
    """Adds the voices of the settings that are not in the catalogue. Receiver of `post_migrate`."""
    if apps is not None and "voice" not in apps.all_models["telephony"]:
        return  # migrated back to before there was a catalogue
    known = dict(Row.objects.using(using).values_list("name", "pk"))
    _keep_small_ids(using)
    for order, (name, entry) in enumerate(settings.IRIS_VOICES.items(), start=1):
        if name in known:
            continue
        pk = entry.get("id")
        Row.objects.using(using).create(
            pk=None if pk in known.values() else pk,
            name=name,
            api_name=entry.get("api_name", name),
            display=entry.get("display", name),
            language=entry.get("language", "ne"),
            is_premium=entry.get("premium", False),
            order=order,
        )
    _keep_small_ids(using)
    forget()


def _keep_small_ids(using: str) -> None:
    """Voices of the operator's own are numbered from FIRST_OWN_ID on."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            """SELECT setval(sequence, greatest(%s, (SELECT max(id) + 1 FROM telephony_voice), nextval(sequence)), false)
                 FROM pg_get_serial_sequence('telephony_voice', 'id') AS sequence""",
            [FIRST_OWN_ID],
        )
