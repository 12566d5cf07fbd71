"""Limit how many password hashes a process computes at the same time. Each takes about half a second of CPU.

Hashing releases the GIL, so without a limit the threads of a web process would occupy every CPU. If all slots are
taken, a login waits up to MAX_WAIT_SECONDS, because a short wait is better for a person than an error. The number of
waiting logins is limited too: a waiting thread cannot serve other requests, such as `/health`.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from iris.errors import Throttled

MAX_WAITING = 3  # logins that may wait for a slot in one process
MAX_WAITING_STRANGERS = 2  # waiting logins from addresses that have never logged in to the account
MAX_WAIT_SECONDS = 4.0
RETRY_SECONDS = 3

_free = threading.Condition()
_hashing = 0
_waiting = 0


class Busy(Throttled):
    """Too many passwords are being checked at this moment."""

    default_code = "busy"


@contextmanager
def slot(*, known: bool) -> Iterator[None]:
    """Occupy one of the process's `IRIS_LOGINS_AT_ONCE` hashing slots inside the block.

    `known` means that the address has logged in to the account before. Other logins can never occupy all waiting
    places. Raises Busy if no waiting place is free, or if no slot becomes free within MAX_WAIT_SECONDS.
    """
    global _hashing, _waiting
    with _free:
        if _hashing >= settings.IRIS_LOGINS_AT_ONCE:
            if _waiting >= (MAX_WAITING if known else MAX_WAITING_STRANGERS):
                raise _busy()
            _waiting += 1
            try:
                freed = _free.wait_for(lambda: _hashing < settings.IRIS_LOGINS_AT_ONCE, MAX_WAIT_SECONDS)
            finally:
                _waiting -= 1
            if not freed:
                raise _busy()
        _hashing += 1
    try:
        yield
    finally:
        with _free:
            _hashing -= 1
            _free.notify()


def _busy() -> Busy:
    return Busy(
        f"Many people are logging in at this moment. Wait {RETRY_SECONDS} seconds and try again.",
        wait=RETRY_SECONDS,
    )
