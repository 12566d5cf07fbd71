"""How much the tests try: `make test` tries little of everything, `make field` as much as a busy server meets.

This is the only place that reads IRIS_TEST_SCALE. A test that tries more at the scale of the field is marked `field`.
Limits and claims are the same at both scales: only counts depend on it.
"""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")

IS_FIELD = os.environ.get("IRIS_TEST_SCALE") == "field"


def at_scale(small: T, large: T) -> T:
    """The first for `make test`, the second for `make field`."""
    return large if IS_FIELD else small


def spread(values: list[T], *, turn: int, of: int = 3) -> list[T]:
    """For `make field` all values; for `make test` every third of them, so that three turns in a row try all."""
    return at_scale(values[turn % of :: of], values)
