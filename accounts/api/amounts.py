"""Credits as both dialects show them."""

from decimal import Decimal


def credits_json(amount: Decimal) -> int | float:
    """Whole credits as an int, others with their decimals."""
    return int(amount) if amount == int(amount) else float(amount)
