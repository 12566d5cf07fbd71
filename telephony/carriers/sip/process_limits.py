"""Set what the operating system allows this process: enough open files, and timers that may be merged."""

from __future__ import annotations

import contextlib
import ctypes
import resource
import sys
from collections.abc import Iterator

# The stack polls each call 250 times a second for audio to send. If the kernel may merge these timers, packets are up to
# 13 ms late instead of 4, while phones buffer at least 40 ms, and there are half as many polls.
TIMER_SLACK_NANOSECONDS = 9_000_000
PR_SET_TIMERSLACK = 29
MAX_OPEN_FILES = 65_536


def raise_file_limit() -> None:
    """Raise the limit of open files, because each call needs two sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and (hard == resource.RLIM_INFINITY or soft < hard):
        with contextlib.suppress(ValueError, OSError):
            wanted = min(hard, MAX_OPEN_FILES) if hard > 0 else MAX_OPEN_FILES
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextlib.contextmanager
def merged_timers() -> Iterator[None]:
    """Merge the timers of threads that are started inside the block, and of threads that those threads start."""
    _set_timer_slack(TIMER_SLACK_NANOSECONDS)
    try:
        yield
    finally:
        _set_timer_slack(0)


def _set_timer_slack(nanoseconds: int) -> None:
    """Set the timer slack of this thread and of those it starts. 0 restores the default. Does nothing outside Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0)
