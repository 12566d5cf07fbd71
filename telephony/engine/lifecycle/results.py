"""What a carrier answered to submissions, and the way back into the queue of what it surely has not taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.db import connection, transaction

from telephony.carriers.base import Accepted, Later, Pending, Rejected, Result, Unknown
from telephony.engine.lifecycle.announcing import CHANGED, announce
from telephony.engine.lifecycle.reports import Report, apply, carrier_text
from telephony.models import Cause, DeliveryStatus
from telephony.models.statuses import END, QUEUED, SUBMITTED, SUBMITTING, TERMINATED, UNKNOWN

KEEPS_PLACE = 3  # attempts from which on what is queued again goes behind all that is due


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
                [report_timeout, [int(r.key) for r in unknown], [carrier_text(r.text) for r in unknown]],
            )
        if resent := [int(r.key) for r in unknown if r.resent]:
            cursor.execute(
                f"""UPDATE telephony_delivery SET pinned_since = claimed_at
                     WHERE id = ANY(%s) AND status = {UNKNOWN} AND pinned_since IS NOT NULL""",
                [resent],
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
    pinned: bool = False,
) -> None:
    """Back to `queued`: the carrier surely has not taken these. Those stopped meanwhile are `terminated` instead.

    Where the attempt is given, it must be the present one: the same may be said twice, or late. What has to wait goes
    behind all that is due before then. What need not wait keeps its place in the queue, but only the first times: one
    delivery that comes back again and again, for whatever reason, must not always be the first to be tried.

    With `pinned`, the carrier may have taken them, and makes their resends harmless: they stay on its trunk, and
    reports that come from the first submission on count for them.
    """
    attempts = attempts or [None] * len(ids)
    _locked(ids)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE telephony_delivery d
                   SET status = {QUEUED}, carrier_text = e.text, expires_at = NULL,
                       not_before = CASE WHEN e.seconds > 0 THEN
                           greatest(d.not_before, statement_timestamp() + make_interval(secs => e.seconds))
                           WHEN d.attempts >= {KEEPS_PLACE} THEN greatest(d.not_before, statement_timestamp())
                           ELSE d.not_before END,
                       pinned_since = CASE WHEN %s THEN coalesce(d.pinned_since, d.claimed_at)
                                      ELSE d.pinned_since END
                  FROM unnest(%s::bigint[], %s::float8[], %s::text[], %s::int[]) AS e(id, seconds, text, attempt)
                 WHERE d.id = e.id AND d.status IN ({SUBMITTING}, {UNKNOWN}) AND NOT d.stopped
                   AND d.attempts = coalesce(e.attempt, d.attempts)""",
            # As floats throughout: of a list of both, no array can be made.
            [
                pinned,
                list(ids),
                list(map(float, seconds)),
                [carrier_text(text) for text in texts],
                list(attempts),
            ],
        )
        cursor.execute(
            f"""UPDATE telephony_delivery d
                   SET status = {TERMINATED}, cause = %s, ended_at = statement_timestamp(), expires_at = NULL
                  FROM unnest(%s::bigint[], %s::int[]) AS e(id, attempt)
                 WHERE d.id = e.id AND d.status IN ({SUBMITTING}, {UNKNOWN}) AND d.stopped
                   AND d.attempts = coalesce(e.attempt, d.attempts)
                RETURNING {CHANGED}""",
            [Cause.STOPPED.value, list(ids), list(attempts)],
        )
        announce(cursor.fetchall())
