"""Write events into the outbox, in the same transaction as the change that they report.

    outbox.publish(
        Event.RUN_FINISHED,
        rows="SELECT c.owner_id, 'run:' || r.id, json_build_object('id', r.id, …) FROM campaigns_run r … WHERE r.id = %s",
        parameters=[run_id],
    )

One statement writes a whole set of events. Accounts without an endpoint cost nothing: statements that change many rows
return the condition `has_endpoint` with each row, and callers publish only the rows for which it is true.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection

from webhooks.events import TEST, Event

# SQL of the accounts that have an endpoint. PostgreSQL reads this small table once for each statement.
OWNERS = "SELECT owner_id FROM webhooks_endpoint WHERE is_enabled"


def has_endpoint(owner: str) -> str:
    """Return an SQL condition. It is true if the account whose id is in the column `owner` has an endpoint."""
    return f"{owner} IN ({OWNERS})"


def moment(column: str) -> str:
    """Return SQL that writes a time as bodies have it: ISO 8601 in UTC, with milliseconds."""
    return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""


def publish(event: Event, *, rows: str, parameters: Sequence[Any] | dict[str, Any]) -> int:
    """Write an event for each row and each endpoint that subscribes to it, in one statement; return how many.

    `rows` is a SELECT of the account's id, the object of the event and the data as `json`. The caller limits the data, so
    that no body exceeds MAX_BODY_BYTES. Events of one object are sent in the order in which they were written.
    """
    return _insert(
        event,
        rows=rows,
        parameters=parameters,
        endpoints=f"""e.owner_id = s.owner_id AND e.is_enabled
                      AND (e.events = '{{}}' OR '{event.value}' = ANY (e.events))""",
    )


def publish_test(*, endpoint_id: int) -> int:
    """Write a test event for one endpoint, whatever it subscribes to; return how many were written."""
    return _insert(
        TEST,
        rows="""SELECT owner_id, 'endpoint:' || id, json_build_object('endpoint', id, 'account', owner_id)
                  FROM webhooks_endpoint WHERE id = %s""",
        parameters=[endpoint_id],
        endpoints="'endpoint:' || e.id = s.subject",
    )


def publish_low_credits(account_ids: Sequence[int]) -> int:
    """Tell endpoints that the balances of their accounts have fallen below the levels; return how many were told.

    `accounts.low_credits` notices this, once each time, and the caller is in its transaction.
    """
    return publish(
        Event.CREDITS_LOW,
        rows="""SELECT id, 'account:' || id, json_build_object('account', id, 'balance', balance, 'below', low_credit_level)
                  FROM accounts_account WHERE id = ANY (%s) ORDER BY id""",
        parameters=[list(account_ids)],
    )


# SQL of the current time. As a subquery, it is computed once for a whole set.
_NOW = f"(SELECT {moment('statement_timestamp()')})"


def has_due() -> bool:
    """Return whether any message is due."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT EXISTS (SELECT FROM webhooks_endpoint e, LATERAL (
                   SELECT FROM webhooks_outboxmessage m
                    WHERE m.endpoint_id = e.id AND m.state = 'pending' AND m.due_at <= statement_timestamp()
                    LIMIT 1) due WHERE e.is_enabled)"""
        )
        return bool(cursor.fetchone()[0])


# The values of the columns that are the same for all new messages.
_FRESH = """'msg_' || replace(gen_random_uuid()::text, '-', ''), 'pending', 0, '[]'"""


def _insert_sql(event: str) -> str:
    return """INSERT INTO webhooks_outboxmessage
                     (endpoint_id, event, subject, body, webhook_id, state, attempt_count, attempts)"""


def _body(event: str, data: str) -> str:
    # Built as text, because PostgreSQL would write the whole as `json` with irregular spaces.
    return f"""'{{"type":"{event}","timestamp":"' || {_NOW} || '","data":' || {data}::text || '}}'"""


def _insert(event: str, *, rows: str, parameters: Any, endpoints: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""{_insert_sql(event)}
                SELECT e.id, '{event}', s.subject, {_body(event, "s.data")}, {_FRESH}
                  FROM ({rows}) AS s (owner_id, subject, data) JOIN webhooks_endpoint e ON {endpoints}""",
            parameters,
        )
        return int(cursor.rowcount)
