"""A scenario in which the clocks of iris' machines jump. PostgreSQL's own clock stays right.

Each process gets a clock of its own by a small library that it preloads (`clock.c`), compiled with the C compiler of the
machine. The monotonic clock is left alone, as the kernel leaves it alone when somebody sets the time.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.system import WORKERS, System
from tests.chaos.trial import Trial

SOURCE = Path(__file__).with_name("clock.c")
COMPILER = "cc"
OFFSETS = [3600, -3600, 20, -20, 86_400, -86_400]  # seconds
NAMES = ["web", "beat", *(f"worker{number}" for number in range(WORKERS))]


@contextmanager
def settable_clocks(system: System) -> Iterator[None]:
    """Let each process of iris have a clock that can be set. Enter it before the processes start."""
    compiler, library = shutil.which(COMPILER), system.home / "clock.so"
    assert compiler is not None
    built = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(built, check=True, capture_output=True)
    for name in NAMES:
        _set(system, name, 0)
        system.variables_of[name] = {
            "LD_PRELOAD": str(library),
            "CLOCK_OFFSET_FILE": str(_file(system, name)),
        }
    yield


def clock_jumps(trial: Trial) -> None:
    """Set the clock of one process forward or back by up to a day, or those of all processes, and right again."""
    while not trial.is_over():
        offset = trial.rng.choice(OFFSETS)
        if trial.rng.random() < 0.5:
            set_clocks(trial, NAMES, offset)  # clocks that agree with one another stop nothing
        else:
            _set(trial.system, trial.rng.choice(NAMES), offset)
            trial.happens("one clock set")
        trial.pause(2, 6)
        set_clocks(trial, NAMES, 0)


def set_clocks(trial: Trial, names: list[str], seconds: int) -> None:
    """Set the clocks of these processes, and wait until the campaign goes on."""
    for name in names:
        _set(trial.system, name, seconds)
    trial.happens("all clocks set" if seconds else "clocks set right")
    trial.wait_for_progress()


def _file(system: System, name: str) -> Path:
    return system.home / f"clock-{name}"


def _set(system: System, name: str, seconds: int) -> None:
    """Write the offset in place: the processes have mapped this file."""
    file = _file(system, name)
    file.touch()
    with file.open("r+b") as opened:
        opened.write(struct.pack("=q", seconds))
