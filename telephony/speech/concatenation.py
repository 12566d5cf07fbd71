"""Join recordings into one recording without a file of its own (`Audio.parts`)."""

from __future__ import annotations

from collections.abc import Sequence

from telephony.models import Audio
from telephony.speech import audio, loudness, store
from telephony.speech.engine import Pcm
from telephony.speech.text_to_speech import get_and_mark_used, get_or_create_joined, joined


def silence(seconds: float) -> Audio:
    """Return a silent recording of that many seconds, stored once per length."""
    name = store.keyed_name("silence", seconds)
    found = get_and_mark_used([name]).get(name)
    if found is None or found.pruned_at is not None or store.is_missing_locally(name):
        pcm = Pcm(loudness.silence(seconds, rate=audio.RATE), audio.RATE)
        store.write(name, "wav", audio.encode_wav(pcm))
        found, _ = Audio.objects.update_or_create(
            name=name, defaults={"pruned_at": None}, create_defaults={"seconds": pcm.seconds}
        )
    return found


def join(rows: Sequence[Sequence[Audio]]) -> list[Audio | None]:
    """Join each row of recordings into one recording; an empty row gives None.

    Costs two statements per 1,000 distinct recordings. Call it outside the transaction that uses the result,
    like `speak_many`.
    """
    made = [joined(row) if row else None for row in rows]
    kept = get_or_create_joined({one.name: one for one in made if one is not None})
    return [None if one is None else kept[one.name] for one in made]
