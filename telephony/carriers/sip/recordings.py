"""Read the recordings that calls play, and decide whether an unreadable one is gone for good."""

from __future__ import annotations

import time
from functools import lru_cache

from telephony.models import Audio
from telephony.speech import audio

# A recording that is in the database but not in the storage may come back, for example when a folder is mounted again.
# After this time it counts as gone, because a campaign must not wait for it for ever.
MAX_MISSING_SECONDS = 3600.0
MAX_MISSING_NAMES = 10_000  # only the latest missing recordings are remembered


class RecordingGone(Exception):
    """The recording was deleted, or its file has been missing for too long."""


class Recordings:
    def __init__(self) -> None:
        self._missing_since: dict[str, float] = {}

    def pcm_of(self, name: str) -> bytes:
        """Return the samples of a recording: 8 kHz, 16-bit, mono.

        Raises RecordingGone. Errors of the storage and of the database are not caught, because the recording may be readable
        later.
        """
        try:
            pcm = _read_pcm(name)
        except FileNotFoundError as e:
            if self._is_gone(name):
                raise RecordingGone("The recording is gone from the storage.") from e
            raise
        self._missing_since.pop(name, None)
        return pcm

    def _is_gone(self, name: str) -> bool:
        if not Audio.objects.filter(name=name, pruned_at=None).exists():
            return True
        now = time.monotonic()
        since = self._missing_since.setdefault(name, now)
        if len(self._missing_since) > MAX_MISSING_NAMES:
            del self._missing_since[next(iter(self._missing_since))]
        return now - since > MAX_MISSING_SECONDS


@lru_cache(maxsize=16)
def _read_pcm(name: str) -> bytes:
    """Read the samples. They are cached, because a campaign plays few recordings to many people."""
    return audio.read_pcm(name)
