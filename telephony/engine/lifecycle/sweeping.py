"""End or move deliveries that are stuck: expired leases, unknown states, missing reports, closed trunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from django.conf import settings
from django.db import connection, transaction

from telephony.engine.lifecycle.reports import Report, apply_isolated, apply_reports
from telephony.models import Cause, Channel, Delivery, DeliveryStatus
from telephony.models.statuses import END, QUEUED, SUBMITTED, SUBMITTING, UNKNOWN
from telephony.senders.queued import choose_again

# Seconds after the end of a lease before a delivery may count as not submitted. If a submission began just before the end of
# the lease, it has ended by then.
LEASE_GRACE = 3
# The shortest report timeout after a lease has expired, in seconds. It leaves time for look-ups and their retries.
LOOK_UP_SECONDS = 30
LEASE_TEXT = (
    "iris does not know whether it was submitted: its worker ended before the carrier's answer was stored."
)
SWEEP_SIZE = 5000  # deliveries swept by one statement


def expire_leases(report_timeouts: Mapping[str, float] | None = None) -> int:
    """Set claimed deliveries with an expired lease to `unknown`, because the carrier may have them; return how many.

    `report_timeouts` has the seconds that they wait for a report, by the trunk's alias. Deliveries of other trunks wait
    IRIS_REPORT_TIMEOUT_SECONDS. All wait at least LOOK_UP_SECONDS.
    """
    timeouts = report_timeouts or {}
    with connection.cursor() as cursor:
        cursor.execute(
            f"""WITH over AS (
                    SELECT id FROM telephony_delivery
                     WHERE status = {SUBMITTING} AND status > {QUEUED} AND status < {END}
                       AND expires_at < statement_timestamp()
                     ORDER BY id LIMIT {SWEEP_SIZE} FOR UPDATE SKIP LOCKED
                )
                UPDATE telephony_delivery d SET status = {UNKNOWN}, carrier_text = %s,
                       expires_at = statement_timestamp()
                           + make_interval(secs => greatest(coalesce(e.seconds, %s), {LOOK_UP_SECONDS}))
                  FROM over, telephony_trunk t
                  LEFT JOIN unnest(%s::text[], %s::float8[]) AS e(alias, seconds) USING (alias)
                 WHERE d.id = over.id AND t.id = d.trunk_id""",
            [
                LEASE_TEXT,
                float(settings.IRIS_REPORT_TIMEOUT_SECONDS),
                list(timeouts),
                list(map(float, timeouts.values())),
            ],
        )
        return int(cursor.rowcount)


def unknown_since_lease(alias: str) -> dict[int, int]:
    """Return unknown deliveries of a trunk that no process can still submit: their numbers of attempts by id.

    The caller needs the numbers of attempts because a look-up takes time, and its result applies only to these attempts.

    Deliveries that were claimed before a backup was restored are left out. The original database may have submitted them and
    received their reports. So even if the carrier does not know them, they may have been sent.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT d.id, d.attempts FROM telephony_delivery d JOIN telephony_trunk t ON t.id = d.trunk_id
                 WHERE t.alias = %s AND d.status = {UNKNOWN}
                   AND d.claimed_at < statement_timestamp() - make_interval(secs => %s)
                   AND d.claimed_at > coalesce((SELECT restored_at FROM telephony_restoreguard), '-infinity')
                 ORDER BY d.id LIMIT {SWEEP_SIZE}""",
            [alias, settings.IRIS_LEASE_SECONDS + LEASE_GRACE],
        )
        return dict(cursor.fetchall())


def resolve_unknown(*, taken: Sequence[int], report_timeout: float) -> None:
    """Set unknown deliveries to `submitted`, because the carrier has them.

    They wait `report_timeout` seconds for a report.
    """
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
    """End deliveries without a timely report as `failed`, cause "lost", and outdated OTPs in the queue as "expired".

    Return how many deliveries ended.
    """
    ended: list[Report] = []
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT d.id, d.carrier_text, {_PARTS_TOLD} FROM telephony_delivery d
                 WHERE d.status >= {UNKNOWN} AND d.status < {END} AND d.expires_at < statement_timestamp()
                 ORDER BY d.id LIMIT {SWEEP_SIZE} FOR NO KEY UPDATE SKIP LOCKED"""
        )
        for pk, text, told in cursor.fetchall():
            said = _last_words(text, told)
            ended.append(Report(id=pk, status=DeliveryStatus.FAILED, at=None, cause=Cause.LOST, text=said))
        cursor.execute(
            f"""SELECT id FROM telephony_delivery
                 WHERE status = {QUEUED} AND useful_until < statement_timestamp()
                 ORDER BY id LIMIT {SWEEP_SIZE} FOR NO KEY UPDATE SKIP LOCKED"""
        )
        ended += [
            Report(id=pk, status=DeliveryStatus.FAILED, at=None, cause=Cause.EXPIRED)
            for (pk,) in cursor.fetchall()
        ]
    return apply_isolated(ended)


# How many parts of a long SMS were reported, as "1 of 3"; NULL if none was.
_PARTS_TOLD = """(SELECT CASE WHEN count(*) > 1 AND bool_or(p.delivered)
                              THEN count(*) FILTER (WHERE p.delivered) || ' of ' || count(*) END
                    FROM telephony_messagepart p WHERE p.delivery_id = d.id)"""


def _last_words(text: str, parts_told: str | None) -> str:
    """Return the text of a lost delivery: the carrier's latest text, and that no final report came in time."""
    if parts_told:
        return f"DELIVRD for {parts_told} parts; no report about the others came in time."
    return f"{text.removesuffix('.')}; no final report came in time." if text else "No report came in time."


def lose_orphans(alias: str, *, claimed_before: datetime) -> int:
    """End as "lost" the deliveries that a dead worker of this trunk had in flight; return how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT d.id FROM telephony_delivery d JOIN telephony_trunk t ON t.id = d.trunk_id
                 WHERE t.alias = %s AND d.status > {QUEUED} AND d.status < {END} AND d.claimed_at < %s
                 ORDER BY d.id""",
            [alias, claimed_before],
        )
        ids = [row[0] for row in cursor.fetchall()]
    text = "The trunk's worker died."
    return apply_reports(
        [Report(id=pk, status=DeliveryStatus.FAILED, at=None, cause=Cause.LOST, text=text) for pk in ids]
    )


@transaction.atomic
def reroute(
    *,
    trunk_id: int,
    channel: Channel,
    trunk_by_prefix: Mapping[str, int],
    trunk_by_group: Mapping[tuple[int, str], int] | None = None,
    canary: int | None = None,
) -> int:
    """Move queued deliveries of a trunk to other trunks, at most SWEEP_SIZE; return how many.

    `trunk_by_prefix` has the id of a trunk for each number prefix, including "". `trunk_by_group` has the trunks of
    exceptions, by the id of the owner and a number prefix. All prefixes of exceptions have the same length.

    Deliveries that another process is claiming are locked, so they are skipped. Pinned deliveries stay, because only this
    trunk's carrier can cancel the earlier SMS. `canary` stays, too: the trunk is tried with it. SMS get a sender that is
    approved for their new trunk.
    """
    groups = trunk_by_group or {}
    with connection.cursor() as cursor:
        cursor.execute(
            f"""WITH trunks AS (
                    SELECT * FROM unnest(%s::text[], %s::bigint[]) AS w(prefix, trunk_id)
                ), groups AS MATERIALIZED (
                    SELECT * FROM unnest(%s::bigint[], %s::text[], %s::bigint[]) AS w(owner_id, prefix, trunk_id)
                ), moved AS (
                    SELECT d.id, chosen.trunk_id FROM telephony_delivery d
                      LEFT JOIN groups g ON g.owner_id = d.owner_id AND g.prefix = left(d."to", %s), LATERAL (
                        SELECT coalesce(g.trunk_id, trunk_id) AS trunk_id FROM trunks WHERE starts_with(d."to", prefix)
                         ORDER BY length(prefix) DESC LIMIT 1) chosen
                     WHERE d.trunk_id = %s AND d.status = {QUEUED} AND d.channel = %s AND chosen.trunk_id <> d.trunk_id
                       AND d.pinned_since IS NULL AND d.id IS DISTINCT FROM %s
                     ORDER BY d.id LIMIT {SWEEP_SIZE} FOR NO KEY UPDATE OF d SKIP LOCKED
                )
                UPDATE telephony_delivery d SET trunk_id = moved.trunk_id FROM moved WHERE d.id = moved.id
                RETURNING d.id""",
            [
                list(trunk_by_prefix),
                list(trunk_by_prefix.values()),
                [owner_id for owner_id, _ in groups],
                [prefix for _, prefix in groups],
                list(groups.values()),
                max((len(prefix) for _, prefix in groups), default=0),
                trunk_id,
                channel.value,
                canary,
            ],
        )
        ids = [row[0] for row in cursor.fetchall()]
    if channel is Channel.SMS:
        choose_again(ids)
    return len(ids)


def move(delivery_id: int, *, trunk_id: int) -> None:
    """Move a queued delivery to another trunk. An SMS gets a sender that is approved there.

    Call it with the delivery's row locked.
    """
    Delivery.objects.filter(pk=delivery_id, status=QUEUED).update(trunk=trunk_id)
    choose_again([delivery_id])


@transaction.atomic
def lose_pinned(*, trunk_id: int) -> int:
    """End as "lost" the queued deliveries that are pinned to a trunk that no longer exists; return how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT d.id FROM telephony_delivery d
                 WHERE d.trunk_id = %s AND d.status = {QUEUED}
                   AND d.pinned_since IS NOT NULL
                 ORDER BY d.id LIMIT {SWEEP_SIZE} FOR NO KEY UPDATE OF d SKIP LOCKED""",
            [trunk_id],
        )
        ids = [row[0] for row in cursor.fetchall()]
    text = "Its trunk is no longer configured."
    return apply_reports(
        [Report(id=pk, status=DeliveryStatus.FAILED, at=None, cause=Cause.LOST, text=text) for pk in ids]
    )
