"""Remember for a few seconds what the engine has learned about the receipts of a trunk."""

from __future__ import annotations

import time

from telephony.models import PartReporting

CACHE_SECONDS = 5.0


class CachedPartReporting:
    """Caches whether the SMSC of a trunk sends one receipt for a whole long SMS.

    `telephony.engine.part_reports` has learned that from its receipts.
    """

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self._reports_once = False
        self._read_at = -CACHE_SECONDS

    def reports_once(self) -> bool:
        """Return whether this SMSC sends one receipt for a long SMS in parts."""
        now = time.monotonic()
        if now - self._read_at >= CACHE_SECONDS:
            self._read_at = now
            known = PartReporting.objects.filter(trunk__alias=self._alias, one_since__isnull=False)
            self._reports_once = known.exists()
        return self._reports_once
