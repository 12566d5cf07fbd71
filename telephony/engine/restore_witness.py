"""How far the database was when this machine last looked: kept outside of it, in IRIS_HOME/restore.

So a database that was set back by a copy of its files, which has all marks of the original, is noticed.
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
WRITE_SECONDS = 5.0  # between two times that a process writes it down
Place = tuple[int | None, int | None]  # the server's identifier and the database's oid


@dataclass(slots=True)
class Seen:
    """`adopted_at` and `beats` of the guard. `surely` is the beat before the last new one.

    With `synchronous_commit = off` a crash may lose what was committed last; a beat is a second old by then.
    """

    adopted_at: float
    beats: int
    surely: int
    written_at: float  # monotonic


_seen: dict[Place, Seen] = {}


def has_seen_more(*, place: Place, adopted_at: datetime, beats: int) -> bool:
    """Whether this machine knows a later state of this database; else remember this one."""
    at = adopted_at.timestamp()
    seen = _seen.get(place) or _read(place)
    if seen is not None and (at < seen.adopted_at or (at == seen.adopted_at and beats < seen.surely)):
        return True
    if seen is None or at > seen.adopted_at:
        seen = Seen(at, beats, surely=0, written_at=-WRITE_SECONDS)
    elif beats > seen.beats:
        seen.beats, seen.surely = beats, seen.beats
    _seen[place] = seen
    if time.monotonic() - seen.written_at >= WRITE_SECONDS:
        seen.written_at = time.monotonic()
        _write(place, seen)
    return False


def forget() -> None:
    """As a new process would: read the file again."""
    _seen.clear()


def _path(place: Place) -> Path:
    server, database = place
    return Path(settings.IRIS_HOME) / FOLDER / f"{server or 'server'}-{database}.json"


def _read(place: Place) -> Seen | None:
    try:
        found = json.loads(_path(place).read_text())
        return Seen(float(found["adopted_at"]), int(found["surely"]), int(found["surely"]), -WRITE_SECONDS)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as e:
        log.warning("%s cannot be read, so it is made anew: %s", _path(place), e)
        return None


def _write(place: Place, seen: Seen) -> None:
    path = _path(place)
    temporary = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps({"adopted_at": seen.adopted_at, "surely": seen.surely}))
        temporary.replace(path)
    except OSError as e:
        log.warning("%s cannot be written, so a restored copy of files may go unnoticed: %s", path, e)
