"""The recordings that calls play, as the stack wants them, and what it means when one cannot be read."""

from __future__ import annotations

import time
from functools import lru_cache

from telephony.models import Audio
from telephony.speech import audio

# A recording that the database has and the storage has not will come with the storage, if that is away; so long that is
# hoped for. Then it is gone, and a campaign that plays it must come to its end.
MISSING_SECONDS = 3600.0
REMEMBERED = 10_000  # missing recordings, the latest


class Gone(Exception):
    """This recording will not be there again."""


class Recordings:
    def __init__(self) -> None:
        self._missing_since: dict[str, float] = {}

    def pcm_of(self, name: str) -> bytes:
        """The samples of a recording: 8 kHz, 16-bit, mono.

        Raises Gone, and whatever the storage and the database raise where it cannot be read at present.
        """
        try:
            pcm = _pcm_of(name)
        except FileNotFoundError as e:
            if self._is_gone(name):
                raise Gone("The recording is gone from the storage.") from e
            raise
        self._missing_since.pop(name, None)
        return pcm

    def _is_gone(self, name: str) -> bool:
        if not Audio.objects.filter(name=name, pruned_at=None).exists():
            return True
        now = time.monotonic()
        since = self._missing_since.setdefault(name, now)
        if len(self._missing_since) > REMEMBERED:
            del self._missing_since[next(iter(self._missing_since))]
        return now - since > MISSING_SECONDS


@lru_cache(maxsize=16)
def _pcm_of(name: str) -> bytes:
    """Campaigns play few recordings to many."""
    return audio.read_pcm(name)
