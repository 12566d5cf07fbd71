"""Check that the ledger adds up: balances and holds must equal the sums of their entries.

`accounts.credits`, `accounts.late_captures` and `accounts.transfers` write balances, holds and entries. This module computes
balances and holds again from the entries, and compares the results.
"""

from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.db.models.functions import Now

from accounts.models import LedgerCheckResult
from iris.progress import Advance, silent

# Used by each of the statements below. PostgreSQL computes only the parts that the statement refers to.
_SUMS = """
WITH entries AS (
    SELECT user_id, count(*) AS number, sum(balance_delta) AS balance, sum(held_delta) AS held
      FROM accounts_creditentry GROUP BY user_id
), holds AS (
    SELECT user_id, sum(amount - captured - released) AS open FROM accounts_credithold GROUP BY user_id
), booked AS (
    SELECT hold_id,
           coalesce(sum(amount) FILTER (WHERE kind = 'hold'), 0) AS held,
           coalesce(sum(amount) FILTER (WHERE kind = 'capture'), 0) AS captured,
           coalesce(sum(amount) FILTER (WHERE kind = 'release'), 0) AS released
      FROM accounts_creditentry WHERE hold_id IS NOT NULL GROUP BY hold_id
), transfers AS (
    -- The name is NULL if the cause of an entry ends in neither :out nor :in.
    SELECT substring(cause FROM '^(.*):(?:out|in)$') AS name, count(*) AS number, sum(balance_delta) AS sum,
           count(DISTINCT user_id) AS accounts, max(amount) AS amount,
           bool_and(counterpart_id <> user_id) AND count(DISTINCT least(user_id, counterpart_id)) = 1
               AND count(DISTINCT greatest(user_id, counterpart_id)) = 1 AS mutual
      FROM accounts_creditentry WHERE kind = 'transfer' GROUP BY 1
), accounts AS (
    SELECT a.id, 'account ' || a.id || ' ' || a.name AS name, a.balance, coalesce(e.balance, 0) AS entries_balance,
           coalesce(h.open, 0) AS open, coalesce(e.held, 0) AS entries_held, coalesce(e.number, 0) AS number
      FROM accounts_account a LEFT JOIN entries e ON e.user_id = a.id LEFT JOIN holds h ON h.user_id = a.id
), details AS (
    SELECT h.id, h.cause, h.amount, h.captured, h.released, h.closed_at, h.user_id,
           coalesce(b.held, 0) AS entries_amount, coalesce(b.captured, 0) AS entries_captured,
           coalesce(b.released, 0) AS entries_released
      FROM accounts_credithold h LEFT JOIN booked b ON b.hold_id = h.id
)
"""
_OF_ACCOUNTS = """
SELECT NULL AS whose, 'accounts' AS what, count(*)::numeric AS stored, NULL::numeric AS from_entries FROM accounts
UNION ALL SELECT NULL, 'entries', coalesce(sum(number), 0), NULL FROM accounts
UNION ALL SELECT name, 'balance', balance, entries_balance FROM accounts WHERE balance <> entries_balance
UNION ALL SELECT name, 'open holds', open, entries_held FROM accounts WHERE open <> entries_held
UNION ALL SELECT name, 'balance and open holds', balance + open, entries_balance + entries_held
            FROM accounts WHERE balance + open <> entries_balance + entries_held
UNION ALL SELECT name, 'negative balance', balance, entries_balance FROM accounts WHERE balance < 0
"""
_OF_HOLDS = """
SELECT 'hold ' || cause AS whose, 'amount' AS what, amount AS stored, entries_amount AS from_entries
            FROM details WHERE amount <> entries_amount
UNION ALL SELECT 'hold ' || cause, 'captured', captured, entries_captured
            FROM details WHERE captured <> entries_captured
UNION ALL SELECT 'hold ' || cause, 'released', released, entries_released
            FROM details WHERE released <> entries_released
UNION ALL SELECT 'hold ' || cause, 'more than its amount', captured + released,
                 entries_captured + entries_released
            FROM details WHERE captured + released > amount
UNION ALL SELECT 'hold ' || cause, 'closed', amount - captured - released,
                 entries_amount - entries_captured - entries_released
            FROM details WHERE closed_at IS NOT NULL AND amount <> captured + released
UNION ALL SELECT 'hold ' || h.cause, 'entry of another account', 0, e.amount
            FROM accounts_creditentry e JOIN accounts_credithold h ON h.id = e.hold_id
           WHERE h.user_id <> e.user_id
UNION ALL SELECT 'hold ' || b.hold_id, 'missing', 0, b.held
            FROM booked b WHERE NOT EXISTS (SELECT FROM accounts_credithold h WHERE h.id = b.hold_id)
"""
_OF_TRANSFERS = """
SELECT 'transfer ' || coalesce(name, 'without a name'), 'one side', amount, sum
  FROM transfers WHERE name IS NULL OR number <> 2 OR sum <> 0 OR accounts <> 2 OR NOT mutual
"""
PARTS = (_OF_ACCOUNTS, _OF_HOLDS, _OF_TRANSFERS)

_SENTENCES = {
    "balance": "the balance is {stored:f}, but its entries add up to {from_entries:f}",
    "open holds": "open holds have {stored:f}, but their entries add up to {from_entries:f}",
    "balance and open holds": "balance and open holds are {stored:f}, but their entries add up to {from_entries:f}",
    "negative balance": "the balance is {stored:f}, which is below zero; its entries add up to {from_entries:f}",
    "amount": "the amount is {stored:f}, but its entries add up to {from_entries:f}",
    "captured": "{stored:f} is captured, but the entries add up to {from_entries:f}",
    "released": "{stored:f} is released, but the entries add up to {from_entries:f}",
    "more than its amount": "{stored:f} is captured and released, which is more than its amount; the entries add up to"
    " {from_entries:f}",
    "closed": "it is closed, but {stored:f} remains; according to the entries, {from_entries:f} would remain",
    "entry of another account": "an entry of another account moves {from_entries:f} credits of this hold",
    "one side": "{stored:f} credits must leave one account and reach the other, but its entries add up to"
    " {from_entries:f}",
    "missing": "it does not exist, but entries hold {from_entries:f} credits for it",
}


@dataclass(frozen=True, kw_only=True)
class LedgerCheck:
    """The number of checked accounts and entries, and one sentence for each difference."""

    accounts: int
    entries: int
    differences: tuple[str, ...]


def check_ledger(*, advance: Advance = silent) -> LedgerCheck:
    """Compare every balance and every hold with its entries. Changes nothing.

    `advance` is called with 1 after each of the PARTS. All parts see the same snapshot while credits move, unless the caller
    has begun a transaction.
    """
    rows: list[tuple[Any, ...]] = []
    is_ours = not connection.in_atomic_block
    with transaction.atomic(), connection.cursor() as cursor:
        if is_ours:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        for part in PARTS:
            cursor.execute(_SUMS + part)
            rows += cursor.fetchall()
            advance(1)
    counts = {what: int(number) for whose, what, number, _ in rows if whose is None}
    differences = (row for row in rows if row[0] is not None)
    return LedgerCheck(
        accounts=counts["accounts"],
        entries=counts["entries"],
        differences=tuple(
            f"{whose}: {_SENTENCES[what].format(stored=stored, from_entries=from_entries)}"
            for whose, what, stored, from_entries in differences
        ),
    )


def store(checked: LedgerCheck) -> None:
    """Store the result of a check for the metrics."""
    LedgerCheckResult.objects.update_or_create(
        pk=1,
        defaults={
            "checked_at": Now(),
            "entries": checked.entries,
            "differences": len(checked.differences),
        },
    )
