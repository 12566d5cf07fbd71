"""Making recordings of texts: each is spoken once, made as loud as all others, and kept by what was said and how."""

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
from telephony.speech.engine import Unspeakable
from telephony.speech.fragments import HEAD, TAIL, Group
from telephony.speech.synthesis import Manner
from telephony.speech.voices import Voice, effective, engine_called, known

T = TypeVar("T")

SLOWEST, FASTEST = 0.5, 2.0
AT_ONCE = 1000  # texts looked up and recorded by one statement

# Whoever asks for a recording marks it used, once a day at most; prune_audio leaves alone what was used lately.
USED_AGAIN_AFTER = timedelta(days=1)

MAKING = 2  # counts up when the same engine's speech is treated differently, so that nothing stale is played


class _Text(NamedTuple):
    """Something to be spoken by itself, as people wrote it, with seconds of silence around what is heard of it."""

    text: str
    before: float = HEAD
    after: float = TAIL
    is_part: bool = False


class _Utterance(NamedTuple):
    """A text in the words that the engine is given, and the name of its recording."""

    name: str
    text: _Text
    written: str


def speak(*, text: str, voice: str | None = None, speed: float = 1.0) -> Audio:
    """The recording of this text, spoken now unless it was before. `speed` 1 is the voice's own pace.

    Raises UnknownVoice, Unspeakable, InvalidInput for a speed out of bounds, TookTooLong for a text that keeps the engine
    busy without end, and Unavailable when the engine fails or speaks for others.
    """
    booth = _Booth(voice, speed)
    ((_, utterance),) = booth.utterances([_Text(text)], strict=True).items()
    return booth.recordings([utterance], strict=True)[utterance.name]


def speak_many(texts: Iterable[str], voice: str | None = None, speed: float = 1.0) -> dict[str, Audio]:
    """The recordings of many texts, by text. What cannot be spoken is missing: one must not stop the others.

    Costs three statements a thousand texts. Call it outside the transaction that uses the result: speaking
    takes time, and a recording is of use whatever becomes of that transaction. Raises TookTooLong, SpeechFailed,
    SpeechBusy and OutOfTime (`speech_processes`).
    """
    booth = _Booth(voice, speed)
    found: dict[str, Audio] = {}
    for chunk in _chunks(list(dict.fromkeys(texts))):
        utterances = booth.utterances([_Text(text) for text in chunk])
        made = booth.recordings(utterances.values())
        found.update((text.text, made[one.name]) for text, one in utterances.items() if one.name in made)
    return found


def speak_filled(
    parts: Sequence[str | None],
    fillings: Sequence[tuple[str, ...]],
    voice: str | None = None,
    speed: float = 1.0,
) -> list[Audio | None]:
    """The recordings of a message whose gaps (None) are filled: one for each filling, None for what cannot be spoken.

    Each part is spoken once for all fillings that have it in common; a recording is a list of them, without a file.
    Call it outside the transaction that uses the result, as `speak_many`.
    """
    booth = _Booth(voice, speed)
    spoken = _spoken_parts(booth, parts, fillings)
    found: dict[tuple[str, ...], Audio] = {}
    for filling in dict.fromkeys(fillings):
        heard = [one for text in spoken.texts(filling) if (one := spoken.recordings.get(text)) is not None]
        if heard and sum(one.seconds for one in heard) <= settings.IRIS_MAX_AUDIO_SECONDS:
            found[filling] = heard[0] if len(heard) == 1 else _joined(heard)
    kept = rows_of({one.name: one for one in found.values() if one.parts})
    return [None if (one := found.get(filling)) is None else kept.get(one.name, one) for filling in fillings]


def _joined(parts: Sequence[Audio]) -> Audio:
    """A recording that is these, one behind the other."""
    names = [part.name for part in parts]
    seconds = sum(part.seconds for part in parts)
    return Audio(name=store.keyed_name("joined", names), seconds=seconds, voice=parts[0].voice, parts=names)


def prepare_filled(
    parts: Sequence[str | None],
    fillings: Sequence[tuple[str, ...]],
    voice: str | None = None,
    speed: float = 1.0,
) -> int:
    """Speak all that `speak_filled` will need, ahead of time; of how many different parts these fillings consist."""
    return len(_spoken_parts(_Booth(voice, speed), parts, fillings).recordings)


class _Parts:
    """The parts of a message, and their recordings by what is written in them."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self.groups = groups
        self.recordings: dict[tuple[int, str], Audio] = {}

    def texts(self, filling: tuple[str, ...]) -> list[tuple[int, str]]:
        return [(number, group.text(filling)) for number, group in enumerate(self.groups)]


def _spoken_parts(booth: _Booth, parts: Sequence[str | None], fillings: Sequence[tuple[str, ...]]) -> _Parts:
    spoken = _Parts(processes.groups_of(parts, language=booth.voice.language))
    needed = dict.fromkeys(text for filling in dict.fromkeys(fillings) for text in spoken.texts(filling))
    for chunk in _chunks(list(needed)):
        keys = {}
        for number, text in chunk:
            group = spoken.groups[number]
            keys[number, text] = _Text(text, before=group.before, after=group.after, is_part=True)
        # A name of nothing but dots is left out, as it would be in the middle of a sentence.
        utterances = booth.utterances(list(dict.fromkeys(keys.values())))
        made = booth.recordings(utterances.values())
        spoken.recordings.update(
            (key, made[utterances[text].name])
            for key, text in keys.items()
            if text in utterances and utterances[text].name in made
        )
    return spoken


def rows_of(joined: Mapping[str, Audio]) -> dict[str, Audio]:
    """The rows of joined recordings, by name; those that are missing are inserted."""
    kept: dict[str, Audio] = {}
    # Sorted, so that two processes insert the same names in the same order and cannot block each other.
    for names in _chunks(sorted(joined)):
        found = used_rows(names)
        pruned = [name for name, one in found.items() if one.pruned_at is not None]
        if pruned:  # its file for browsers; its fragments were made again by now
            Audio.objects.filter(name__in=pruned).update(pruned_at=None)
        missing = [name for name in names if name not in found]
        if missing:
            Audio.objects.bulk_create([joined[name] for name in missing], ignore_conflicts=True)
            found |= Audio.objects.in_bulk(missing, field_name="name")
        kept |= found
    return kept


def used_rows(names: Sequence[str]) -> dict[str, Audio]:
    """The recordings there are of these names, marked as used today.

    Whoever removes files has locked their rows, so marking waits until it is known what has become of them.
    """
    found: dict[str, Audio] = Audio.objects.in_bulk(names, field_name="name")
    now = timezone.now()
    old = sorted(name for name, one in found.items() if one.used_at < now - USED_AGAIN_AFTER)
    if old:
        Audio.objects.filter(name__in=old).update(used_at=now)
        found |= Audio.objects.in_bulk(old, field_name="name")
    return found


class _Booth:
    """A voice at a speed, ready to speak."""

    def __init__(self, voice: str | None, speed: float) -> None:
        if not SLOWEST <= speed <= FASTEST:
            raise InvalidInput(
                f"The speed of a voice must be from {SLOWEST:g} to {FASTEST:g}; it is {speed}."
            )
        self.voice: Voice = effective(known(voice))
        self.speed = round(float(speed), 3)
        self._version = engine_called(self.voice.engine).version(self.voice.options)
        self.manner = Manner(
            voice=self.voice.name,
            engine=self.voice.engine,
            language=self.voice.language,
            options=self.voice.options,
            speed=self.speed,
        )

    def utterances(self, texts: Sequence[_Text], *, strict: bool = False) -> dict[_Text, _Utterance]:
        """The texts in words, by text; those that have none are missing, or with `strict` raise Unspeakable."""
        found: dict[_Text, _Utterance] = {}
        refused: Unspeakable | None = None
        items = [(text.text, text.before, text.after, text.is_part) for text in texts]
        for text, said in zip(texts, processes.written(items, language=self.voice.language), strict=True):
            if isinstance(said, Unspeakable):
                refused = said
            else:
                found[text] = _Utterance(self._name(text, said), text, said)
        if strict and refused is not None:
            raise refused
        return found

    def _name(self, text: _Text, said: str) -> str:
        """Equal for what sounds the same: the settings of the voice count, and not its name in the catalogue."""
        voice = self.voice
        edges = (text.before, text.after) if text.is_part else ()
        return store.keyed_name(
            *("speech", MAKING, voice.engine, self._version, voice.language, voice.options, self.speed),
            *(settings.IRIS_LOUDNESS, edges, said),
        )

    def recordings(self, wanted: Iterable[_Utterance], *, strict: bool = False) -> dict[str, Audio]:
        """The recordings of utterances, by name. What is missing is spoken; what cannot be is left out, or with `strict`
        raises Unspeakable.

        The file comes first and the row second, so a row always has its file. Of two processes that speak the
        same text at the same moment one finds the other's file and row, and uses them. What was made before an error
        that stops all of it is kept.
        """
        by_name = {one.name: one for one in wanted}
        found = used_rows(list(by_name))
        # Sorted, so that two processes insert the same names in the same order and cannot block each other.
        missing = [
            by_name[name]
            for name in sorted(by_name)
            if (row := found.get(name)) is None or row.pruned_at is not None or store.lost(name)
        ]
        made: list[Audio] = []
        try:
            self._make(missing, made, found, strict=strict)
        except processes.OutOfTime as error:
            error.made = len(made)
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
        self, missing: Sequence[_Utterance], made: list[Audio], found: dict[str, Audio], *, strict: bool
    ) -> None:
        """Speak what is missing and store it, adding the rows to `made` one by one."""
        refused: Unspeakable | None = None
        items = [(one.written, one.text.before, one.text.after) for one in missing]
        names = [one.text.text for one in missing]
        for one, sound in zip(missing, processes.sounds(self.manner, items, names=names), strict=True):
            if isinstance(sound, Unspeakable):
                refused = sound
                found.pop(one.name, None)
                continue
            ours = store.write(one.name, "wav", audio.wav(sound))
            seconds = sound.seconds if ours else audio.seconds_of_file(one.name)
            made.append(Audio(name=one.name, seconds=seconds, voice=self.voice.name, used_at=timezone.now()))
        if strict and refused is not None:
            raise refused


def _chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), AT_ONCE):
        yield items[start : start + AT_ONCE]
