"""Store what callbacks report, in sets: requests that arrive at the same time share one transaction."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from telephony.carriers.base import CarrierEvent, InboundSms
from telephony.engine import delivery_reports

Item = CarrierEvent | InboundSms

SET_SIZE = 1000


@dataclass(eq=False, slots=True)
class _Entry:
    items: Sequence[Item]
    is_done: bool = False
    error: BaseException | None = None


@dataclass(slots=True)
class _Line:
    """The entries of one trunk that wait in this process, at most one for each thread of the web server."""

    writing: threading.Lock = field(default_factory=threading.Lock)
    entries: list[_Entry] = field(default_factory=list)


_lines: dict[str, _Line] = defaultdict(_Line)
_guard = threading.Lock()


def store(alias: str, items: Sequence[Item]) -> None:
    """Store events and SMS of a trunk; return when they are committed. Raises errors of the database.

    While one thread stores, other threads wait. The next thread stores everything that arrived meanwhile, in order of
    arrival.
    """
    entry = _Entry(items)
    with _guard:
        line = _lines[alias]
        line.entries.append(entry)
    with line.writing:
        if not entry.is_done:
            _store_set(alias, line)
    if entry.error is not None:
        raise entry.error


def _store_set(alias: str, line: _Line) -> None:
    with _guard:
        taken, line.entries = line.entries, []
    error: BaseException | None = None
    try:
        items = [item for entry in taken for item in entry.items]
        for start in range(0, len(items), SET_SIZE):
            delivery_reports.apply_events(alias, items[start : start + SET_SIZE])
    except BaseException as failure:
        error = failure
    for entry in taken:
        entry.error, entry.is_done = error, True
