"""Statements of credits: their lines, the hashes that chain them, and the check that compares them with the ledger.

`campaigns.reports.statements` closes days and reads statements, because its lines name campaigns and channels.
"""

import hashlib
import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple

from django.db import connection

from accounts.models import Account, ClosedDay, Statement

ZERO = Decimal("0.00")

# SHA-256 of entries `e` in the order of their ids. The text of a row quotes its columns, so two different entries never have
# the same text. The digest does not depend on the time zone or the date style of the session.
DIGEST = """
    encode(sha256(string_agg(sha256(convert_to(ROW(
        e.id, e.user_id, e.hold_id, e.kind, e.amount, e.balance_delta, e.held_delta, e.counterpart_id, e.cause, e.note,
        extract(epoch FROM e.created_at))::text, 'UTF8')), ''::bytea ORDER BY e.id)), 'hex')
"""


class Line(NamedTuple):
    """A sum of ledger entries of one day with the same kind, direction, purpose, campaign and channel.

    `balance` and `held` are what the entries added to the balance and to the open holds.
    """

    kind: str
    purpose: str
    campaign: int | None
    channel: str
    entries: int
    amount: Decimal
    balance: Decimal
    held: Decimal

    def stored(self) -> list[Any]:
        """Return the line as `Statement.lines` stores it. JSON has no decimals, so amounts are text."""
        return [*self[:5], f"{self.amount:f}", f"{self.balance:f}", f"{self.held:f}"]

    @classmethod
    def loaded(cls, values: list[Any]) -> "Line":
        """Return the line that `stored` has stored."""
        return cls(*values[:5], *map(Decimal, values[5:]))


def hash_of(statement: Statement) -> str:
    """Return the hash of a statement, which covers the hash of the one before."""
    content = {
        "account": statement.account_id,
        "day": f"{statement.day:%Y-%m-%d}",
        "opening": [f"{statement.opening_balance:.2f}", f"{statement.opening_held:.2f}"],
        "closing": [f"{statement.closing_balance:.2f}", f"{statement.closing_held:.2f}"],
        "entries": statement.entries,
        "lines": statement.lines,
        "digest": statement.digest,
        "previous": statement.previous,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def verify(account: Account) -> Iterator[str]:
    """Compare the statements of an account with each other and with the ledger. Yield a sentence for each difference."""
    days = list(ClosedDay.objects.order_by("day"))
    statements = list(Statement.objects.filter(account=account).order_by("day"))
    yield from _broken_chain(statements)
    booked = _booked(account, days)
    for statement in statements:
        count, digest = booked.pop(statement.day, (0, ""))
        if (count, digest) != (statement.entries, statement.digest):
            yield _difference(account, statement, days, count)
    for day, (count, _) in sorted(booked.items()):
        yield f"{_name(day)}: the ledger has {_entries(count)}, but there is no statement that contains them"


def verify_days() -> Iterator[str]:
    """Yield a sentence for each gap or overlap between closed days."""
    for before, after in pairwise(ClosedDay.objects.order_by("day")):
        if before.ends_at != after.starts_at:
            yield f"{after.day} does not begin where {before.day} ended"


def _broken_chain(statements: list[Statement]) -> Iterator[str]:
    previous, balance, held = "", ZERO, ZERO
    for statement in statements:
        lines = [Line.loaded(values) for values in statement.lines]
        if statement.hash != hash_of(statement):
            yield f"{statement.day}: the statement was changed, because its hash does not fit its content"
        if statement.previous != previous:
            yield f"{statement.day}: the statement before was changed, removed or inserted"
        if (statement.opening_balance, statement.opening_held) != (balance, held):
            yield (
                f"{statement.day}: the statement begins with {statement.opening_balance:f} and {statement.opening_held:f}"
                f" on hold, but the one before ends with {balance:f} and {held:f}"
            )
        balance = statement.opening_balance + sum((line.balance for line in lines), ZERO)
        held = statement.opening_held + sum((line.held for line in lines), ZERO)
        if (statement.closing_balance, statement.closing_held) != (balance, held):
            yield f"{statement.day}: the lines of the statement do not add up to its closing balance"
        previous, balance, held = statement.hash, statement.closing_balance, statement.closing_held


def _booked(account: Account, days: list[ClosedDay]) -> dict[date | None, tuple[int, str]]:
    """Return the number and the digest of the ledger entries of each closed day.

    The key None stands for entries before the first closed day.
    """
    if not days:
        return {}
    # Bucket n has the entries of the n-th day. Entries before the first day were inserted with an older date.
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT width_bucket(e.created_at, %s::timestamptz[]) AS bucket, count(*), {DIGEST}
                  FROM accounts_creditentry e WHERE e.user_id = %s AND e.created_at < %s GROUP BY bucket""",
            [[day.starts_at for day in days], account.pk, days[-1].ends_at],
        )
        return {
            days[bucket - 1].day if bucket else None: (count, digest)
            for bucket, count, digest in cursor.fetchall()
        }


def _difference(account: Account, statement: Statement, days: list[ClosedDay], count: int) -> str:
    stored: dict[str, Decimal] = {}
    for line in map(Line.loaded, statement.lines):
        stored[line.kind] = stored.get(line.kind, ZERO) + line.amount
    day = next((one for one in days if one.day == statement.day), None)
    if day is None:
        return f"{statement.day}: there is a statement, but the day was never closed"
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT kind, sum(amount) FROM accounts_creditentry
                WHERE user_id = %s AND created_at >= %s AND created_at < %s GROUP BY kind""",
            [account.pk, day.starts_at, day.ends_at],
        )
        booked: dict[str, Decimal] = dict(cursor.fetchall())
    sums = [
        f"{kind} {stored.get(kind, ZERO):f} in the statement and {booked.get(kind, ZERO):f} in the ledger"
        for kind in sorted(stored.keys() | booked.keys())
        if stored.get(kind, ZERO) != booked.get(kind, ZERO)
    ]
    if count != statement.entries:
        problem = f"the statement has {_entries(statement.entries)}, but the ledger has {_entries(count)}"
    else:
        problem = "an entry of the ledger was changed since the day was closed"
    return f"{statement.day}: {'; '.join([problem, *sums])}"


def _name(day: date | None) -> str:
    return "before the first closed day" if day is None else f"{day}"


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count:,} entries"
