"""Whose network a number is in, as far as its first digits tell: people keep their number when they change."""

from __future__ import annotations

import enum


class Operator(enum.Enum):
    NTC = "Nepal Telecom"
    NCELL = "Ncell"
    OTHER = "another one, or none of Nepal"


PREFIX = len("+977984")  # as many characters of an E.164 number as it takes

_MOBILES = {
    Operator.NTC: ("974", "975", "976", "984", "985", "986"),
    Operator.NCELL: ("970", "980", "981", "982"),
}
_BY_PREFIX = {f"+977{digits}": operator for operator, all_digits in _MOBILES.items() for digits in all_digits}


def operator_of(to: str) -> Operator:
    """The operator of an E.164 number, or of its first `PREFIX` characters."""
    return _BY_PREFIX.get(to[:PREFIX], Operator.OTHER)
