"""Recordings one after the other, as one recording without a file of its own (`Audio.parts`)."""

from __future__ import annotations

from collections.abc import Sequence

from telephony.models import Audio
from telephony.speech import audio, loudness, store
from telephony.speech.engine import Pcm
from telephony.speech.text_to_speech import rows_of, used_rows


def silence(seconds: float) -> Audio:
    """A recording of nothing. It is stored once for each length."""
    name = store.keyed_name("silence", seconds)
    found = used_rows([name]).get(name)
    if found is None or found.pruned_at is not None or store.lost(name):
        pcm = Pcm(loudness.silence(seconds, rate=audio.RATE), audio.RATE)
        store.write(name, "wav", audio.wav(pcm))
        found, _ = Audio.objects.update_or_create(
            name=name, defaults={"pruned_at": None}, create_defaults={"seconds": pcm.seconds}
        )
    return found


def join(rows: Sequence[Sequence[Audio]]) -> list[Audio | None]:
    """Each row of recordings as one; None for an empty row. Costs two statements a thousand different ones.

    Call it outside the transaction that uses the result, as `speak_many`.
    """
    made: dict[str, Audio] = {}
    names: list[str | None] = []
    for row in rows:
        parts = [part for one in row for part in (one.parts or [one.name])]
        name = None if not parts else store.keyed_name("joined", parts)
        names.append(name)
        if name is not None and name not in made:
            made[name] = Audio(name=name, seconds=sum(one.seconds for one in row), parts=parts)
    kept = rows_of(made)
    return [None if name is None else kept[name] for name in names]
