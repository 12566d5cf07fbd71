"""Choose the caller id: the phone number that a recipient sees."""

from __future__ import annotations

from telephony.models import PhoneNumber


def choose_caller(*, owner_id: int, wanted: str = "") -> str:
    """Return the caller number for an account's calls and SMS: `wanted` if the account owns it, else its first number.

    An empty string leaves the choice to the carrier.
    """
    owned = PhoneNumber.objects.filter(owner=owner_id).order_by("pk").values_list("number", flat=True)
    return (owned.filter(number=wanted).first() if wanted else None) or owned.first() or ""
