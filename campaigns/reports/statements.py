"""Close the days of the ledger, and compute statements of credits by day, campaign and channel.

A day is closed for all accounts together, some hours after it has ended: each account with entries gets a `Statement`.
Statements of longer periods are read from these, so they cost a row per day; only days that are not closed yet are computed
from the ledger.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zlib import crc32

from django.db import connection, transaction
from django.utils import timezone

from accounts.models import Account, ClosedDay, CreditEntry, Statement
from accounts.statements import DIGEST, ZERO, Line, hash_of
from campaigns.models import Campaign
from iris.errors import InvalidInput

MAX_DAYS = 366
MAX_LINES = 100_000
# How long after its end a day is closed. An entry becomes visible only when its transaction ends, and no transaction with
# entries lasts longer than this. The time also covers differences between the clocks of the machines.
SETTLING = timedelta(hours=2)
PROBE = 10_000  # entries between two probes for the end of a day
BATCH_SIZE = 500


@dataclass(frozen=True, kw_only=True)
class DayLine:
    """One line of a statement, with its day."""

    day: date
    line: Line


@dataclass(frozen=True, kw_only=True)
class AccountStatement:
    """The credits of an account in a period.

    For the balance and for the credits on hold, opening plus all lines gives closing.

    `closed_until` is the last closed day of the period. `hash` is the hash of the latest statement up to that day.
    """

    first: date
    last: date
    opening_balance: Decimal
    opening_held: Decimal
    closing_balance: Decimal
    closing_held: Decimal
    lines: list[DayLine]
    names: dict[int, str]
    closed_until: date | None
    hash: str


def statement(*, account: Account, first: date, last: date) -> AccountStatement:
    """Return the statement of an account from `first` to `last`, both included. Raises InvalidInput.

    Everything is read by one SQL statement, so bookings at the same time are either completely in it or not at all.
    """
    check_days(first, last)
    zone = timezone.get_default_timezone_name()
    with connection.cursor() as cursor:
        cursor.execute(
            _READ,
            {"account": account.pk, "first": first, "last": last, "zone": zone, "most": MAX_LINES + 1},
        )
        rows = cursor.fetchall()
    balance, held = ZERO, ZERO
    closed_until, newest_hash = None, ""
    length = 0
    lines: list[DayLine] = []
    for what, day, hashed, text in rows:
        content = json.loads(text or "null")
        if what == "closed":
            closed_until = day
        elif what == "length":
            length += content
        elif what == "before":
            balance, held, newest_hash = Decimal(content[0]), Decimal(content[1]), hashed
        elif what == "stored":
            lines += [DayLine(day=day, line=Line.loaded(values)) for values in content]
            newest_hash = hashed
        else:
            length += 1
            line = Line.loaded(content)
            if day < first:  # not closed yet, and before the statement
                balance, held = balance + line.balance, held + line.held
            else:
                lines.append(DayLine(day=day, line=line))
    if length > MAX_LINES:
        raise InvalidInput(
            f"This statement would have more than {MAX_LINES:,} lines. Ask for fewer days at a time.",
            code="too_many_lines",
        )
    # Transfers to an account and transfers from it differ only in the sign of the amount that they add to the balance.
    lines.sort(
        key=lambda one: (one.day, one.line.kind, one.line.campaign or 0, one.line[1:4:2], one.line.balance)
    )
    ids = {one.line.campaign for one in lines if one.line.campaign is not None}
    return AccountStatement(
        first=first,
        last=last,
        opening_balance=balance,
        opening_held=held,
        closing_balance=balance + sum((one.line.balance for one in lines), ZERO),
        closing_held=held + sum((one.line.held for one in lines), ZERO),
        lines=lines,
        names=dict(Campaign.objects.filter(owner=account, pk__in=ids).values_list("pk", "name")),
        closed_until=min(closed_until, last) if closed_until and closed_until >= first else None,
        hash=newest_hash,
    )


def check_days(first: date, last: date) -> None:
    """Raise InvalidInput unless these are at most MAX_DAYS days, in order."""
    if first > last:
        message = f"The first day, {first}, is after the last day, {last}. Swap them."
        raise InvalidInput(message, errors=[{"field": "from", "message": message}])
    if (last - first).days >= MAX_DAYS:
        message = f"A statement covers at most {MAX_DAYS} days; these are {(last - first).days + 1:,}. Ask for fewer."
        raise InvalidInput(message, errors=[{"field": "from", "message": message}])


def close_days(*, now: datetime | None = None) -> Iterator[date]:
    """Close each day that ended more than SETTLING ago, the oldest first. Yield it when its statements are stored.

    Idempotent, and safe to run several times at once: of two processes, one closes the day.
    """
    settled = (now or _database_time()) - SETTLING
    while (day := _close_next(settled)) is not None:
        yield day


def _database_time() -> datetime:
    """Return the time of the clock by which entries are booked. A process with a wrong clock must not close today."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        (now,) = cursor.fetchone()
    return now  # type: ignore[no-any-return]


def _close_next(settled: datetime) -> date | None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, 0)", [crc32(b"statements") - 2**31])
        if not cursor.fetchone()[0]:
            return None  # another process is closing days
        newest = ClosedDay.objects.order_by("-day").first()
        if newest is None:
            oldest = CreditEntry.objects.order_by("pk").first()
            if oldest is None:
                return None
            # The ids of entries that were booked at the same moment may be in another order.
            day = timezone.localdate(oldest.created_at - SETTLING)
            starts_at, first_entry = _midnight(day), 0
        else:
            day = newest.day + timedelta(days=1)
            starts_at, first_entry = newest.ends_at, newest.next_entry
        # After a change of the time zone, a day may be shorter or longer, but never ends before it begins.
        ends_at = max(_midnight(day + timedelta(days=1)), starts_at)
        if ends_at > settled:
            return None
        limit = _first_entry_after(ends_at + SETTLING, first_entry)
        span: dict[str, Any] = {"from": starts_at, "to": ends_at, "first": first_entry, "limit": limit}
        cursor.execute(_NEXT_ENTRY, span)
        (next_entry,) = cursor.fetchone()
        if not _store(day, span):
            return None
        ClosedDay.objects.create(day=day, starts_at=starts_at, ends_at=ends_at, next_entry=next_entry)
    return day


def _first_entry_after(moment: datetime, entry: int) -> int:
    """Return the id of an entry that was booked after this moment, or else the highest id. Looks at few entries."""
    step = PROBE
    while True:
        found = (
            CreditEntry.objects.filter(pk__gte=entry + step)
            .order_by("pk")
            .values_list("pk", "created_at")
            .first()
        )
        if found is None:
            return CreditEntry.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        if found[1] > moment:
            return found[0]
        entry, step = found[0], 2 * step


def _store(day: date, span: dict[str, Any]) -> bool:
    """Store the statements of a day. Store nothing and return False if entries of the day were still being booked."""
    lines: defaultdict[int, list[Line]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT e.user_id, count(*), {DIGEST} {_OF_DAY} GROUP BY e.user_id", span)
        digests = {account_id: (count, digest) for account_id, count, digest in cursor.fetchall()}
        cursor.execute(_LINES_OF_DAY, span)
        for account_id, *values in cursor.fetchall():
            lines[account_id].append(Line(*values))
        counted = {account_id: sum(line.entries for line in of_one) for account_id, of_one in lines.items()}
        if counted != {account_id: count for account_id, (count, _) in digests.items()}:
            return False
        cursor.execute(
            """SELECT DISTINCT ON (account_id) account_id, closing_balance, closing_held, hash FROM accounts_statement
                WHERE account_id = ANY(%s) ORDER BY account_id, day DESC""",
            [list(digests)],
        )
        before = {account_id: rest for account_id, *rest in cursor.fetchall()}
    new = []
    for account_id, (count, digest) in digests.items():
        balance, held, previous = before.get(account_id, (ZERO, ZERO, ""))
        of_one = sorted(lines[account_id], key=lambda line: (line.kind, line.campaign or 0, line[1:]))
        stored = Statement(
            account_id=account_id,
            day=day,
            opening_balance=balance,
            opening_held=held,
            closing_balance=balance + sum((line.balance for line in of_one), ZERO),
            closing_held=held + sum((line.held for line in of_one), ZERO),
            entries=count,
            lines=[line.stored() for line in of_one],
            digest=digest,
            previous=previous,
        )
        stored.hash = hash_of(stored)
        new.append(stored)
    Statement.objects.bulk_create(new, batch_size=BATCH_SIZE)
    return True


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min), timezone.get_default_timezone())


# Entries are summed by hold and channel first, because an account has few holds and many entries. `_SUM` and `_BY` do that,
# for entries `e`. The channel is that of the delivery that was paid.
_IS_NUMBER = "e.kind = 'charge' AND e.cause LIKE 'phone\\_number:%%'"
_SUM = f"""
    e.hold_id, e.kind, {_IS_NUMBER} AS is_number, coalesce(d.channel, '') AS channel, count(*) AS entries,
    sum(e.amount) AS amount, sum(e.balance_delta) AS balance, sum(e.held_delta) AS held
"""
_BY = f"e.hold_id, e.kind, {_IS_NUMBER}, d.channel, sign(e.balance_delta)"
_JOINS = """
    LEFT JOIN telephony_delivery d ON d.owner_id = e.user_id AND d.id =
         CASE WHEN e.hold_id IS NOT NULL AND e.cause LIKE 'delivery:%%' AND length(e.cause) BETWEEN 10 AND 27
                   AND translate(substr(e.cause, 10), '0123456789', '') = '' THEN substr(e.cause, 10)::bigint END
"""
# Then the purpose and the campaign of a sum `s` are those of its hold: a run of a campaign, or an OTP.
_PURPOSE = """
    CASE WHEN h.cause ~ '^campaign:[0-9]{1,18}:run:' THEN 'campaign'
         WHEN h.cause ~ '^otp:' THEN 'otp'
         WHEN h.cause ~ '^seed:' THEN 'seed'
         WHEN s.is_number THEN 'phone_number'
         ELSE '' END
"""
_CAMPAIGN = "substring(h.cause FROM '^campaign:([0-9]{1,18}):run:')::bigint"
_GROUPS = f"s.kind, sign(s.balance), {_PURPOSE}, {_CAMPAIGN}, s.channel"
_LINE = f"""
    s.kind, {_PURPOSE}, {_CAMPAIGN}, s.channel, sum(s.entries)::bigint, sum(s.amount), sum(s.balance), sum(s.held)
"""
_HOLDS = "LEFT JOIN accounts_credithold h ON h.id = s.hold_id"
_WITHIN = """
    WHERE e.id >= %(first)s AND e.id <= %(limit)s AND e.created_at >= %(from)s AND e.created_at < %(to)s
"""
# The first id of the next day. The ids around the end of a day are not in the order of time, but every id below the result
# belongs to this day or an earlier one. An entry whose transaction has not ended yet cannot have such an id, because its id
# was assigned later than the ids of all settled entries.
_NEXT_ENTRY = """
    SELECT least(min(id) FILTER (WHERE created_at >= %(to)s),
                 coalesce(max(id) FILTER (WHERE created_at < %(to)s) + 1, %(first)s))
      FROM accounts_creditentry WHERE id >= %(first)s AND id <= %(limit)s
"""
_OF_DAY = f"FROM accounts_creditentry e {_WITHIN}"
_LINES_OF_DAY = f"""
    SELECT s.user_id, {_LINE}
      FROM (SELECT e.user_id, {_SUM} FROM accounts_creditentry e {_JOINS} {_WITHIN} GROUP BY e.user_id, {_BY}) s {_HOLDS}
     GROUP BY s.user_id, {_GROUPS}
"""

# `live` are the entries since the last closed day. If the statement ends before them, PostgreSQL does not read them.
_READ = f"""
WITH newest AS MATERIALIZED (
    SELECT day, ends_at, next_entry FROM accounts_closedday ORDER BY day DESC LIMIT 1
), stored AS (
    SELECT day, hash, lines, jsonb_array_length(lines) AS length FROM accounts_statement
     WHERE account_id = %(account)s AND day >= %(first)s AND day <= %(last)s
), before AS (
    SELECT hash, closing_balance, closing_held FROM accounts_statement
     WHERE account_id = %(account)s AND day < %(first)s ORDER BY day DESC LIMIT 1
), live AS (
    SELECT s.day, {_LINE}
      FROM (SELECT greatest((e.created_at AT TIME ZONE %(zone)s)::date, (SELECT day + 1 FROM newest)) AS day, {_SUM}
              FROM accounts_creditentry e {_JOINS}
             WHERE %(last)s > coalesce((SELECT day FROM newest), '-infinity'::date)
               AND e.user_id = %(account)s
               AND e.id >= coalesce((SELECT next_entry FROM newest), 0)
               AND e.created_at >= coalesce((SELECT ends_at FROM newest), '-infinity'::timestamptz)
             GROUP BY 1, {_BY}) s {_HOLDS}
     GROUP BY s.day, {_GROUPS}
), lines (day, kind, purpose, campaign, channel, entries, amount, balance, held) AS (
    SELECT * FROM live WHERE day <= %(last)s LIMIT %(most)s
)
SELECT 'closed' AS what, day, '' AS hash, NULL::jsonb AS content FROM newest
UNION ALL
SELECT 'length', NULL, '', to_jsonb(coalesce(sum(length), 0)) FROM stored
UNION ALL
SELECT 'before', NULL, hash, jsonb_build_array(closing_balance::text, closing_held::text) FROM before
UNION ALL
(SELECT 'stored', day, hash, lines FROM stored WHERE (SELECT sum(length) FROM stored) < %(most)s ORDER BY day)
UNION ALL
SELECT 'live', day, '', jsonb_build_array(kind, purpose, campaign, channel, entries, amount::text, balance::text, held::text)
  FROM lines
"""
