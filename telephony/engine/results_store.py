"""Store a carrier's responses to submissions, even if the database is unavailable for some seconds."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence

from django.db import InterfaceError, OperationalError, close_old_connections, connection

from telephony.carriers.base import Carrier, Result
from telephony.engine import delivery_reports
from telephony.engine.failpoints import failpoint

log = logging.getLogger(__name__)

RESULT_ATTEMPTS = 5


def store(carrier: Carrier, results: Sequence[Result], *, attempts: Mapping[int, int]) -> None:
    """Store the results of submissions. Retries for some seconds if the database is unavailable.

    Deliveries whose results are not stored become unknown: they need a look-up, or end as lost.
    """
    for attempt in range(1, RESULT_ATTEMPTS + 1):
        try:
            delivery_reports.apply_results(carrier, results, attempts=attempts)
            break
        except (OperationalError, InterfaceError):
            if attempt == RESULT_ATTEMPTS or connection.in_atomic_block:
                raise
            log.warning("%d results of %s wait for the database", len(results), carrier.alias)
            time.sleep(1)
            close_old_connections()
    failpoint("stored")
