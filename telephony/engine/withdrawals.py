"""Check again and again whether claimed deliveries must still be submitted, until they are."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from concurrent.futures import Future, wait
from functools import partial

from telephony.engine.database_thread import DatabaseThread, done_now
from telephony.engine.submission import Departure
from telephony.models import Cause
from telephony.optouts.claimed import withdrawn_since_claim

CHECK_SECONDS = 0.1  # between two checks
# A delivery is not submitted if its claim and its last check are older than this. So opt-outs take effect within a second.
FRESH_SECONDS = 0.5


class WithdrawalCheck:
    """The checks of one dispatcher. All times are monotonic."""

    def __init__(self) -> None:
        self._running: Future[dict[int, Cause]] | None = None
        self._began_at = 0.0
        self._checked_at = 0.0  # when the last finished check began

    def start(self, departures: Collection[Departure], database: DatabaseThread | None) -> None:
        """Start a check, unless the last one began a moment ago. What a claim has just returned needs none.

        Without a `database` thread, the check is finished when this returns.
        """
        now = time.monotonic()
        if self._running is None and now - self._began_at > CHECK_SECONDS:
            self._began_at = now
            ids = [one.delivery.id for one in departures if one.claimed_at < now - CHECK_SECONDS]
            if ids:
                check = partial(withdrawn_since_claim, ids)
                self._running = done_now(check) if database is None else database.start(check)

    def collect(self) -> Mapping[int, Cause]:
        """Return what a finished check has found. Raises the errors of the database."""
        if self._running is None or not self._running.done():
            return {}
        running, self._running = self._running, None
        self._checked_at = self._began_at
        return running.result()

    def is_fresh(self, departure: Departure) -> bool:
        return time.monotonic() - max(departure.claimed_at, self._checked_at) < FRESH_SECONDS

    def wait(self) -> None:
        """Wait until the check is finished, if there is one."""
        if self._running is not None:
            wait([self._running])
