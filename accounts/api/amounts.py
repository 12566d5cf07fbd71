"""Amounts of credits in the JSON of both dialects."""

from decimal import Decimal


def credits_json(amount: Decimal) -> int | float:
    """Return whole credits as an int and other amounts as a float."""
    return int(amount) if amount == int(amount) else float(amount)
