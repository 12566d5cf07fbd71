"""Bound the processor time of a block of code, so that a slow machine and old garbage of other tests don't matter."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOOP_SECONDS = 0.0225  # CPU seconds of the loop in `slowness` on the machine for which the limits were chosen


def slowness() -> float:
    """Return how many times slower this processor is now than the reference machine. At least 1."""
    start = time.process_time()
    for _ in range(1_000_000):
        pass
    return max(1.0, (time.process_time() - start) / LOOP_SECONDS)


@contextmanager
def cpu_at_most(seconds: float, *, clock: Callable[[], float] = time.process_time) -> Iterator[None]:
    """Fail if the block needs more CPU seconds of the reference machine. `clock` may be `time.thread_time`.

    Garbage is not collected meanwhile: one collection looks at the objects of all earlier tests, which can take a second.
    """
    before = slowness()
    was_on = gc.isenabled()
    gc.disable()
    begun = clock()
    try:
        yield
        spent = clock() - begun
    finally:
        if was_on:
            gc.enable()
    allowed = seconds * max(before, slowness())
    assert spent < allowed, f"needed {spent:.2f} CPU seconds; {allowed:.2f} are allowed"
