"""Combine the reports on the parts of a long SMS into one report, and learn how many reports a carrier sends.

Most carriers report on each part; the SMS is delivered when all parts are. Some report once, on the first or the last
part. Then an SMS would wait for reports that never come, and end as lost. A carrier that may be of either kind
(`Carrier.learns_part_reports`) counts as one that reports once under two conditions. MIN_SMS long SMS have one report
each, on the same part. Since then, half of the report timeout has passed without a second report on any long SMS of
the trunk. As soon as one SMS has two reports, the carrier counts as one that reports on each part again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import timedelta

from django.db import connection, transaction
from django.utils import timezone

from telephony.carriers.base import Carrier, CarrierEvent
from telephony.engine import lifecycle
from telephony.engine.lifecycle import Report
from telephony.engine.lifecycle.reports import IS_LOST, REACHED_LATER
from telephony.engine.report_matching import Match
from telephony.models import DeliveryStatus, PartReporting, Trunk
from telephony.models.statuses import END

log = logging.getLogger(__name__)

MIN_SMS = 10
MAX_LEARN_INTERVAL = 60.0  # seconds between two checks of a trunk's reports
EACH_DAYS = 30  # how long two reports on one SMS show that the carrier reports on each part
NOTE_SECONDS = 3600  # how often that is noted
APPLY_SIZE = 1000

_looked_at: dict[str, float] = {}  # by alias; monotonic


def report_of(event: CarrierEvent, pk: int) -> Report:
    return Report(
        id=pk,
        status=event.status,
        at=event.at,
        cause=event.cause,
        seconds=event.seconds,
        playback=event.playback,
        text=event.text,
        digits=event.digits,
    )


def reports_on_whole(carrier: Carrier, events: Sequence[tuple[CarrierEvent, Match]]) -> list[Report]:
    """Return reports on whole messages: completed when all parts are delivered, failed when one part has failed.

    If the carrier reports only once, its report on any part completes the message.
    """
    reports = [
        report_of(event, match.pk) for event, match in events if event.status != DeliveryStatus.COMPLETED
    ]
    delivered = [(event, match) for event, match in events if event.status == DeliveryStatus.COMPLETED]
    if not delivered:
        return reports
    # Keeps the order of the events, so that a message gets the time of its last part.
    last = {match.pk: event for event, match in delivered}
    with connection.cursor() as cursor:
        # Two transactions may apply reports on parts of the same message. The lock makes the last transaction see the parts
        # of the others.
        cursor.execute(
            "SELECT FROM telephony_delivery WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE", [list(last)]
        )
        cursor.execute(
            """UPDATE telephony_messagepart p SET delivered = true, delivered_at = statement_timestamp()
                 FROM unnest(%s::bigint[], %s::text[]) AS e(delivery_id, ref)
                WHERE p.delivery_id = e.delivery_id AND p.ref = e.ref AND NOT p.delivered""",
            [[match.pk for _, match in delivered], [match.ref for _, match in delivered]],
        )
        cursor.execute(
            """SELECT delivery_id, bool_and(delivered), count(*) FILTER (WHERE delivered) FROM telephony_messagepart
                WHERE delivery_id = ANY(%s) GROUP BY delivery_id""",
            [list(last)],
        )
        told = cursor.fetchall()
    reports_on_each = any(count > 1 for _, _, count in told)
    if reports_on_each and carrier.learns_part_reports:
        _note_each(carrier.alias)
    once = not (reports_on_each and carrier.learns_part_reports) and carrier.reports_once()
    return reports + [report_of(last[pk], pk) for pk, is_whole, _ in told if is_whole or once]


def learn(carrier: Carrier) -> bool:
    """Find out whether the carrier reports once on a long SMS. If so, complete the SMS that wait, and return True.

    Looks at most every MAX_LEARN_INTERVAL seconds, and not while reports on each part have come lately.
    """
    if not carrier.learns_part_reports:
        return False
    wait = carrier.report_timeout() / 2
    now = time.monotonic()
    if now - _looked_at.get(carrier.alias, -MAX_LEARN_INTERVAL) < min(MAX_LEARN_INTERVAL, wait / 5):
        return False
    _looked_at[carrier.alias] = now
    known = PartReporting.objects.filter(trunk__alias=carrier.alias).first()
    if known is not None and (
        known.one_since or (known.each_at and timezone.now() - known.each_at < timedelta(days=EACH_DAYS))
    ):
        return False
    if not _shows_once(carrier.alias, wait=wait):
        return False
    trunk = Trunk.objects.get(alias=carrier.alias)
    # The waiting SMS are completed before the result is stored, so that none is left out if the process dies.
    while _complete_waiting(trunk) == APPLY_SIZE:
        pass
    PartReporting.objects.update_or_create(trunk=trunk, defaults={"one_since": timezone.now()})
    log.warning(
        "%s sends one receipt for a long SMS: it counts for all of its parts from now on", carrier.alias
    )
    return True


def _note_each(alias: str) -> None:
    """Note that two parts of one SMS were reported. Written at most every NOTE_SECONDS."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""INSERT INTO telephony_partreporting AS known (trunk_id, each_at)
                SELECT id, statement_timestamp() FROM telephony_trunk WHERE alias = %s
                ON CONFLICT (trunk_id) DO UPDATE SET each_at = excluded.each_at, one_since = NULL
                 WHERE known.one_since IS NOT NULL OR known.each_at IS NULL
                    OR known.each_at < excluded.each_at - make_interval(secs => {NOTE_SECONDS})""",
            [alias],
        )


def _shows_once(alias: str, *, wait: float) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""WITH sms AS (
                    SELECT p.delivery_id, count(*) FILTER (WHERE p.delivered) AS told,
                           min(p.id) FILTER (WHERE p.delivered) = min(p.id) AS first,
                           min(p.id) FILTER (WHERE p.delivered) = max(p.id) AS last,
                           min(p.delivered_at) < statement_timestamp() - make_interval(secs => %s) AS old
                      FROM telephony_messagepart p JOIN telephony_trunk t ON t.id = p.trunk_id
                     WHERE t.alias = %s
                     GROUP BY p.delivery_id HAVING count(*) > 1 AND bool_or(p.delivered)
                )
                SELECT coalesce(max(told) = 1 AND (bool_and(first) OR bool_and(last))
                                AND count(*) FILTER (WHERE old) >= {MIN_SMS}, false) FROM sms""",
            [wait, alias],
        )
        return bool(cursor.fetchone()[0])


@transaction.atomic
def _complete_waiting(trunk: Trunk) -> int:
    """Complete SMS with a report on one part, lost ones included. Return how many, at most APPLY_SIZE."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT d.id, p.delivered_at FROM telephony_messagepart p JOIN telephony_delivery d ON d.id = p.delivery_id
                 WHERE p.trunk_id = %s AND p.delivered
                   AND (d.status < {END} OR ({IS_LOST} AND NOT EXISTS ({REACHED_LATER})))
                 ORDER BY d.id LIMIT {APPLY_SIZE}""",
            [trunk.pk],
        )
        reports = [
            Report(id=pk, status=DeliveryStatus.COMPLETED, at=at, text="DELIVRD")
            for pk, at in cursor.fetchall()
        ]
    return lifecycle.apply_isolated(reports)
