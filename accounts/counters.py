"""Rate limits that are counted in the database, and therefore shared by all processes and machines.

A window begins with the first event and ends after its fixed length. Keys are stored as keyed hashes (HMAC), because
they contain IP addresses and arbitrary text that people typed into the e-mail field.
"""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.utils.crypto import salted_hmac

from accounts.models import RateCounter

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
UNLIMITED = 2**31 - 1
PRUNE_BATCH_SIZE = 10_000


class Rate(NamedTuple):
    limit: int
    seconds: int


class Rule(NamedTuple):
    """Allow at most `limit` events in `seconds` for the counter `key`. One event adds `amount` to the counter."""

    key: str
    limit: int
    seconds: int
    amount: int = 1


class Refusal(NamedTuple):
    """A rule that refused an event. `counted` is the count of its window, which ends in `wait` seconds."""

    rule: Rule
    counted: int
    wait: float


def parse_rate(rate: str) -> Rate:
    """Parse a rate: "10/min" is 10 in 60 seconds. Raises ImproperlyConfigured."""
    match = re.fullmatch(r"\s*([1-9][0-9]{0,8})\s*/\s*(s|m|h|d)[a-z]*\s*", rate.lower())
    if match is None:
        raise ImproperlyConfigured(f"{rate!r} is not a rate: write it as 10/min, or with sec, hour or day.")
    return Rate(int(match[1]), SECONDS[match[2]])


def parse_rates(rates: str) -> list[Rate]:
    """Parse a list of rates that all apply, such as "10/min, 100/day". Raises ImproperlyConfigured."""
    return [parse_rate(rate) for rate in rates.split(",")]


def key_of(*parts: object) -> str:
    """Return the key of a counter: a keyed hash of `parts`, which does not reveal them."""
    text = "\0".join(str(part) for part in parts)
    return salted_hmac("accounts.counters", text.encode("utf-8", "replace"), algorithm="sha256").hexdigest()[
        :32
    ]


def rules_of(rates: str, *what: object) -> list[Rule]:
    """Return one rule for each rate of a setting such as "10/min, 100/day". `what` identifies the counter."""
    return [Rule(key_of(*what, rate.seconds), rate.limit, rate.seconds) for rate in parse_rates(rates)]


def consume(rules: Sequence[Rule]) -> list[Refusal]:
    """Count one event against all rules and return an empty list. If any rule refuses, count nothing.

    Returns the refusals of all rules that are exceeded. Concurrent calls never exceed a limit: each call increments
    the counters first and then checks the count that its own increment returned.
    """
    if refused := _exceeded(rules, _counts(rules), counted=False):
        return refused  # checked with a read first, so that refused requests write nothing
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO accounts_ratecounter AS c (key, count, ends_at)
               SELECT key, amount, statement_timestamp() + make_interval(secs => seconds)
                 FROM unnest(%s::text[], %s::int[], %s::int[]) AS rule(key, amount, seconds) ORDER BY key
                   ON CONFLICT (key) DO UPDATE SET
                      count = least(CASE WHEN c.ends_at <= statement_timestamp() THEN 0 ELSE c.count END::bigint
                                    + EXCLUDED.count, 2147483647),
                      ends_at = CASE WHEN c.ends_at <= statement_timestamp() THEN EXCLUDED.ends_at ELSE c.ends_at END
               RETURNING key, count, extract(epoch FROM ends_at - statement_timestamp())""",
            [
                [rule.key for rule in rules],
                [rule.amount for rule in rules],
                [rule.seconds for rule in rules],
            ],
        )
        counts = {key: (count, float(wait)) for key, count, wait in cursor.fetchall()}
    refused = _exceeded(rules, counts, counted=True)
    if refused:
        give_back(rules)
    return refused


def give_back(rules: Sequence[Rule]) -> None:
    """Undo a `consume`. A counter that reaches zero is deleted, so its window ends as well."""
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH rule AS (
                   SELECT * FROM unnest(%s::text[], %s::int[]) AS rule(key, amount)
               ), locked AS (
                   SELECT key FROM accounts_ratecounter WHERE key IN (SELECT key FROM rule) ORDER BY key FOR UPDATE
               ), emptied AS (
                   DELETE FROM accounts_ratecounter c USING locked JOIN rule USING (key)
                    WHERE c.key = locked.key AND c.count <= rule.amount
               )
               UPDATE accounts_ratecounter c SET count = c.count - rule.amount
                 FROM locked JOIN rule USING (key) WHERE c.key = locked.key AND c.count > rule.amount""",
            [[rule.key for rule in rules], [rule.amount for rule in rules]],
        )


def pass_after_wait(key: str, *, wait: float, grace: float) -> float | None:
    """Return None if the key has completed its wait, else the seconds that it still has to wait.

    The first call begins a wait of `wait` seconds, which later calls do not extend. The first call within `grace`
    seconds after the end of the wait passes (None). The call after that begins a new wait.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """DELETE FROM accounts_ratecounter WHERE key = %s AND ends_at > statement_timestamp()
                  AND ends_at <= statement_timestamp() + make_interval(secs => %s)""",
            [key, grace],
        )
        if cursor.rowcount:
            return None
        cursor.execute(
            """INSERT INTO accounts_ratecounter AS c (key, count, ends_at)
               VALUES (%s, 1, statement_timestamp() + make_interval(secs => %s))
                   ON CONFLICT (key) DO UPDATE SET
                      ends_at = CASE WHEN c.ends_at <= statement_timestamp() THEN EXCLUDED.ends_at ELSE c.ends_at END
               RETURNING extract(epoch FROM ends_at - statement_timestamp())""",
            [key, wait + grace],
        )
        # This statement may have waited for the row lock of a statement that began later. Then `ends_at` was computed by
        # that statement, and the remaining seconds are a little more than `wait`.
        return max(1.0, min(wait, float(cursor.fetchone()[0]) - grace))


def prune() -> int:
    """Delete a batch of counters whose window has ended. Return their number. Safe to run concurrently."""
    with connection.cursor() as cursor:
        cursor.execute(
            """DELETE FROM accounts_ratecounter WHERE key IN (
                   SELECT key FROM accounts_ratecounter WHERE ends_at <= statement_timestamp()
                    ORDER BY ends_at LIMIT %s FOR UPDATE SKIP LOCKED)""",
            [PRUNE_BATCH_SIZE],
        )
        return int(cursor.rowcount)


def longest_wait(refused: Sequence[Refusal]) -> float:
    """Return the seconds after which the windows of all these rules have ended, at least 1."""
    return max(1.0, math.ceil(max(refusal.wait for refusal in refused)))


def _counts(rules: Sequence[Rule]) -> dict[str, tuple[int, float]]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT key, count, extract(epoch FROM ends_at - statement_timestamp())
                  FROM {RateCounter._meta.db_table} WHERE key = ANY(%s) AND ends_at > statement_timestamp()""",
            [[rule.key for rule in rules]],
        )
        return {key: (count, float(wait)) for key, count, wait in cursor.fetchall()}


def _exceeded(rules: Sequence[Rule], counts: dict[str, tuple[int, float]], *, counted: bool) -> list[Refusal]:
    refused = []
    for rule in rules:
        count, wait = counts.get(rule.key, (0, 0.0))
        if count + (0 if counted else rule.amount) > rule.limit:
            refused.append(Refusal(rule, count, wait))
    return refused
