"""Apply the results of submissions, and queue deliveries again that the carrier certainly has not accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.db import connection, transaction

from telephony.carriers.base import Accepted, Later, Pending, Rejected, Result, Unknown
from telephony.engine.lifecycle.announcing import CHANGED, announce
from telephony.engine.lifecycle.reports import Report, apply_reports, carrier_text
from telephony.models import Cause, DeliveryStatus
from telephony.models.statuses import END, QUEUED, SUBMITTED, SUBMITTING, TERMINATED, UNKNOWN

KEEP_PLACE_ATTEMPTS = 3  # after this many attempts, a requeued delivery goes behind all due deliveries


@transaction.atomic
def apply_results(
    results: Sequence[Result], *, report_timeout: float, attempts: Mapping[int, int] | None = None
) -> None:
    """Apply the results of submissions, with one statement per kind of result.

    If a report was applied earlier, the result `Accepted` only sets the carrier's `ref`. `attempts` has the number of each
    result's submission attempt, by the delivery's id. Results of earlier attempts change nothing: a process that outlived
    its lease must not undo the work of another process. Accepted results always count.
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
                      FROM unnest(%s::bigint[], %s::text[], %s::bool[]) AS e(id, ref, completes)
                     -- What completes now is written once, with its report below.
                     WHERE d.id = e.id AND d.status > {QUEUED} AND (NOT e.completes OR d.status >= {END})""",
                [
                    report_timeout,
                    [int(r.key) for r in accepted],
                    [r.ref[:100] for r in accepted],
                    [r.completes for r in accepted],
                ],
            )
        if parts := [(int(r.key), part[:100]) for r in accepted for part in r.parts]:
            cursor.execute(
                """INSERT INTO telephony_messagepart (delivery_id, trunk_id, ref, delivered)
                   SELECT d.id, d.trunk_id, e.ref, false
                     FROM unnest(%s::bigint[], %s::text[]) WITH ORDINALITY AS e(id, ref, place)
                     JOIN telephony_delivery d ON d.id = e.id
                    ORDER BY e.place  -- `part_reports` sees by the ids which part is the last
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
        apply_reports(
            [
                Report(id=int(r.key), status=DeliveryStatus.COMPLETED, at=None, ref=r.ref[:100])
                for r in completed
            ]
        )
    if rejected:
        apply_reports(
            [
                Report(id=int(r.key), status=DeliveryStatus.FAILED, cause=r.cause, text=r.text, at=None)
                for r in rejected
            ]
        )


def _locked(ids: Sequence[int]) -> dict[int, int]:
    """Lock these deliveries in the order of their ids; return their numbers of attempts by id."""
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
    """Queue deliveries again that the carrier certainly has not accepted. Stopped deliveries end `terminated` instead.

    `seconds` is the delay of each delivery, `texts` the reason that its `carrier_text` gets. If an attempt number is given,
    it must be the present one, because the same result may arrive twice or late.

    A delayed delivery goes behind all deliveries that are due before it. A delivery without a delay keeps its place in the
    queue, but only for its first attempts: a delivery that keeps failing must not always be tried first.

    With `pinned`, the carrier may have accepted the deliveries but makes resends harmless. They stay on its trunk, and
    reports since their first submission belong to them.
    """
    attempts = attempts or [None] * len(ids)
    _locked(ids)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE telephony_delivery d
                   SET status = {QUEUED}, carrier_text = e.text, expires_at = NULL,
                       not_before = CASE WHEN e.seconds > 0 THEN
                           greatest(d.not_before, statement_timestamp() + make_interval(secs => e.seconds))
                           WHEN d.attempts >= {KEEP_PLACE_ATTEMPTS} THEN greatest(d.not_before, statement_timestamp())
                           ELSE d.not_before END,
                       due_at = CASE WHEN e.seconds > 0 THEN  -- NULL unless the run is paused
                           d.due_at + greatest(interval '0', statement_timestamp() + make_interval(secs => e.seconds)
                                                             - d.due_at)
                           ELSE d.due_at END,
                       pinned_since = CASE WHEN %s THEN coalesce(d.pinned_since, d.claimed_at)
                                      ELSE d.pinned_since END
                  FROM unnest(%s::bigint[], %s::float8[], %s::text[], %s::int[]) AS e(id, seconds, text, attempt)
                 WHERE d.id = e.id AND d.status IN ({SUBMITTING}, {UNKNOWN}) AND NOT d.stopped
                   AND d.attempts = coalesce(e.attempt, d.attempts)""",
            # All as floats: psycopg cannot make an array of integers and floats.
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
