"""Making recordings of texts: each is spoken once, made as loud as all others, and kept by what was said and how."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TypeVar

from django.conf import settings
from django.utils import timezone

from iris.errors import InvalidInput
from telephony.models import Audio
from telephony.voices import audio, loudness, store
from telephony.voices.directory import Voice, effective, engine_called, known
from telephony.voices.engine import Engine, Pcm, Unspeakable, too_long
from telephony.voices.fragments import EDGE, Group, Utterance, groups_of
from telephony.voices.nepali import PAUSE
from telephony.voices.wording import spoken_form

T = TypeVar("T")

SLOWEST, FASTEST = 0.5, 2.0
AT_ONCE = 1000  # texts looked up and recorded by one statement

# Whoever asks for a recording marks it used, once a day at most; prune_audio leaves alone what was used lately.
USED_AGAIN_AFTER = timedelta(days=1)

PAUSE_SECONDS = 0.2  # between two figures of a password: time to write one down

MAKING = 2  # counts up when the same engine's speech is treated differently, so that nothing stale is played

CALIBRATION = {
    "ne": "नमस्कार, तपाईंको खातामा पच्चिस सय रुपैयाँ बाँकी छ। भोलि बिहान दश बजे वडा कार्यालयमा आउनुहोला। धन्यवाद।",
    "": "Hello, this is a call from your office. The meeting is tomorrow at ten in the morning. Thank you.",
}


def speak(*, text: str, voice: str | None = None, speed: float = 1.0) -> Audio:
    """The recording of this text, spoken now unless it was before. `speed` 1 is the voice's own pace.

    Raises UnknownVoice, Unspeakable, and InvalidInput for a speed out of bounds.
    """
    booth = _Booth(voice, speed)
    utterance = Utterance(spoken_form(text, language=booth.voice.language))
    name = booth.name(utterance)
    return booth.recordings({name: utterance}, strict=True)[name]


def speak_many(texts: Iterable[str], voice: str | None = None, speed: float = 1.0) -> dict[str, Audio]:
    """The recordings of many texts, by text. What cannot be spoken is missing: one must not stop the others.

    Costs three statements a thousand texts. Call it outside the transaction that uses the result: speaking
    takes time, and a recording is of use whatever becomes of that transaction.
    """
    booth = _Booth(voice, speed)
    found: dict[str, Audio] = {}
    for chunk in _chunks(list(dict.fromkeys(texts))):
        names: dict[str, str] = {}
        wanted: dict[str, Utterance] = {}
        for text in chunk:
            try:
                utterance = Utterance(spoken_form(text, language=booth.voice.language))
            except Unspeakable:
                continue
            names[text] = name = booth.name(utterance)
            wanted[name] = utterance
        made = booth.recordings(wanted)
        found.update((text, made[name]) for text, name in names.items() if name in made)
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
    spoken = _Parts(groups_of(parts, language=booth.voice.language))
    needed = dict.fromkeys(text for filling in dict.fromkeys(fillings) for text in spoken.texts(filling))
    for chunk in _chunks(list(needed)):
        names: dict[tuple[int, str], str] = {}
        wanted: dict[str, Utterance] = {}
        for number, text in chunk:
            group = spoken.groups[number]
            try:
                said = spoken_form(text, language=booth.voice.language)
            except Unspeakable:
                continue  # a name of nothing but dots is left out, as it would be in the middle of a sentence
            utterance = Utterance(said, before=group.before, after=group.after, is_part=True)
            names[number, text] = name = booth.name(utterance)
            wanted[name] = utterance
        made = booth.recordings(wanted)
        spoken.recordings.update((key, made[name]) for key, name in names.items() if name in made)
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
        self.engine: Engine = engine_called(self.voice.engine)
        self._version = self.engine.version(self.voice.options)

    def name(self, utterance: Utterance) -> str:
        """Equal for what sounds the same: the settings of the voice count, and not its name in the catalogue."""
        voice = self.voice
        edges = (utterance.before, utterance.after) if utterance.is_part else ()
        return store.keyed_name(
            *("speech", MAKING, voice.engine, self._version, voice.language, voice.options, self.speed),
            *(settings.IRIS_LOUDNESS, edges, utterance.written),
        )

    def recordings(self, wanted: Mapping[str, Utterance], *, strict: bool = False) -> dict[str, Audio]:
        """The recordings of utterances, by the names they must have. What is missing is spoken.

        The file comes first and the row second, so a row always has its file. Of two processes that speak the
        same text at the same moment one finds the other's file and row, and uses them.
        """
        found = used_rows(list(wanted))
        made = []
        # Sorted, so that two processes insert the same names in the same order and cannot block each other.
        for name in sorted(wanted):
            row = found.get(name)
            if row is not None and row.pruned_at is None and not store.lost(name):
                continue
            try:
                pcm = self._spoken(wanted[name])
            except Unspeakable:
                if strict:
                    raise
                found.pop(name, None)
                continue
            ours = store.write(name, "wav", audio.wav(pcm))
            seconds = pcm.seconds if ours else audio.seconds_of_file(name)
            made.append(Audio(name=name, seconds=seconds, voice=self.voice.name, used_at=timezone.now()))
        if made:
            Audio.objects.bulk_create(
                made,
                update_conflicts=True,
                unique_fields=["name"],
                update_fields=["seconds", "used_at", "pruned_at"],
            )
            found |= Audio.objects.in_bulk([one.name for one in made], field_name="name")
        return found

    def _spoken(self, utterance: Utterance) -> Pcm:
        raw = self._said(utterance.written)
        pcm = loudness.near_gain(raw, _gain_of(self))
        pcm = loudness.faded(
            loudness.trimmed(pcm, before=min(utterance.before, EDGE), after=min(utterance.after, 2 * EDGE))
        )
        if not pcm.samples:
            raise Unspeakable(
                f"The voice {self.voice.name} cannot read this message. Write it in its language."
            )
        before, after = (
            loudness.silence(max(0.0, seconds - EDGE) / self.speed, rate=pcm.rate)
            for seconds in (utterance.before, utterance.after)
        )
        pcm = Pcm(before + pcm.samples + after, pcm.rate)
        if pcm.seconds > settings.IRIS_MAX_AUDIO_SECONDS:
            raise too_long(settings.IRIS_MAX_AUDIO_SECONDS)
        return pcm

    def _said(self, text: str) -> Pcm:
        """As the engine says it, with pauses where it is told to pause; at 8 kHz, within the telephone's band, as loud
        as it comes.
        """
        pieces = [self._synthesized(piece) for piece in _pieces(text)]
        if len(pieces) == 1:
            return pieces[0]
        pause = loudness.silence(PAUSE_SECONDS / self.speed, rate=audio.RATE)
        tight = (loudness.faded(loudness.trimmed(piece, before=EDGE, after=EDGE)) for piece in pieces)
        return Pcm(pause.join(piece.samples for piece in tight), audio.RATE)

    def _synthesized(self, text: str) -> Pcm:
        pcm = self.engine.synthesize(
            text,
            language=self.voice.language,
            options=self.voice.options,
            speed=self.speed,
            max_seconds=settings.IRIS_MAX_AUDIO_SECONDS,
        )
        return loudness.without_hum(audio.for_telephone(pcm))

    def calibration(self) -> Pcm:
        return self._said(CALIBRATION.get(self.voice.language, CALIBRATION[""]))

    @property
    def sound(self) -> str:
        """What decides how loud the engine is by itself."""
        return json.dumps(
            [
                self.voice.engine,
                self._version,
                self.voice.language,
                self.voice.options,
                settings.IRIS_LOUDNESS,
            ],
            sort_keys=True,
            default=str,
        )


def _pieces(text: str) -> list[str]:
    """What is said between two pauses. All but the last end with a comma, so that the voice stays up."""
    pieces = [piece.strip() for piece in text.split(PAUSE.strip())]
    pieces = [piece for piece in pieces if any(character.isalnum() for character in piece)]
    return [f"{piece}," for piece in pieces[:-1]] + pieces[-1:] if pieces else [text]


_gains: dict[str, float] = {}


def _gain_of(booth: _Booth) -> float:
    """The gain of a voice, in decibels, measured once in each process by a sentence or two."""
    gain = _gains.get(booth.sound)
    if gain is None:
        gain = _gains[booth.sound] = loudness.gain_of(booth.calibration())
    return gain


def _chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), AT_ONCE):
        yield items[start : start + AT_ONCE]
