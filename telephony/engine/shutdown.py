"""Tell all processes of a worker that it is stopping, so that they end their time slices at once."""

from __future__ import annotations

import mmap
from typing import Any

from celery.signals import worker_shutting_down

# Shared memory with the forked processes of the pool, because only their parent receives the signal.
_flag: mmap.mmap | bytearray = mmap.mmap(-1, 1)


def is_ending() -> bool:
    return bool(_flag[0])


def end(**kwargs: Any) -> None:
    """End the time slices of this worker."""
    _flag[0] = 1


worker_shutting_down.connect(end, dispatch_uid="telephony.engine.shutdown")
