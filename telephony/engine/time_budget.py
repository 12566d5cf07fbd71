"""Limit how long a dispatcher claims deliveries."""

from __future__ import annotations

import time
from collections.abc import Callable

from telephony.engine import shutdown


class TimeBudget:
    """Limit how long a dispatcher may claim deliveries."""

    def __init__(self, *, budget: float, may_continue: Callable[[], bool]) -> None:
        self._budget = budget
        self._may_continue = may_continue
        self._until = time.monotonic() + budget
        self._is_over = False

    def is_over(self) -> bool:
        """Return whether the time is over or the worker is stopping. Once the time is over, it stays over."""
        if not self._is_over and time.monotonic() >= self._until:
            self._is_over = not self._may_continue()
            self._until = time.monotonic() + self._budget
        return self._is_over or shutdown.is_ending()
