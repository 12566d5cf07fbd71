"""Stop calling an unresponsive Redis for some seconds, so that only one request waits for its timeout."""

import time

BACKOFF_SECONDS = 3.0
SOCKET_SECONDS = 0.5  # how long a web request waits for Redis


class BackoffTimer:
    """A timer of this process.

    `is_on` is true for BACKOFF_SECONDS after `begin`. For backoff, or to limit repeated warnings.
    """

    def __init__(self) -> None:
        self._until = 0.0

    def begin(self) -> None:
        self._until = time.monotonic() + BACKOFF_SECONDS

    def is_on(self) -> bool:
        return time.monotonic() < self._until


redis_backoff = BackoffTimer()
