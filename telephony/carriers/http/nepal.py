"""Numbers as the SMS gateways of Nepal write them."""

from __future__ import annotations

import re

_MOBILE = re.compile(r"\+977(9[678][0-9]{8})")


def nepali_mobile(to: str) -> str | None:
    """Return the ten digits of a Nepali mobile number in E.164; None for any other number."""
    found = _MOBILE.fullmatch(to)
    return found[1] if found else None
