"""Few password hashes at a time: each takes about half a second of a processor, and a process has other work, too.

Hashing releases Python's global lock, so without a bound the threads of a web process would occupy every processor. A
login that finds its process busy waits, in one of few places: threads that wait answer nobody else, `/health`
included. A place that is free after seconds is worth more to a person than an error, and a queue without end is not.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from iris.errors import Throttled

PLACES = 3  # logins that may wait for a hash in one process
PLACES_OF_STRANGERS = 2  # among them those from addresses that have never logged in to the account
MAX_WAIT_SECONDS = 4.0
RETRY_SECONDS = 3

_free = threading.Condition()
_hashing = 0
_waiting = 0


class Busy(Throttled):
    """Too many logins are being checked at this moment."""

    default_code = "busy"


@contextmanager
def slot(*, known: bool) -> Iterator[None]:
    """Hold one of the process's `IRIS_LOGINS_AT_ONCE` slots for a hash while inside.

    `known` logins come from an address that has logged in to the account before: strangers never take all places to
    wait. Raises Busy where no place is free, or where no slot becomes free in time.
    """
    global _hashing, _waiting
    with _free:
        if _hashing >= settings.IRIS_LOGINS_AT_ONCE:
            if _waiting >= (PLACES if known else PLACES_OF_STRANGERS):
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
