"""Claim due messages, and record the results of their attempts, in sets.

No other module changes the state of messages.

A claim moves `due_at` to the end of a lease. If the process dies, the message is due again after that, so it is sent at
least once. Results are recorded only as long as `due_at` is still that of the claim: a process that was suspended for
longer than its lease changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from accounts import audit, mail
from accounts.models import Member
from accounts.permissions import Permission
from webhooks.models import MessageState, OutboxMessage

# Seconds from the end of each failed attempt to the next one. After the last attempt, the message is given up.
WAITS = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
MAX_ATTEMPTS = len(WAITS) + 1
JITTER = (
    0.1  # of a wait of minutes or hours, so that the messages of an outage do not all come at the same moment
)
LEASE_SECONDS = 45
KEPT_ATTEMPTS = 30  # a message that was replayed may have more than MAX_ATTEMPTS
# Commits do not wait for the disk. If the database crashes, some messages are sent again.
_DO_NOT_WAIT = "SET LOCAL synchronous_commit TO off"
# SQL of the wait after this attempt, in seconds. The first wait is exact.
_WAIT = f"""coalesce((ARRAY{list(WAITS)})[m.attempt_count + 1], 0)
            * CASE WHEN m.attempt_count = 0 THEN 1 ELSE 1 + random() * {JITTER} END"""
QUICK_SECONDS = 5.0  # an endpoint that needs longer for a response is not trusted
GONE = 410


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A message to send now, until `lease`."""

    id: int
    lease: datetime
    webhook_id: str
    body: str
    endpoint_id: int
    url: str
    secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The result of one attempt. `code` is the HTTP status of the response, or None if there was none."""

    message: Claimed
    at: datetime
    seconds: float
    code: int | None = None
    error: str = ""

    @property
    def succeeded(self) -> bool:
        return self.code is not None and 200 <= self.code < 300

    @property
    def text(self) -> str:
        """Return what the customer sees of a failure."""
        return self.error or f"The response was {self.code}." if not self.succeeded else ""


def claim(*, trusted: bool, most: int, per_endpoint: int, busy: Mapping[int, int]) -> list[Claimed]:
    """Claim up to `most` due messages of trusted endpoints, or of the others.

    `busy` are the numbers of requests in flight, by endpoint; an endpoint has at most `per_endpoint` of them. Every endpoint
    gets one message before any gets a second one. A message waits while an earlier one about the same object is pending.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_DO_NOT_WAIT)
        cursor.execute(
            """WITH due AS (
                   SELECT m.id FROM webhooks_endpoint e
                     LEFT JOIN unnest(%(busy)s::bigint[], %(counts)s::int[]) AS b (endpoint_id, count)
                       ON b.endpoint_id = e.id
                    CROSS JOIN LATERAL (
                       SELECT found.id, row_number() OVER (ORDER BY found.due_at, found.id) AS place FROM (
                           SELECT m.id, m.due_at FROM webhooks_outboxmessage m
                            WHERE m.endpoint_id = e.id AND m.state = 'pending' AND m.due_at <= statement_timestamp()
                              AND NOT EXISTS (SELECT FROM webhooks_outboxmessage earlier
                                               WHERE earlier.endpoint_id = m.endpoint_id AND earlier.subject = m.subject
                                                 AND earlier.state = 'pending' AND earlier.id < m.id)
                            ORDER BY m.due_at, m.id LIMIT greatest(%(per_endpoint)s - coalesce(b.count, 0), 0)
                              FOR UPDATE OF m SKIP LOCKED) found) m
                    WHERE e.is_enabled AND e.is_trusted = %(trusted)s
                    ORDER BY m.place, random() LIMIT %(most)s
               )
               UPDATE webhooks_outboxmessage m
                  SET due_at = statement_timestamp() + make_interval(secs => %(lease)s)
                 FROM due, webhooks_endpoint e
                WHERE m.id = due.id AND e.id = m.endpoint_id
               RETURNING m.id, m.due_at, m.webhook_id, m.body, e.id, e.url, e.secret,
                         CASE WHEN e.old_secret_until > statement_timestamp() THEN e.old_secret END""",
            {
                "busy": list(busy),
                "counts": list(busy.values()),
                "trusted": trusted,
                "most": most,
                "per_endpoint": per_endpoint,
                "lease": LEASE_SECONDS,
            },
        )
        return [
            Claimed(
                id=pk,
                lease=lease,
                webhook_id=webhook_id,
                body=body,
                endpoint_id=endpoint_id,
                url=url,
                secrets=(secret, old_secret) if old_secret else (secret,),
            )
            for pk, lease, webhook_id, body, endpoint_id, url, secret, old_secret in cursor.fetchall()
        ]


@transaction.atomic
def record(results: Sequence[Result]) -> int:
    """Record attempts, in a fixed number of statements; return how many were still leased.

    Disables endpoints that responded with 410, and tells their owners.
    """
    if not results:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(_DO_NOT_WAIT)
        cursor.execute(
            f"""WITH g AS (
                    SELECT * FROM unnest(%s::bigint[], %s::timestamptz[], %s::bool[], %s::jsonb[])
                               AS g (id, lease, succeeded, attempt)
                ), locked AS (
                    SELECT m.id FROM webhooks_outboxmessage m JOIN g USING (id)
                     WHERE m.due_at = g.lease AND m.state = 'pending' ORDER BY m.id FOR NO KEY UPDATE OF m
                )
                UPDATE webhooks_outboxmessage m
                   SET state = CASE WHEN g.succeeded THEN 'delivered'
                                    WHEN m.attempt_count + 1 >= {MAX_ATTEMPTS} THEN 'given_up' ELSE 'pending' END,
                       finished_at = CASE WHEN g.succeeded OR m.attempt_count + 1 >= {MAX_ATTEMPTS}
                                          THEN statement_timestamp() END,
                       due_at = statement_timestamp() + make_interval(secs => {_WAIT}),
                       attempt_count = m.attempt_count + 1,
                       attempts = CASE WHEN jsonb_array_length(m.attempts) < {KEPT_ATTEMPTS} THEN m.attempts
                                       ELSE m.attempts - 0 END || g.attempt
                  FROM g, locked WHERE m.id = locked.id AND g.id = m.id""",
            [
                [one.message.id for one in results],
                [one.message.lease for one in results],
                [one.succeeded for one in results],
                [_attempt(one) for one in results],
            ],
        )
        recorded = int(cursor.rowcount)
    _judge(results)
    return recorded


def restart(ids: Sequence[int]) -> int:
    """Make finished messages due again, with all attempts; return how many were finished."""
    finished = OutboxMessage.objects.filter(pk__in=ids).exclude(state=MessageState.PENDING)
    return finished.update(state=MessageState.PENDING, due_at=Now(), attempt_count=0, finished_at=None)


def _attempt(one: Result) -> str:
    return json.dumps(
        [
            {
                "at": one.at.isoformat(timespec="milliseconds"),
                "code": one.code,
                "error": one.error,
                "seconds": round(one.seconds, 3),
            }
        ]
    )


def _judge(results: Sequence[Result]) -> None:
    """Store whether endpoints are trusted, by their latest results. Writes only the rows that change."""
    latest = {one.message.endpoint_id: one for one in sorted(results, key=lambda one: one.at)}
    ordered = sorted(latest)
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH g AS (
                   SELECT * FROM unnest(%s::bigint[], %s::bool[], %s::bool[], %s::text[], %s::bool[])
                              AS g (id, succeeded, quick, error, gone)
               ), locked AS (
                   SELECT e.id FROM webhooks_endpoint e JOIN g USING (id)
                    WHERE e.is_trusted <> g.quick OR (e.failing_since IS NULL) <> g.succeeded
                       OR (e.last_error <> g.error AND NOT g.succeeded) OR (g.gone AND e.is_enabled)
                    ORDER BY e.id FOR NO KEY UPDATE OF e
               )
               UPDATE webhooks_endpoint e
                  SET is_trusted = g.quick, last_error = CASE WHEN g.succeeded THEN e.last_error ELSE g.error END,
                      failing_since = CASE WHEN NOT g.succeeded THEN coalesce(e.failing_since, statement_timestamp()) END
                 FROM g, locked WHERE e.id = locked.id AND g.id = e.id""",
            [
                ordered,
                [latest[pk].succeeded for pk in ordered],
                [latest[pk].succeeded and latest[pk].seconds <= QUICK_SECONDS for pk in ordered],
                [latest[pk].text[:200] for pk in ordered],
                [latest[pk].code == GONE for pk in ordered],
            ],
        )
    gone = sorted({one.message.endpoint_id for one in results if one.code == GONE})
    if gone:
        _disable_gone(gone)


def _disable_gone(endpoint_ids: Sequence[int]) -> None:
    reason = "It responded with 410, which asks to stop."
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE webhooks_endpoint SET is_enabled = false, disabled_reason = %s
                WHERE id = ANY(%s) AND is_enabled RETURNING id, owner_id, name, url""",
            [reason, list(endpoint_ids)],
        )
        disabled = cursor.fetchall()
    for pk, owner_id, name, url in disabled:
        shown = name or url
        audit.note(
            account_id=owner_id,
            action="webhook_disabled",
            kind="webhook",
            object_id=pk,
            name=shown,
            reason=reason,
        )
        for address in _managers_of(owner_id):
            mail.enqueue(
                to=address,
                subject="A webhook endpoint was switched off",
                body=f"The webhook endpoint {shown} was switched off. {reason}\n\nEvents after that are not stored for it. "
                "If this was a mistake, switch it on again on the page Webhooks, or with the API.\n",
            )


def _managers_of(account_id: int) -> list[str]:
    """Return the e-mail addresses of the people who manage the account."""
    may = Q(is_owner=True) | Q(permissions__contains=[Permission.MANAGE_ACCOUNT.value])
    acting = Member.objects.acting_for(account_id).filter(may, user__is_active=True)
    return sorted(set(acting.values_list("user__email", flat=True)))
