"""Test what the threads that send audio inherit: timers that may be merged, and short time slices."""

from __future__ import annotations

import ctypes
import platform
import struct
import sys
import threading

import pytest

from telephony.carriers.sip.process_limits import (
    SCHED_SETATTR,
    TIME_SLICE_NANOSECONDS,
    TIMER_SLACK_NANOSECONDS,
    audio_threads,
)

PR_GET_TIMERSLACK = 30
BYTES = 56  # of `struct sched_attr`

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other kernels have neither")


def timer_slack_and_time_slice() -> tuple[int, int]:
    """Return both for a new thread, in nanoseconds. The slice is 0 if the kernel does not know it."""
    found: list[tuple[int, int]] = []

    def read() -> None:
        libc = ctypes.CDLL(None)
        attributes = ctypes.create_string_buffer(BYTES)
        libc.syscall(SCHED_SETATTR[platform.machine()] + 1, 0, attributes, BYTES, 0)
        *_, runtime, _, _ = struct.unpack_from("=IIQiIQQQ", attributes.raw)
        found.append((libc.prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0), runtime))

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.skipif(platform.machine() not in SCHED_SETATTR, reason="its system calls are not known")
def test_threads_that_are_started_inside_inherit_both_and_later_ones_do_not() -> None:
    before = timer_slack_and_time_slice()
    with audio_threads():
        slack, time_slice = timer_slack_and_time_slice()
    assert slack == TIMER_SLACK_NANOSECONDS
    if before[1]:  # Linux 6.12 and later
        assert time_slice == TIME_SLICE_NANOSECONDS
    assert timer_slack_and_time_slice() == before
