"""Scenarios in which the clocks of iris' machines jump. PostgreSQL's own clock stays right.

Each process gets a clock of its own by libfaketime (Debian: faketime), which reads the offset from a file each time. The
monotonic clock is left alone, as the kernel leaves it alone when the time is set.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.system import WORKERS, System
from tests.chaos.trial import Trial

LIBRARIES = [
    Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"),
    Path("/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1"),
    Path("/usr/lib/faketime/libfaketimeMT.so.1"),
]
OFFSETS = [3600, 0, -3600, 0, 20, -20, 86_400, -86_400]  # seconds


def library() -> Path | None:
    return next((one for one in LIBRARIES if one.exists()), None)


@contextmanager
def fake_clocks(system: System) -> Iterator[None]:
    """Let each process of iris have a clock that can be set."""
    for name in _names():
        _file(system, name).write_text("+0")
        system.variables_of[name] = {
            "LD_PRELOAD": str(library()),
            "FAKETIME_TIMESTAMP_FILE": str(_file(system, name)),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
    yield


def clock_jumps(trial: Trial) -> None:
    """Set the clock of one process forward or back, by up to a day, and then all clocks."""
    while not trial.is_over():
        names = _names() if trial.rng.random() < 0.3 else [trial.rng.choice(_names())]
        offset = trial.rng.choice(OFFSETS)
        for name in names:
            _set(trial.system, name, offset)
        trial.happens(f"{'all clocks' if len(names) > 1 else 'one clock'} set")
        trial.pause(2, 6)
        if trial.rng.random() < 0.5:
            for name in _names():
                _set(trial.system, name, 0)
            trial.wait_for_progress()


def _names() -> list[str]:
    return ["web", "beat", *(f"worker{number}" for number in range(WORKERS))]


def _file(system: System, name: str) -> Path:
    return system.home / f"clock-{name}"


def _set(system: System, name: str, seconds: int) -> None:
    """Replace the file, so that no process reads half of it."""
    file = _file(system, name)
    new = file.with_suffix(".new")
    new.write_text(f"{seconds:+d}")
    new.replace(file)
