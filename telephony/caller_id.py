"""Choose the caller id: the phone number that a recipient sees."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from telephony.models import Channel, PhoneNumber


def choose_caller(*, owner_id: int, wanted: str = "") -> str:
    """Return the caller number for an account's calls and SMS: `wanted` if the account owns it, else its first number.

    An empty string leaves the choice to the carrier.
    """
    owned = PhoneNumber.objects.filter(owner=owner_id).order_by("pk").values_list("number", flat=True)
    return (owned.filter(number=wanted).first() if wanted else None) or owned.first() or ""


def showable_callers(deliveries: Sequence[tuple[int, Channel, str, str]]) -> list[str]:
    """Return the caller number of each delivery, given as (id of the owner, channel, chosen number, alias of the trunk).

    This is the chosen number if the trunk can show it, else the owner's first number that the trunk can show, else "".
    Executes one query, and a second one if a chosen number cannot be shown.
    """
    owners = {owner for owner, _, number, _ in deliveries if number}
    limited = {
        (one.owner_id, one.number): one for one in PhoneNumber.objects.filter(owner__in=owners).limited()
    } if owners else {}  # fmt: skip
    wrong = {
        key
        for key in set(deliveries)
        if (one := limited.get((key[0], key[2]))) is not None and not one.can_show(key[1], key[3])
    }
    if not wrong:
        return [number for _, _, number, _ in deliveries]
    instead: dict[tuple[int, Channel, str, str], str] = {}
    # Skip locked numbers, because the transaction that holds the lock may be releasing the number.
    rows = PhoneNumber.objects.filter(owner__in={owner for owner, *_ in wrong}).order_by("pk")
    with transaction.atomic():
        owned = list(rows.select_for_update(no_key=True, skip_locked=True))
    for owner, channel, number, alias in wrong:
        able = (one.number for one in owned if one.owner_id == owner and one.can_show(channel, alias))
        instead[owner, channel, number, alias] = next(able, "")
    return [instead.get(key, key[2]) for key in deliveries]
