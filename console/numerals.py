"""Numbers as people read them: grouped, and in the digits of the language unless the person prefers 0 to 9."""

from __future__ import annotations

from decimal import Decimal

from django.utils.translation import get_language

from iris.languages import uses_latin_digits

DEVANAGARI = str.maketrans("0123456789", "०१२३४५६७८९")


def in_digits(text: str) -> str:
    """Return the text with its digits in Devanagari, if that is how the person reads numbers."""
    return text.translate(DEVANAGARI) if get_language() == "ne" and not uses_latin_digits() else text


def grouped(number: int | Decimal, *, places: int | None = None) -> str:
    """Return a number with its digits in groups: 1,234,567 in English, and 12,34,567 in Nepali (lakh).

    Amounts have two decimal places, or none if they are whole. `places` fixes them.
    """
    amount = Decimal(number)
    if places is None:
        places = 0 if amount == amount.to_integral_value() else 2
    sign, _, rest = f"{amount:,.{places}f}".rpartition("-")
    whole, point, fraction = rest.partition(".")
    if get_language() == "ne":
        whole = _in_lakhs(whole.replace(",", ""))
    minus = "−" if sign or f"{amount:.{places}f}".startswith("-") else ""
    return in_digits(f"{minus}{whole}{point}{fraction}")


def _in_lakhs(digits: str) -> str:
    head, tail = digits[:-3], digits[-3:]
    groups: list[str] = []
    while head:
        groups.insert(0, head[-2:])
        head = head[:-2]
    return ",".join([*groups, tail])
