"""The only writer of a delivery's status, in sets: claim, record, apply, requeue, terminate, expire.

A status only rises (`DeliveryStatus` is its own rank), by compare-and-set inside one statement, so doubled, late and
shuffled reports are harmless. The one way back is `submitting`/`unknown` → `queued`, when the carrier surely has not
taken it. Every statement that locks several deliveries locks them in the order of their ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from accounts.credits import Capture, capture_many
from telephony.carriers.base import Accepted, Later, Pending, Rejected, Result, Unknown
from telephony.failpoints import failpoint
from telephony.models import FINAL, Cause, Channel, DeliveryStatus, Purpose
from telephony.rowsets import rowset
from telephony.signals import deliveries_changed

QUEUED, SUBMITTING, UNKNOWN, SUBMITTED = (
    int(status)
    for status in (
        DeliveryStatus.QUEUED,
        DeliveryStatus.SUBMITTING,
        DeliveryStatus.UNKNOWN,
        DeliveryStatus.SUBMITTED,
    )
)
# Seconds beyond the end of a lease before anybody concludes that a submission was never made: a submission that was
# started in its last moment has ended by then.
LEASE_GRACE = 3

COMPLETED, HUNGUP, FAILED, TERMINATED = (
    int(status)
    for status in (
        DeliveryStatus.COMPLETED,
        DeliveryStatus.HUNGUP,
        DeliveryStatus.FAILED,
        DeliveryStatus.TERMINATED,
    )
)
END = int(FINAL)


@dataclass(frozen=True, slots=True)
class Changed:
    """What a delivery has just become. `credits` is what it has captured."""

    id: int
    purpose: Purpose
    batch: int
    item: int
    channel: Channel
    status: DeliveryStatus
    cause: str
    credits: Decimal
    seconds: float | None
    playback: int | None
    hold_id: int | None

    @property
    def is_final(self) -> bool:
        return self.status >= FINAL


_CHANGED = "d.id, d.purpose, d.batch, d.item, d.channel, d.status, d.cause, d.credits, d.seconds, d.playback, d.hold_id"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that this process alone may submit, until its lease ends. `position` is its turn in the claim."""

    id: int
    position: int
    channel: str
    to: str
    caller: str
    text: str
    audio_name: str
    audio_seconds: float | None
    attempts: int
    owner_id: int
    priority: int
    opted_out: bool
    script: str | None


def claim(*, trunk_id: int, limit: int, call_limit: int | None, last_owner: int) -> list[Claimed]:
    """Mark at most `limit` queued deliveries of a trunk `submitting`, in turn order; call with the trunk row locked.

    OTP goes first (`priority`), then one of each owner in turn, beginning after `last_owner`, whatever the size of
    their campaigns. `call_limit` bounds the calls among them (free channels), None when there is no bound.
    """
    # The owners are found by skipping through the index from one to the next, so the cost does not grow with the queue.
    sql = f"""
        WITH RECURSIVE owners AS (
            (SELECT priority, owner_id FROM telephony_delivery
              WHERE trunk_id = %(trunk)s AND status = {QUEUED} ORDER BY priority, owner_id LIMIT 1)
            UNION ALL
            SELECT next.priority, next.owner_id FROM owners, LATERAL (
                SELECT d.priority, d.owner_id FROM telephony_delivery d
                 WHERE d.trunk_id = %(trunk)s AND d.status = {QUEUED}
                   AND (d.priority, d.owner_id) > (owners.priority, owners.owner_id)
                 ORDER BY d.priority, d.owner_id LIMIT 1) next
        ), candidates AS (
            SELECT d.id, d.channel, owners.priority, owners.owner_id,
                   row_number() OVER (PARTITION BY owners.priority, owners.owner_id ORDER BY d.id) AS turn
              FROM owners CROSS JOIN LATERAL (
                SELECT id, channel FROM telephony_delivery
                 WHERE trunk_id = %(trunk)s AND status = {QUEUED} AND priority = owners.priority
                   AND owner_id = owners.owner_id AND not_before <= statement_timestamp()
                   AND (useful_until IS NULL OR useful_until > statement_timestamp())
                 ORDER BY id
                 LIMIT ceil(%(limit)s::numeric / (SELECT count(*) FROM owners))::int) d
        ), ranked AS (
            SELECT id, channel, row_number() OVER (
                       ORDER BY priority, turn, owner_id <= %(last_owner)s, owner_id) AS position
              FROM candidates
        ), chosen AS (
            SELECT id, position FROM (
                SELECT id, position, channel, count(*) FILTER (WHERE channel = 'call') OVER (ORDER BY position) AS calls
                  FROM ranked) counted
             WHERE channel <> 'call' OR %(call_limit)s::int IS NULL OR calls <= %(call_limit)s
             ORDER BY position LIMIT %(limit)s
        ), locked AS (
            SELECT id FROM telephony_delivery WHERE id IN (SELECT id FROM chosen) AND status = {QUEUED}
               AND not_before <= statement_timestamp()
             ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
        ), taken AS (
            UPDATE telephony_delivery d
               SET status = {SUBMITTING}, attempts = least(attempts + 1, 30000),
                   claimed_at = statement_timestamp(),
                   expires_at = statement_timestamp() + make_interval(secs => %(lease)s)
              FROM locked WHERE d.id = locked.id
            RETURNING d.id, d.channel, d."to", d.caller, d.text, d.audio_id, d.attempts, d.owner_id, d.priority,
                      d.purpose, d.script
        )
        SELECT taken.id, chosen.position, taken.channel, taken."to", taken.caller, taken.text,
               coalesce(audio.name, ''), audio.seconds, taken.attempts, taken.owner_id, taken.priority,
               taken.purpose <> '{Purpose.OTP.value}' AND EXISTS (
                   SELECT FROM telephony_optout o WHERE o.owner_id = taken.owner_id AND o.number = taken."to"),
               taken.script::text
          FROM taken JOIN chosen USING (id) LEFT JOIN telephony_audio audio ON audio.id = taken.audio_id
         ORDER BY chosen.position"""
    with connection.cursor() as cursor:
        cursor.execute(
            sql,
            {
                "trunk": trunk_id,
                "limit": limit,
                "call_limit": call_limit,
                "last_owner": last_owner,
                "lease": settings.IRIS_LEASE_SECONDS,
            },
        )
        return [Claimed(*row) for row in cursor.fetchall()]


@transaction.atomic
def record(
    results: Sequence[Result], *, report_timeout: float, attempts: Mapping[int, int] | None = None
) -> None:
    """Write down what a carrier answered to submissions: one statement per kind of answer.

    A report may have come first; then only the carrier's `ref` is added. With `attempts`, by id, an answer to an
    earlier attempt than the present one changes nothing: a process that slept through its lease must not undo what
    another one has done since.
    """
    results = [result for result in results if not isinstance(result, Pending)]
    if not results:
        return
    present = _locked([int(result.key) for result in results])
    if attempts is not None:
        results = [
            result
            for result in results
            if isinstance(result, Accepted) or present.get(int(result.key)) == attempts.get(int(result.key))
        ]
    accepted = [result for result in results if isinstance(result, Accepted)]
    unknown = [result for result in results if isinstance(result, Unknown)]
    later = [result for result in results if isinstance(result, Later)]
    rejected = [result for result in results if isinstance(result, Rejected)]
    with connection.cursor() as cursor:
        if accepted:
            cursor.execute(
                f"""UPDATE telephony_delivery d
                       SET ref = e.ref, submitted_at = coalesce(d.submitted_at, statement_timestamp()),
                           status = greatest(d.status, {SUBMITTED}),
                           expires_at = CASE WHEN d.status >= {END} THEN NULL
                                        ELSE statement_timestamp() + make_interval(secs => %s) END
                      FROM unnest(%s::bigint[], %s::text[]) AS e(id, ref)
                     WHERE d.id = e.id AND d.status > {QUEUED}""",
                [report_timeout, [int(r.key) for r in accepted], [r.ref[:100] for r in accepted]],
            )
        if parts := [(int(r.key), part[:100]) for r in accepted for part in r.parts]:
            cursor.execute(
                """INSERT INTO telephony_messagepart (delivery_id, trunk_id, ref, delivered)
                   SELECT d.id, d.trunk_id, e.ref, false
                     FROM unnest(%s::bigint[], %s::text[]) AS e(id, ref) JOIN telephony_delivery d ON d.id = e.id
                   ON CONFLICT DO NOTHING""",
                [[pk for pk, _ in parts], [ref for _, ref in parts]],
            )
        if unknown:
            cursor.execute(
                f"""UPDATE telephony_delivery d
                       SET status = {UNKNOWN}, carrier_text = e.text,
                           expires_at = statement_timestamp() + make_interval(secs => %s)
                      FROM unnest(%s::bigint[], %s::text[]) AS e(id, text)
                     WHERE d.id = e.id AND d.status = {SUBMITTING}""",
                [report_timeout, [int(r.key) for r in unknown], [_printable(r.text) for r in unknown]],
            )
    if later:
        requeue(
            ids=[int(r.key) for r in later],
            seconds=[r.seconds for r in later],
            texts=[r.text for r in later],
            attempts=[r.attempt for r in later],
        )
    if completed := [r for r in accepted if r.completes]:
        apply([Report(id=int(r.key), status=DeliveryStatus.COMPLETED, at=None) for r in completed])
    if rejected:
        apply(
            [
                Report(id=int(r.key), status=DeliveryStatus.FAILED, cause=r.cause, text=r.text, at=None)
                for r in rejected
            ]
        )


def _locked(ids: Sequence[int]) -> dict[int, int]:
    """The attempts so far of these deliveries, all locked in the order of their ids."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, attempts FROM telephony_delivery WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE",
            [list(ids)],
        )
        return dict(cursor.fetchall())


@transaction.atomic
def requeue(
    *,
    ids: Sequence[int],
    seconds: Sequence[float],
    texts: Sequence[str],
    attempts: Sequence[int | None] | None = None,
) -> None:
    """Back to `queued`: the carrier surely has not taken these. Those stopped meanwhile are `terminated` instead.

    Where the attempt is given, it must be the present one: the same may be said twice.
    """
    attempts = attempts or [None] * len(ids)
    _locked(ids)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE telephony_delivery d
                   SET status = {QUEUED}, carrier_text = e.text, expires_at = NULL,
                       not_before = greatest(d.not_before,
                                             statement_timestamp() + make_interval(secs => e.seconds))
                  FROM unnest(%s::bigint[], %s::float8[], %s::text[], %s::int[]) AS e(id, seconds, text, attempt)
                 WHERE d.id = e.id AND d.status IN ({SUBMITTING}, {UNKNOWN}) AND NOT d.stopped
                   AND d.attempts = coalesce(e.attempt, d.attempts)""",
            [list(ids), list(seconds), [_printable(text) for text in texts], list(attempts)],
        )
        cursor.execute(
            f"""UPDATE telephony_delivery d
                   SET status = {TERMINATED}, cause = %s, ended_at = statement_timestamp(), expires_at = NULL
                 WHERE d.id = ANY(%s) AND d.status IN ({SUBMITTING}, {UNKNOWN}) AND d.stopped
                RETURNING {_CHANGED}""",
            [Cause.STOPPED.value, list(ids)],
        )
        _announce(cursor.fetchall())


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A carrier's event, matched to its delivery. `at` None means now."""

    id: int
    status: DeliveryStatus
    at: datetime | None
    cause: str = ""
    seconds: float | None = None
    playback: int | None = None
    text: str = ""
    digits: str = ""


@transaction.atomic
def apply(reports: Sequence[Report]) -> int:
    """Raise deliveries to the reported statuses, capture what they cost and announce them; how many changed.

    Of several reports on one delivery the highest counts, and the first of those.
    """
    highest: dict[int, Report] = {}
    for report in reports:
        known = highest.get(report.id)
        if known is None or (known.status < report.status and known.status < FINAL):
            highest[report.id] = report
    chosen = [highest[key] for key in sorted(highest)]
    if not chosen:
        return 0
    if any(report.digits for report in reports):
        _note_digits(reports)
    rows, parameters = rowset(
        "reported",
        {
            "id": ("bigint", [r.id for r in chosen]),
            "status": ("smallint", [int(r.status) for r in chosen]),
            "at": ("timestamptz", [r.at for r in chosen]),
            "cause": ("text", [str(r.cause) for r in chosen]),
            "seconds": ("float8", [r.seconds for r in chosen]),
            "playback": ("smallint", [r.playback for r in chosen]),
            "text": ("text", [_printable(r.text) for r in chosen]),
        },
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""WITH e AS (
                    SELECT * FROM {rows}
                ), locked AS (
                    SELECT d.id FROM telephony_delivery d JOIN e USING (id)
                     WHERE d.status < e.status AND d.status < {END} ORDER BY d.id FOR NO KEY UPDATE OF d
                )
                UPDATE telephony_delivery d
                   SET status = e.status, cause = e.cause,
                       carrier_text = CASE WHEN e.text = '' THEN d.carrier_text ELSE e.text END,
                       seconds = coalesce(e.seconds, d.seconds), playback = coalesce(e.playback, d.playback),
                       submitted_at = coalesce(d.submitted_at, e.at, statement_timestamp()),
                       answered_at = CASE
                           WHEN d.channel <> 'call' OR d.answered_at IS NOT NULL THEN d.answered_at
                           WHEN e.status = {int(DeliveryStatus.ANSWERED)} THEN coalesce(e.at, statement_timestamp())
                           WHEN e.status IN ({COMPLETED}, {HUNGUP})
                               THEN coalesce(e.at, statement_timestamp()) - make_interval(secs => coalesce(e.seconds, 0))
                           END,
                       ended_at = CASE WHEN e.status >= {END} THEN coalesce(e.at, statement_timestamp()) END,
                       delivered_at = CASE WHEN e.status = {COMPLETED} AND d.channel = 'sms' THEN e.at END,
                       expires_at = CASE
                           WHEN e.status >= {END} THEN NULL
                           WHEN d.status <= {UNKNOWN} THEN statement_timestamp() + make_interval(secs => %s)
                           ELSE d.expires_at END,
                       credits = CASE
                           WHEN e.status = {COMPLETED} AND d.channel = 'sms' THEN d.credit_limit
                           WHEN e.status IN ({COMPLETED}, {HUNGUP}) THEN least(
                               d.credit_limit,
                               greatest(1, ceil(coalesce(e.seconds, 0)::numeric / %s)) * %s)
                           ELSE d.credits END
                  FROM e, locked
                 WHERE d.id = locked.id AND e.id = d.id AND d.status < e.status AND d.status < {END}
                RETURNING {_CHANGED}""",
            [
                *parameters,
                settings.IRIS_REPORT_TIMEOUT_SECONDS,
                settings.IRIS_CALL_PULSE_SECONDS,
                settings.IRIS_CALL_CREDITS,
            ],
        )
        changed = cursor.fetchall()
    failpoint("applying")
    _announce(changed)
    failpoint("applied")
    return len(changed)


def _note_digits(reports: Sequence[Report]) -> None:
    """Write down the keys pressed so far, which raise no status. All the deliveries are locked, in order, for `apply`."""
    longest = {report.id: report.digits for report in sorted(reports, key=lambda r: len(r.digits))}
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH locked AS (
                   SELECT id FROM telephony_delivery WHERE id = ANY(%(ids)s) ORDER BY id FOR NO KEY UPDATE
               )
               UPDATE telephony_delivery d SET digits = e.digits
                 FROM unnest(%(ids)s::bigint[], %(digits)s::text[]) AS e(id, digits), locked
                WHERE d.id = locked.id AND e.id = d.id AND length(e.digits) > length(d.digits)""",
            {"ids": list(longest), "digits": [_printable(digits)[:64] for digits in longest.values()]},
        )


@transaction.atomic
def terminate(*, purpose: Purpose, batch: int) -> int:
    """Stop a batch: what is queued ends `terminated`, what is being submitted is never queued again; how many ended."""
    _lock_unsubmitted(purpose, batch)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE telephony_delivery SET stopped = true
                 WHERE purpose = %s AND batch = %s AND status IN ({SUBMITTING}, {UNKNOWN})""",
            [purpose.value, batch],
        )
        cursor.execute(
            f"""UPDATE telephony_delivery d
                   SET status = {TERMINATED}, cause = %s, ended_at = statement_timestamp(), expires_at = NULL
                 WHERE d.purpose = %s AND d.batch = %s AND d.status = {QUEUED}
                RETURNING {_CHANGED}""",
            [Cause.STOPPED.value, purpose.value, batch],
        )
        rows = cursor.fetchall()
    _announce(rows)
    return len(rows)


def pause(*, purpose: Purpose, batch: int) -> None:
    """Nothing of a batch is claimed from now on, until `resume`."""
    _wait(purpose=purpose, batch=batch, until="'infinity'::timestamptz")


def resume(*, purpose: Purpose, batch: int) -> None:
    _wait(purpose=purpose, batch=batch, until="statement_timestamp()")


@transaction.atomic
def _wait(*, purpose: Purpose, batch: int, until: str) -> None:
    _lock_unsubmitted(purpose, batch)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE telephony_delivery SET not_before = {until}
                 WHERE purpose = %s AND batch = %s AND status IN ({QUEUED}, {SUBMITTING}, {UNKNOWN})
                   AND (not_before = 'infinity') <> ({until} = 'infinity'::timestamptz)""",
            [purpose.value, batch],
        )


def _lock_unsubmitted(purpose: Purpose, batch: int) -> None:
    """Lock what of a batch is not surely with the carrier, in the order of the ids; waits for claims under way."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT FROM telephony_delivery
                 WHERE purpose = %s AND batch = %s AND status IN ({QUEUED}, {SUBMITTING}, {UNKNOWN})
                 ORDER BY id FOR NO KEY UPDATE""",
            [purpose.value, batch],
        )


def expire_leases() -> int:
    """Claims whose process died, or never recorded, become `unknown`: perhaps the carrier has them."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE telephony_delivery SET status = {UNKNOWN},
                       expires_at = statement_timestamp() + make_interval(secs => %s)
                 WHERE id IN (SELECT id FROM telephony_delivery
                               WHERE status = {SUBMITTING} AND status > {QUEUED} AND status < {END}
                                 AND expires_at < statement_timestamp()
                               ORDER BY id LIMIT 5000 FOR UPDATE SKIP LOCKED)""",
            [settings.IRIS_REPORT_TIMEOUT_SECONDS],
        )
        return int(cursor.rowcount)


def unknown_since_lease(alias: str) -> list[int]:
    """Unknown deliveries of a trunk whose lease is over for good, so that nobody can still be submitting them."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT d.id FROM telephony_delivery d JOIN telephony_trunk t ON t.id = d.trunk_id
                 WHERE t.alias = %s AND d.status = {UNKNOWN}
                   AND d.claimed_at < statement_timestamp() - make_interval(secs => %s)
                 ORDER BY d.id LIMIT 1000""",
            [alias, settings.IRIS_LEASE_SECONDS + LEASE_GRACE],
        )
        return [row[0] for row in cursor.fetchall()]


def settle_unknown(*, taken: Sequence[int], report_timeout: float) -> None:
    """The carrier has these after all: from now on they are `submitted` and wait for their report."""
    if not taken:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE telephony_delivery
                   SET status = {SUBMITTED}, submitted_at = coalesce(submitted_at, claimed_at),
                       expires_at = greatest(claimed_at + make_interval(secs => %s),
                                             statement_timestamp() + make_interval(secs => %s))
                 WHERE id = ANY(%s) AND status = {UNKNOWN}""",
            [report_timeout, LEASE_GRACE, list(taken)],
        )


@transaction.atomic
def lose_unreported() -> int:
    """Deliveries that never reported in time end `failed`, cause "lost"; OTPs queued too long end as "expired"."""
    found: list[tuple[int, Cause]] = []
    with connection.cursor() as cursor:
        for cause, condition in (
            (Cause.LOST, f"status >= {UNKNOWN} AND status < {END} AND expires_at < statement_timestamp()"),
            (Cause.EXPIRED, f"status = {QUEUED} AND useful_until < statement_timestamp()"),
        ):
            cursor.execute(
                f"""SELECT id FROM telephony_delivery WHERE {condition}
                     ORDER BY id LIMIT 5000 FOR NO KEY UPDATE SKIP LOCKED"""
            )
            found += [(row[0], cause) for row in cursor.fetchall()]
    return apply([Report(id=pk, status=DeliveryStatus.FAILED, at=None, cause=cause) for pk, cause in found])


def lose_orphans(alias: str, *, claimed_before: datetime) -> int:
    """End as "lost" what another process had under way on a trunk, and has taken with it; how many deliveries."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT d.id FROM telephony_delivery d JOIN telephony_trunk t ON t.id = d.trunk_id
                 WHERE t.alias = %s AND d.status > {QUEUED} AND d.status < {END} AND d.claimed_at < %s
                 ORDER BY d.id""",
            [alias, claimed_before],
        )
        ids = [row[0] for row in cursor.fetchall()]
    text = "The trunk's worker died."
    return apply(
        [Report(id=pk, status=DeliveryStatus.FAILED, at=None, cause=Cause.LOST, text=text) for pk in ids]
    )


def _announce(rows: Sequence[tuple[Any, ...]]) -> None:
    """Book what these deliveries cost and tell whoever listens, all in the transaction that changed them."""
    if not rows:
        return
    changed = [
        Changed(pk, Purpose(purpose), batch, item, Channel(channel), DeliveryStatus(status), *rest)
        for pk, purpose, batch, item, channel, status, *rest in rows
    ]
    capture_many(
        captures=[
            Capture(hold_id=delivery.hold_id, amount=delivery.credits, cause=f"delivery:{delivery.id}")
            for delivery in changed
            if delivery.hold_id is not None and delivery.credits
        ]
    )
    deliveries_changed.send(sender=Changed, changed=changed)


def _printable(text: str) -> str:
    return text.replace("\0", "")[:200]
