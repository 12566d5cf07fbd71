"""Pick an approved sender for each SMS, by the account, the trunk and the recipient's operator.

A trunk with `NEEDS_SENDER` in the carriers file sends no SMS without an approved sender. On other trunks, an SMS without an
approved sender has the trunk's own sender or the account's number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

from django.conf import settings
from django.db import connection

from iris.errors import Conflict
from telephony.carriers import get_carrier
from telephony.models import SenderOperator, SenderStatus
from telephony.numbering import OPERATOR_PREFIX_LENGTH, Operator, operator_of

WORDS = {
    Operator.NTC: SenderOperator.NTC.value,
    Operator.NCELL: SenderOperator.NCELL.value,
    Operator.SMART: SenderOperator.SMART.value,
}
_NAMES = {operator: f"{operator.value} numbers" for operator in WORDS} | {
    Operator.OTHER: "numbers of no Nepali mobile operator"
}


class NoSender(Conflict):
    """A trunk needs an approved sender for these SMS, and the account has none."""

    default_code = "no_sender"


class _Approved(NamedTuple):
    """An approved sender. Its values are in the order of preference: the smallest one is the best.

    `distance` is 0 for the account's own sender, and larger for a sender of the account above or of all accounts.
    """

    distance: int
    is_for_all_trunks: bool
    is_for_all_operators: bool
    id: int
    trunk: str
    operator: str
    address: str


def needs_sender(alias: str) -> bool:
    """Return whether a trunk sends no SMS without an approved sender."""
    return bool(settings.CARRIERS.get(alias, {}).get("NEEDS_SENDER"))


def takes_senders(alias: str) -> bool:
    """Return whether the carrier of a trunk lets each SMS have its own sender."""
    return alias in settings.CARRIERS and get_carrier(alias).takes_senders


class SenderChoice:
    """The approved senders of some accounts. One query reads them; `pick` needs no query.

    An account also uses the senders of the account above it and the senders for all accounts, but prefers its own. A test
    twin uses the senders of its account.
    """

    def __init__(self, owner_ids: Collection[int], *, locked: bool = False) -> None:
        """Read the approved senders. With `locked`, no approval can end before the current transaction ends."""
        self._approved: dict[int, list[_Approved]] = {owner: [] for owner in owner_ids}
        self._picked: dict[tuple[int, str, str], str | None] = {}
        with connection.cursor() as cursor:
            cursor.execute(
                f"""SELECT a.id,
                           CASE s.owner_id WHEN a.id THEN 0 WHEN a.parent_id THEN 1 WHEN live.id THEN 1
                                           WHEN live.parent_id THEN 2 ELSE 3 END AS distance,
                           s.trunk = '', s.operator = '', s.id, s.trunk, s.operator, s.address
                      FROM accounts_account a LEFT JOIN accounts_account live ON live.id = a.twin_of_id
                      JOIN telephony_sender s ON s.status = %s
                       AND (s.owner_id IS NULL OR s.owner_id IN (a.id, a.parent_id, live.id, live.parent_id))
                     WHERE a.id = ANY (%s)
                     ORDER BY s.id {"FOR SHARE OF s" if locked else ""}""",
                [SenderStatus.APPROVED.value, list(self._approved)],
            )
            for owner, *fields in cursor.fetchall():
                self._approved[owner].append(_Approved(*fields))
        for approved in self._approved.values():
            approved.sort()

    def pick(self, owner_id: int, alias: str, to: str) -> str | None:
        """Return the sender of an SMS; "" if the trunk decides; None if the trunk needs one and the account has none.

        `to` is the number in E.164, or at least its first OPERATOR_PREFIX_LENGTH characters.
        """
        key = owner_id, alias, to[:OPERATOR_PREFIX_LENGTH]
        if key not in self._picked:
            self._picked[key] = self._pick(owner_id, alias, WORDS.get(operator_of(to), ""))
        return self._picked[key]

    def _pick(self, owner_id: int, alias: str, operator: str) -> str | None:
        if not takes_senders(alias):
            return ""
        for one in self._approved[owner_id]:
            if one.trunk in ("", alias) and one.operator in ("", operator):
                return one.address
        return None if needs_sender(alias) else ""


def no_sender(numbers: Iterable[str], *, counts: Iterable[int] | None = None) -> NoSender:
    """Return the error for numbers whose SMS have no approved sender. `counts` has the number of SMS for each of them."""
    missing: Counter[Operator] = Counter()
    for number, count in (
        zip(numbers, counts, strict=True) if counts is not None else ((n, 1) for n in numbers)
    ):
        missing[operator_of(number)] += count
    named = " and ".join(
        f"{_NAMES[operator]} ({missing[operator]:,})" for operator in Operator if missing[operator]
    )
    return NoSender(
        f"This account has no approved sender for SMS to {named}. Request one (/api/system/senders/) and wait for its"
        " approval, or remove these numbers."
    )
