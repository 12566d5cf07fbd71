"""Amounts of credits in the JSON of both dialects."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from rest_framework import serializers

from accounts.credits import CENT, MAX_AMOUNT, checked_amount
from iris.api.fields import quoted, sent_value
from iris.errors import InvalidInput

MAX_CHARACTERS = 40  # of an amount that is sent as text


class Amount(serializers.Field[Decimal, Any, Any, Decimal]):
    """An amount of credits to move: a number, or text such as "12.50". At least 0.01, with at most two decimals."""

    json_schema = {"type": "number", "minimum": 0.01, "multipleOf": 0.01}
    default_error_messages = {
        "required": "This is missing: it must be a number of credits, such as 500 or 12.50.",
        "invalid": "{value} is not a number of credits: write it as 500 or 12.50.",
        "range": "{value} is not possible: the amount must be from {least} to {most}, with at most two decimals.",
    }

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        return sent_value(dictionary, self.field_name)

    def to_internal_value(self, data: Any) -> Decimal:
        is_text = isinstance(data, str) and len(data) <= MAX_CHARACTERS and data.isascii() and "_" not in data
        if not is_text and (isinstance(data, bool) or not isinstance(data, int | float)):
            self.fail("invalid", value=quoted(data))
        try:
            # Converted through text, because a float such as 0.1 has many decimals. `repr` raises ValueError for an integer
            # of thousands of digits.
            amount = Decimal(data.strip() if isinstance(data, str) else repr(data))
        except (InvalidOperation, ValueError):
            self.fail("invalid", value=quoted(data))
        if amount.is_nan():
            self.fail("invalid", value=quoted(data))
        try:
            amount = checked_amount(amount)
        except InvalidInput:
            amount = Decimal(0)
        if amount == 0:
            self.fail("range", value=quoted(data), least=CENT, most=f"{MAX_AMOUNT:,}")
        return amount


def credits_json(amount: Decimal) -> int | float:
    """Return whole credits as an int and other amounts as a float."""
    return int(amount) if amount == int(amount) else float(amount)
