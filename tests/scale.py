"""Choose how much the tests try: `make test` tries a little of everything, `make field` as much as a busy server handles.

Only this module reads IRIS_TEST_SCALE. A test that tries more with `make field` is marked `field`. Only counts depend
on the scale; limits and assertions do not.
"""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")

IS_FIELD = os.environ.get("IRIS_TEST_SCALE") == "field"


def at_scale(small: T, large: T) -> T:
    """Return `small` for `make test`, and `large` for `make field`."""
    return large if IS_FIELD else small


def spread(values: list[T], *, part: int, of: int = 3) -> list[T]:
    """Return all values for `make field`, and one of every `of` values for `make test`.

    Together, `of` consecutive values of `part` cover all values.
    """
    return at_scale(values[part % of :: of], values)
