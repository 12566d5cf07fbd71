"""Turn texts into recordings. Each text is spoken once and stored under a hash of its text and voice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple, TypeVar

from django.conf import settings
from django.utils import timezone

from iris.errors import InvalidInput
from telephony.models import Audio
from telephony.speech import audio, store
from telephony.speech import speech_processes as processes
from telephony.speech.engine import Unspeakable, VoiceConfig
from telephony.speech.spoken_length import Pace, pace_of, samples_of
from telephony.speech.spoken_parts import HEAD_SILENCE, TAIL_SILENCE, SpokenPart
from telephony.speech.voices import ResolvedVoice, get_engine, resolve_stored, with_fallback

T = TypeVar("T")

MIN_SPEED, MAX_SPEED = 0.5, 2.0
BATCH_SIZE = 1000  # texts per statement

# Requesting a recording marks it as used, at most once per interval; prune_audio keeps recently used
# recordings.
MARK_USED_INTERVAL = timedelta(days=1)

# Increment when the processing of speech changes, so that no stale recording is reused.
PROCESSING_VERSION = 2


class _Piece(NamedTuple):
    """A text to be spoken on its own, as people wrote it.

    `before` and `after` are the seconds of silence around its sound.
    """

    text: str
    before: float = HEAD_SILENCE
    after: float = TAIL_SILENCE
    is_part: bool = False


class _NormalizedPiece(NamedTuple):
    """A piece with the text for the engine and the name of its recording."""

    name: str
    piece: _Piece
    engine_text: str


def speak(*, text: str, voice: str | None = None, speed: float = 1.0) -> Audio:
    """Return the recording of a text, speaking it if necessary. Speed 1 is the voice's own pace.

    Raises UnknownVoice, Unspeakable, InvalidInput if the speed is out of range, SpeechTimedOut if the text
    keeps the engine busy without end, and Unavailable if the engine fails or is busy.
    """
    speaker = _Speaker(voice, speed)
    ((_, normalized_piece),) = speaker.normalize([_Piece(text)], strict=True).items()
    return speaker.recordings([normalized_piece], strict=True)[normalized_piece.name]


def speak_many(texts: Iterable[str], voice: str | None = None, speed: float = 1.0) -> dict[str, Audio]:
    """Return the recordings of many texts, by text.

    Unspeakable texts are omitted, so that one such text cannot stop the others.

    Costs three statements per 1,000 texts. Call it outside the transaction that uses the result: speaking takes time,
    and a recording remains useful if that transaction fails. Raises SpeechTimedOut, SpeechFailed, SpeechBusy and
    SpeechBudgetExceeded (`speech_processes`).
    """
    speaker = _Speaker(voice, speed)
    found: dict[str, Audio] = {}
    for batch in _batches(list(dict.fromkeys(texts))):
        normalized = speaker.normalize([_Piece(text) for text in batch])
        made = speaker.recordings(normalized.values())
        found.update((piece.text, made[one.name]) for piece, one in normalized.items() if one.name in made)
    return found


def speak_filled(
    parts: Sequence[str | None],
    fillings: Sequence[tuple[str, ...]],
    voice: str | None = None,
    speed: float = 1.0,
) -> list[Audio | None]:
    """Return one recording for each item of `fillings`; None if it cannot be spoken.

    `parts` is a message in which None is a gap; an item of `fillings` has the tag values for the gaps. Each part is spoken
    once for all items that share it. A recording is a list of parts, without a file of its own. Call it outside the
    transaction that uses the result, like `speak_many`.
    """
    speaker = _Speaker(voice, speed)
    spoken = _speak_parts(speaker, parts, fillings)
    found: dict[tuple[str, ...], Audio] = {}
    for filling in dict.fromkeys(fillings):
        parts_made = [
            one for text in spoken.texts(filling) if (one := spoken.recordings.get(text)) is not None
        ]
        if parts_made and sum(one.seconds for one in parts_made) <= settings.IRIS_MAX_AUDIO_SECONDS:
            found[filling] = parts_made[0] if len(parts_made) == 1 else joined(parts_made)
    kept = get_or_create_joined({one.name: one for one in found.values() if one.parts})
    return [None if (one := found.get(filling)) is None else kept.get(one.name, one) for filling in fillings]


def speak_constants(
    parts: Sequence[str | None], voice: str | None = None, speed: float = 1.0
) -> tuple[float, list[SpokenPart]]:
    """Speak the constant parts of a message with gaps, as `speak_filled` will. Return their seconds, and the other parts.

    Raises the errors of `speak`.
    """
    speaker = _Speaker(voice, speed)
    spoken = processes.cut_at_gaps(parts, language=speaker.voice.language)
    pieces = [
        _Piece(part.text(()), before=part.before, after=part.after, is_part=True)
        for part in spoken
        if not part.gaps
    ]
    normalized = speaker.normalize(list(dict.fromkeys(pieces)), strict=True)
    made = speaker.recordings(normalized.values(), strict=True)
    return sum(made[normalized[piece].name].seconds for piece in pieces), [one for one in spoken if one.gaps]


def pace(voice: str | None = None, speed: float = 1.0) -> Pace:
    """Return an upper bound of how much more slowly this voice speaks than the voice that `spoken_length` measured.

    It is measured with the texts of `spoken_length.SAMPLES`, whose recordings are stored like all others.
    """
    speaker = _Speaker(voice, speed)
    normalized = speaker.normalize([_Piece(text) for text in samples_of(speaker.voice.language)])
    made = speaker.recordings(normalized.values())
    seconds = {piece.text: made[one.name].seconds for piece, one in normalized.items() if one.name in made}
    return pace_of(seconds, engine=speaker.voice.engine, language=speaker.voice.language)


def joined(recordings: Sequence[Audio]) -> Audio:
    """Return an unsaved recording that plays these recordings one after the other.

    It has a voice if all of them have the same voice.
    """
    names = [name for one in recordings for name in (one.parts or [one.name])]
    voices = {one.voice for one in recordings}
    return Audio(
        name=store.keyed_name("joined", names),
        seconds=sum(one.seconds for one in recordings),
        voice=voices.pop() if len(voices) == 1 else "",
        parts=names,
    )


def prepare_filled(
    parts: Sequence[str | None],
    fillings: Sequence[tuple[str, ...]],
    voice: str | None = None,
    speed: float = 1.0,
) -> int:
    """Speak all parts that `speak_filled` will need, in advance. Return the number of distinct parts."""
    return len(_speak_parts(_Speaker(voice, speed), parts, fillings).recordings)


class _SpokenMessage:
    """The parts of a message, and their recordings by (part number, text)."""

    def __init__(self, parts: Sequence[SpokenPart]) -> None:
        self.parts = parts
        self.recordings: dict[tuple[int, str], Audio] = {}

    def texts(self, filling: tuple[str, ...]) -> list[tuple[int, str]]:
        return [(number, part.text(filling)) for number, part in enumerate(self.parts)]


def _speak_parts(
    speaker: _Speaker, parts: Sequence[str | None], fillings: Sequence[tuple[str, ...]]
) -> _SpokenMessage:
    spoken = _SpokenMessage(processes.cut_at_gaps(parts, language=speaker.voice.language))
    needed = dict.fromkeys(text for filling in dict.fromkeys(fillings) for text in spoken.texts(filling))
    for batch in _batches(list(needed)):
        pieces = {}
        for number, text in batch:
            part = spoken.parts[number]
            pieces[number, text] = _Piece(text, before=part.before, after=part.after, is_part=True)
        # A value without words, such as dots, is omitted, as it would be inside a sentence.
        normalized = speaker.normalize(list(dict.fromkeys(pieces.values())))
        made = speaker.recordings(normalized.values())
        spoken.recordings.update(
            (key, made[normalized[piece].name])
            for key, piece in pieces.items()
            if piece in normalized and normalized[piece].name in made
        )
    return spoken


def get_or_create_joined(joined: Mapping[str, Audio]) -> dict[str, Audio]:
    """Return the rows of joined recordings by name, inserting those that are missing."""
    kept: dict[str, Audio] = {}
    # Sorted, so that two processes insert the same names in the same order and cannot deadlock.
    for names in _batches(sorted(joined)):
        found = get_and_mark_used(names)
        pruned = [name for name, one in found.items() if one.pruned_at is not None]
        if pruned:  # Pruning removed only the MP3 of a joined recording. Its fragments have been spoken again before this.
            Audio.objects.filter(name__in=pruned).update(pruned_at=None)
        missing = [name for name in names if name not in found]
        if missing:
            Audio.objects.bulk_create([joined[name] for name in missing], ignore_conflicts=True)
            found |= Audio.objects.in_bulk(missing, field_name="name")
        kept |= found
    return kept


def get_and_mark_used(names: Sequence[str]) -> dict[str, Audio]:
    """Return the existing recordings of these names by name, and mark them as used.

    Pruning locks the rows whose files it removes, so the update waits until pruning has finished.
    """
    found: dict[str, Audio] = Audio.objects.in_bulk(names, field_name="name")
    now = timezone.now()
    old = sorted(name for name, one in found.items() if one.used_at < now - MARK_USED_INTERVAL)
    if old:
        Audio.objects.filter(name__in=old).update(used_at=now)
        found |= Audio.objects.in_bulk(old, field_name="name")
    return found


class _Speaker:
    """A voice at a speed, ready to speak."""

    def __init__(self, voice: str | None, speed: float) -> None:
        if not MIN_SPEED <= speed <= MAX_SPEED:
            raise InvalidInput(
                f"The speed of a voice must be from {MIN_SPEED:g} to {MAX_SPEED:g}; it is {speed}."
            )
        self.voice: ResolvedVoice = with_fallback(resolve_stored(voice))
        self.speed = round(float(speed), 3)
        self._version = get_engine(self.voice.engine).version(self.voice.options)
        self.config = VoiceConfig(
            voice=self.voice.name,
            engine=self.voice.engine,
            language=self.voice.language,
            options=self.voice.options,
            speed=self.speed,
        )

    def normalize(self, pieces: Sequence[_Piece], *, strict: bool = False) -> dict[_Piece, _NormalizedPiece]:
        """Normalize pieces; return the results by piece.

        Unspeakable pieces are omitted, or raise Unspeakable if `strict`.
        """
        found: dict[_Piece, _NormalizedPiece] = {}
        refused: Unspeakable | None = None
        items = [(piece.text, piece.before, piece.after, piece.is_part) for piece in pieces]
        for piece, engine_text in zip(
            pieces, processes.normalize_texts(items, language=self.voice.language), strict=True
        ):
            if isinstance(engine_text, Unspeakable):
                refused = engine_text
            else:
                found[piece] = _NormalizedPiece(self._name(piece, engine_text), piece, engine_text)
        if strict and refused is not None:
            raise refused
        return found

    def _name(self, piece: _Piece, engine_text: str) -> str:
        """Return the name of the recording.

        It depends on everything that affects the sound, but not on the name of the voice.
        """
        voice = self.voice
        edges = (piece.before, piece.after) if piece.is_part else ()
        return store.keyed_name(
            *(
                "speech",
                PROCESSING_VERSION,
                voice.engine,
                self._version,
                voice.language,
                voice.options,
                self.speed,
            ),
            *(settings.IRIS_LOUDNESS, edges, engine_text),
        )

    def recordings(self, wanted: Iterable[_NormalizedPiece], *, strict: bool = False) -> dict[str, Audio]:
        """Return the recordings of normalized pieces by name, speaking those that are missing.

        Unspeakable pieces are omitted, or raise Unspeakable if `strict`. The file is written before the row, so every
        row has its file. If two processes speak the same text at the same time, one of them finds and uses
        the other's file and row. After an error, the recordings made so far are kept.
        """
        by_name = {one.name: one for one in wanted}
        found = get_and_mark_used(list(by_name))
        # Sorted, so that two processes insert the same names in the same order and cannot deadlock.
        missing = [
            by_name[name]
            for name in sorted(by_name)
            if (row := found.get(name)) is None or row.pruned_at is not None or store.is_missing_locally(name)
        ]
        made: list[Audio] = []
        try:
            self._make(missing, made, found, strict=strict)
        except processes.SpeechBudgetExceeded as error:
            error.made_count = len(made)
            raise
        finally:
            if made:
                Audio.objects.bulk_create(
                    made,
                    update_conflicts=True,
                    unique_fields=["name"],
                    update_fields=["seconds", "used_at", "pruned_at"],
                )
        if made:
            found |= Audio.objects.in_bulk([one.name for one in made], field_name="name")
        return found

    def _make(
        self, missing: Sequence[_NormalizedPiece], made: list[Audio], found: dict[str, Audio], *, strict: bool
    ) -> None:
        """Speak and store the missing pieces, appending each row to `made` as soon as it is stored."""
        refused: Unspeakable | None = None
        items = [(one.engine_text, one.piece.before, one.piece.after) for one in missing]
        names = [one.piece.text for one in missing]
        for one, sound in zip(
            missing, processes.synthesize_texts(self.config, items, names=names), strict=True
        ):
            if isinstance(sound, Unspeakable):
                refused = sound
                found.pop(one.name, None)
                continue
            ours = store.write(one.name, "wav", audio.encode_wav(sound))
            seconds = sound.seconds if ours else audio.file_duration(one.name)
            made.append(Audio(name=one.name, seconds=seconds, voice=self.voice.name, used_at=timezone.now()))
        if strict and refused is not None:
            raise refused


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), BATCH_SIZE):
        yield items[start : start + BATCH_SIZE]
