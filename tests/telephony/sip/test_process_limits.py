"""Test what the threads that send audio inherit: timers that may be merged, and short time slices."""

from __future__ import annotations

import ctypes
import platform
import struct
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

from telephony.carriers.sip.process_limits import (
    SCHED_SETATTR,
    TIME_SLICE_NANOSECONDS,
    TIMER_SLACK_NANOSECONDS,
    merged_timers,
    shorten_time_slices,
)

T = TypeVar("T")
PR_GET_TIMERSLACK = 30
BYTES = 56  # of `struct sched_attr`

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other kernels have neither")


def timer_slack() -> int:
    """Return that of this thread, in nanoseconds."""
    return ctypes.CDLL(None).prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0)


def time_slice() -> int:
    """Return that of this thread, in nanoseconds; 0 if the kernel does not know it."""
    attributes = ctypes.create_string_buffer(BYTES)
    ctypes.CDLL(None).syscall(SCHED_SETATTR[platform.machine()] + 1, 0, attributes, BYTES, 0)
    runtime: int = struct.unpack_from("=IIQiIQQQ", attributes.raw)[5]
    return runtime


def in_new_thread(read: Callable[[], T]) -> T:
    """Return the result from a thread, so that nothing that it sets outlives the test."""
    with ThreadPoolExecutor(max_workers=1) as threads:
        return threads.submit(read).result()


def test_threads_that_are_started_inside_have_merged_timers_and_later_ones_do_not() -> None:
    before = in_new_thread(timer_slack)
    with merged_timers():
        assert in_new_thread(timer_slack) == TIMER_SLACK_NANOSECONDS
    assert in_new_thread(timer_slack) == before


@pytest.mark.skipif(platform.machine() not in SCHED_SETATTR, reason="its system calls are not known")
def test_threads_inherit_short_time_slices() -> None:
    def read_in_next_thread() -> int:
        shorten_time_slices()
        return in_new_thread(time_slice)

    if not in_new_thread(time_slice):
        pytest.skip("this kernel has no time slices of threads")
    assert in_new_thread(read_in_next_thread) == TIME_SLICE_NANOSECONDS
