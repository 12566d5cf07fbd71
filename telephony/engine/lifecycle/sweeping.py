"""What nobody finished: ends of leases, unknown fates, reports that never come, queues that nobody serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from django.conf import settings
from django.db import connection, transaction

from telephony.engine.lifecycle.reports import Report, apply
from telephony.models import Cause, Channel, DeliveryStatus
from telephony.models.statuses import END, QUEUED, SUBMITTED, SUBMITTING, UNKNOWN

# Seconds beyond the end of a lease before anybody concludes that a submission was never made: a submission that was
# started in its last moment has ended by then.
LEASE_GRACE = 3
# The carrier is asked after the end of a lease, and for as long as it does not answer; only then may a report be missed.
LOOK_UP_SECONDS = 30
AT_ONCE = 5000  # deliveries swept by one statement


def expire_leases(report_timeouts: Mapping[str, float] | None = None) -> int:
    """Claims whose process died, or never recorded, become `unknown`: perhaps the carrier has them. How many.

    `report_timeouts`, in seconds by the trunk's alias, say how long they wait for a report from now on; those of other
    trunks wait IRIS_REPORT_TIMEOUT_SECONDS. None waits less than LOOK_UP_SECONDS.
    """
    timeouts = report_timeouts or {}
    with connection.cursor() as cursor:
        cursor.execute(
            f"""WITH over AS (
                    SELECT id FROM telephony_delivery
                     WHERE status = {SUBMITTING} AND status > {QUEUED} AND status < {END}
                       AND expires_at < statement_timestamp()
                     ORDER BY id LIMIT {AT_ONCE} FOR UPDATE SKIP LOCKED
                )
                UPDATE telephony_delivery d SET status = {UNKNOWN},
                       expires_at = statement_timestamp()
                           + make_interval(secs => greatest(coalesce(e.seconds, %s), {LOOK_UP_SECONDS}))
                  FROM over, telephony_trunk t
                  LEFT JOIN unnest(%s::text[], %s::float8[]) AS e(alias, seconds) USING (alias)
                 WHERE d.id = over.id AND t.id = d.trunk_id""",
            [
                float(settings.IRIS_REPORT_TIMEOUT_SECONDS),
                list(timeouts),
                list(map(float, timeouts.values())),
            ],
        )
        return int(cursor.rowcount)


def unknown_since_lease(alias: str) -> dict[int, int]:
    """Unknown deliveries of a trunk whose lease is over for good, so that nobody can still be submitting them.

    Their attempts so far, by id: whoever asks about them takes its time, and this is what the answer will be about.

    Without those that were claimed before a backup was restored: its original may have sent them and had their reports,
    so a carrier that knows nothing, or says nothing, is no proof any more.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT d.id, d.attempts FROM telephony_delivery d JOIN telephony_trunk t ON t.id = d.trunk_id
                 WHERE t.alias = %s AND d.status = {UNKNOWN}
                   AND d.claimed_at < statement_timestamp() - make_interval(secs => %s)
                   AND d.claimed_at > coalesce((SELECT restored_at FROM telephony_restoreguard), '-infinity')
                 ORDER BY d.id LIMIT {AT_ONCE}""",
            [alias, settings.IRIS_LEASE_SECONDS + LEASE_GRACE],
        )
        return dict(cursor.fetchall())


def resolve_unknown(*, taken: Sequence[int], report_timeout: float) -> None:
    """Make unknown deliveries `submitted`: the carrier has them after all. They wait `report_timeout` s for a report."""
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
                     ORDER BY id LIMIT {AT_ONCE} FOR NO KEY UPDATE SKIP LOCKED"""
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


def reroute(*, trunk_id: int, channel: Channel, ways: Mapping[str, int]) -> int:
    """Queue deliveries of a trunk on others, at most AT_ONCE; how many. `ways` has a trunk's id for each prefix, "" too.

    Deliveries that another process is claiming are locked, so they are skipped. Pinned ones stay: only this trunk's
    carrier can take back what was sent before.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""WITH ways AS (
                    SELECT * FROM unnest(%s::text[], %s::bigint[]) AS w(prefix, trunk_id)
                ), moved AS (
                    SELECT d.id, way.trunk_id FROM telephony_delivery d, LATERAL (
                        SELECT trunk_id FROM ways WHERE starts_with(d."to", prefix)
                         ORDER BY length(prefix) DESC LIMIT 1) way
                     WHERE d.trunk_id = %s AND d.status = {QUEUED} AND d.channel = %s AND way.trunk_id <> d.trunk_id
                       AND d.pinned_since IS NULL
                     ORDER BY d.id LIMIT {AT_ONCE} FOR NO KEY UPDATE OF d SKIP LOCKED
                )
                UPDATE telephony_delivery d SET trunk_id = moved.trunk_id FROM moved WHERE d.id = moved.id""",
            [list(ways), list(ways.values()), trunk_id, channel.value],
        )
        return int(cursor.rowcount)


@transaction.atomic
def lose_pinned(*, trunk_id: int) -> int:
    """End as "lost" the queued deliveries that only a trunk that no longer exists may send again; how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT d.id FROM telephony_delivery d
                 WHERE d.trunk_id = %s AND d.status = {QUEUED}
                   AND d.pinned_since IS NOT NULL
                 ORDER BY d.id LIMIT {AT_ONCE} FOR NO KEY UPDATE OF d SKIP LOCKED""",
            [trunk_id],
        )
        ids = [row[0] for row in cursor.fetchall()]
    text = "Its trunk is not configured any more."
    return apply(
        [Report(id=pk, status=DeliveryStatus.FAILED, at=None, cause=Cause.LOST, text=text) for pk in ids]
    )
