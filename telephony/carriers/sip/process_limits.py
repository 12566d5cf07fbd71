"""Set what the operating system allows this process: open files, timers that may be merged, and short time slices."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import struct
import sys
from collections.abc import Iterator

# The stack polls each call 250 times a second for audio to send. If the kernel may merge these timers, packets are up to
# 13 ms late instead of 4, while phones buffer at least 40 ms, and there are half as many polls.
TIMER_SLACK_NANOSECONDS = 9_000_000
PR_SET_TIMERSLACK = 29
# A thread with short time slices waits less for a busy processor, but gets no more processor time. Linux 6.12 and later
# support this. Without short time slices, a busy machine sends many packets late. All threads of the worker need it, because
# they share the interpreter's lock.
TIME_SLICE_NANOSECONDS = 100_000
SCHED_SETATTR = {"x86_64": 314, "aarch64": 274, "riscv64": 274}  # system calls
SCHED_FLAG_KEEP_POLICY = 8
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


def shorten_time_slices() -> None:
    """Give this thread, and all that it starts, short time slices. Kernels that do not know them ignore it."""
    number = SCHED_SETATTR.get(platform.machine()) if sys.platform == "linux" else None
    if number is None:
        return
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    # `struct sched_attr`: size, policy, flags, nice, priority, runtime, deadline, period
    attributes = struct.pack(
        "=IIQiIQQQ", 48, 0, SCHED_FLAG_KEEP_POLICY, nice, 0, TIME_SLICE_NANOSECONDS, 0, 0
    )
    ctypes.CDLL(None).syscall(number, 0, attributes, 0)
