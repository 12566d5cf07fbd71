"""Store in IRIS_HOME/restore the last value of `RestoreGuard.beats` that this machine has seen.

Each tick increments this counter in the database. If somebody restores a copy of the database's files, the marks that
`restore_hold` compares are the same as before. Only the lower counter shows that the copy is older.
"""

from __future__ import annotations

import json
import logging
import os
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings

log = logging.getLogger(__name__)

FOLDER = "restore"
WRITE_SECONDS = 5.0  # seconds between two writes of the file by one process
Place = tuple[int | None, int | None]  # the server's identifier and the database's oid


@dataclass(slots=True)
class Seen:
    """The last seen `adopted_at` and `beats` of the `RestoreGuard`.

    `confirmed_beats` is the value before the last change of `beats`.

    Only `confirmed_beats` is compared and stored. With `synchronous_commit = off`, a crash of PostgreSQL may lose the latest
    value of `beats`, but not the previous value, which is about a second older.
    """

    adopted_at: float
    beats: int
    confirmed_beats: int
    written_at: float  # monotonic


_seen: dict[Place, Seen] = {}


def has_seen_more(*, place: Place, adopted_at: datetime, beats: int) -> bool:
    """Return whether this machine has seen a later state of this database. If not, store the given state."""
    at = adopted_at.timestamp()
    seen = _seen.get(place) or _read(place)
    if seen is not None and (
        at < seen.adopted_at or (at == seen.adopted_at and beats < seen.confirmed_beats)
    ):
        return True
    if seen is None or at > seen.adopted_at:
        seen = Seen(at, beats, confirmed_beats=0, written_at=-WRITE_SECONDS)
    elif beats > seen.beats:
        seen.beats, seen.confirmed_beats = beats, seen.beats
    _seen[place] = seen
    if time.monotonic() - seen.written_at >= WRITE_SECONDS:
        seen.written_at = time.monotonic()
        _write(place, seen)
    return False


def forget() -> None:
    """Clear the value in the memory of this process, so that it reads the file again, as a new process does."""
    _seen.clear()


def _path(place: Place) -> Path:
    server, database = place
    return Path(settings.IRIS_HOME) / FOLDER / f"{server or 'server'}-{database}.json"


def _read(place: Place) -> Seen | None:
    try:
        stored = json.loads(_path(place).read_text())
        beats = int(stored["surely"])
        return Seen(float(stored["adopted_at"]), beats, beats, -WRITE_SECONDS)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as e:
        log.warning("%s cannot be read and will be replaced: %s", _path(place), e)
        return None


def _write(place: Place, seen: Seen) -> None:
    path = _path(place)
    temporary = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps({"adopted_at": seen.adopted_at, "surely": seen.confirmed_beats}))
        temporary.replace(path)
    except OSError as e:
        log.warning(
            "%s cannot be written, so iris may not notice a restored older copy of the database's files: %s",
            path,
            e,
        )
