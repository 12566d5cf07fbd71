"""The catalogue of voices: rows of `telephony.models.Voice`, which operators edit in the admin.

`migrate` adds the voices of `settings.IRIS_VOICES` that are missing and changes no existing row. A row
without an engine uses the engine of the settings, so a new release or the operator's IRIS_VOICES_FILE can
give it a better one. A row with an engine uses its own.
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
from telephony.models import Voice
from telephony.speech.engine import Engine

log = logging.getLogger(__name__)

ENGINES = {"espeak": "telephony.speech.espeak.Espeak", "piper": "telephony.speech.piper.Piper"}
FALLBACK = "espeak"
DEFAULT = "np_rija"

# The keys of an IRIS_VOICES entry that describe the voice. All other keys are options of its engine.
CATALOGUE_KEYS = frozenset({"id", "display", "language", "api_name", "premium", "engine"})
FIRST_CUSTOM_ID = 100  # smaller ids are reserved for built-in voices, because the API documents their ids

CACHE_SECONDS = 5.0  # another process sees a change after at most this time


class UnknownVoice(InvalidInput):
    """The catalogue has no such voice."""

    default_code = "unknown_voice"


@dataclass(frozen=True, slots=True)
class ResolvedVoice:
    """A voice with the engine and options that its row and the settings give it.

    `api_name` is not unique: v1 distinguishes plain and premium Rija only by `pk`.
    """

    pk: int
    name: str
    api_name: str
    display: str
    language: str
    engine: str
    options: Mapping[str, Any]
    is_premium: bool


def catalogue() -> dict[str, ResolvedVoice]:
    """Return the enabled voices by name, in the operator's order."""
    return {row.name: _resolve_row(row) for row in _rows() if row.enabled}


def resolve(name: str | None, *, language: str = "") -> str:
    """Return the stored name of a voice, or the default voice if `name` is empty. Raises UnknownVoice.

    The default voice is the default of all languages, unless it does not speak `language` and another voice does.
    """
    asked = str(name or "").strip().lower()
    voices = catalogue()
    if not asked and voices:
        speakers = [voice.name for voice in voices.values() if voice.language == language] or list(voices)
        return DEFAULT if DEFAULT in speakers else speakers[0]
    if asked in voices:
        return asked
    premium = asked.endswith("(premium)")
    known = asked.removesuffix("(premium)").strip()
    for voice in voices.values():
        if voice.api_name == known and voice.is_premium == premium:
            return voice.name
    offered = ", ".join(voices) or "none (the operator has enabled none)"
    raise UnknownVoice(f"Unknown voice {asked[:50]!r}. Available voices: {offered}.")


def setting_errors() -> Iterator[str]:
    """Yield a message for each voice of settings.IRIS_VOICES that cannot speak."""
    if not settings.IRIS_VOICES:
        yield "IRIS_VOICES is empty."
    for name, entry in settings.IRIS_VOICES.items():
        engine, options = _engine_in_settings(name)
        if error := voice_error(engine, entry.get("language", "ne"), options):
            yield f"IRIS_VOICES[{name!r}]: {error}"


def voice_error(engine: str, language: str, options: Mapping[str, Any]) -> str:
    """Return why a voice with this engine and these options is invalid, or ""."""
    if engine not in ENGINES:
        return f"unknown engine {engine!r}. Available engines: {', '.join(ENGINES)}."
    try:
        get_engine(engine).check(language=language, options=options)
        if engine != FALLBACK:
            get_engine(FALLBACK).check(language=language, options=options.get("fallback", {}))
    except ValueError as error:
        return str(error)
    return ""


def setting_warnings() -> Iterator[str]:
    """Yield a message for each voice of the settings whose engine is not installed: what to install and where."""
    for name in settings.IRIS_VOICES:
        engine, options = _engine_in_settings(name)
        if engine in ENGINES and (hint := get_engine(engine).install_hint(options)):
            yield _fallback_notice(name, hint)


def database_errors() -> Iterator[str]:
    """Yield a message for each voice with its own engine in the database that cannot speak."""
    for row in Voice.objects.exclude(engine=""):
        if error := row_error(row):
            yield f"The voice {row.name}: {error}"


def database_warnings() -> Iterator[str]:
    """Yield a message for each voice with its own engine in the database whose engine is not installed."""
    for row in Voice.objects.exclude(engine=""):
        if not row_error(row) and (hint := engine_and_hint(row)[1]):
            yield _fallback_notice(row.name, hint)


def row_error(row: Voice) -> str:
    """Return why this voice cannot speak, or ""."""
    if not isinstance(row.options, dict):
        return 'options must be an object, such as {"pitch": 50}.'
    voice = _resolve_row(row)
    return voice_error(voice.engine, voice.language, voice.options)


def engine_and_hint(row: Voice) -> tuple[str, str]:
    """Return the engine of a voice and what must be installed for it, or ""."""
    voice = _resolve_row(row)
    return voice.engine, get_engine(voice.engine).install_hint(
        voice.options
    ) if voice.engine in ENGINES else ""


def _fallback_notice(name: str, hint: str) -> str:
    return f"The voice {name} is spoken by {FALLBACK} for now. {hint}"


def resolve_stored(name: str | None) -> str:
    """Resolve a voice like `resolve`, but keep a stored voice that is no longer offered: a run keeps its voice."""
    return name if name and any(row.name == name for row in _rows()) else resolve(name)


def with_fallback(name: str) -> ResolvedVoice:
    """Return the voice with the engine that speaks now: espeak, as long as the voice's own engine is not installed."""
    voice = next(_resolve_row(row) for row in _rows() if row.name == name)
    engine = get_engine(voice.engine)
    if voice.engine == FALLBACK or not (hint := engine.install_hint(voice.options)):
        return voice
    _warn_once(_fallback_notice(name, hint))
    return replace(voice, engine=FALLBACK, options=voice.options.get("fallback", {}))


@cache
def get_engine(name: str) -> Engine:
    if name not in ENGINES:
        raise ImproperlyConfigured(
            f"A voice has the unknown engine {name!r}. Available engines: {', '.join(ENGINES)}."
        )
    engine: Engine = import_string(ENGINES[name])()
    return engine


@cache
def _warn_once(sentence: str) -> None:
    log.warning(sentence)


def _engine_in_settings(name: str) -> tuple[str, dict[str, Any]]:
    entry = settings.IRIS_VOICES.get(name, {})
    return entry.get("engine", ""), {key: value for key, value in entry.items() if key not in CATALOGUE_KEYS}


def _resolve_row(row: Voice) -> ResolvedVoice:
    engine, options = (row.engine, row.options) if row.engine else _engine_in_settings(row.name)
    return ResolvedVoice(
        pk=row.pk,
        name=row.name,
        api_name=row.api_name,
        display=row.display,
        language=row.language,
        engine=engine or FALLBACK,
        options=options,
        is_premium=row.is_premium,
    )


# The rows rarely change, so each process reads them again every few seconds and needs no notification.
_cached: tuple[float, list[Voice]] | None = None


def _rows() -> list[Voice]:
    global _cached
    kept = _cached
    if kept is None or time.monotonic() > kept[0] + CACHE_SECONDS:
        kept = _cached = (time.monotonic(), list(Voice.objects.all()))
    return kept[1]


def clear_cache(**_: Any) -> None:
    """Read the rows again on the next access. Signal receiver for saved and deleted voices."""
    global _cached
    _cached = None


def seed(using: str = "default", apps: Any = None, **_: Any) -> None:
    """Add the voices of the settings that are not in the catalogue yet. Signal receiver of `post_migrate`."""
    if apps is not None and "voice" not in apps.all_models["telephony"]:
        return  # migrated back to a state without the catalogue
    known = dict(Voice.objects.using(using).values_list("name", "pk"))
    _reserve_small_ids(using)
    for order, (name, entry) in enumerate(settings.IRIS_VOICES.items(), start=1):
        if name in known:
            continue
        pk = entry.get("id")
        Voice.objects.using(using).create(
            pk=None if pk in known.values() else pk,
            name=name,
            api_name=entry.get("api_name", name),
            display=entry.get("display", name),
            language=entry.get("language", "ne"),
            is_premium=entry.get("premium", False),
            order=order,
        )
    _reserve_small_ids(using)
    clear_cache()


def _reserve_small_ids(using: str) -> None:
    """Advance the id sequence to at least FIRST_CUSTOM_ID, so that custom voices never get a reserved id."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            """SELECT setval(sequence, greatest(%s, (SELECT max(id) + 1 FROM telephony_voice), nextval(sequence)), false)
                 FROM pg_get_serial_sequence('telephony_voice', 'id') AS sequence""",
            [FIRST_CUSTOM_ID],
        )
