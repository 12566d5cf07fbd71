"""Apply carriers' reports: raise statuses and capture credits. A status never falls.

One exception: a report may correct a delivery that ended as lost, which only meant that no report had come. The statement
compares the cause, so a delivery is corrected once.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction

from iris.storable import storable
from telephony.call_scripts import heard_percent, load, offers_opt_out
from telephony.engine.failpoints import failpoint
from telephony.engine.lifecycle.announcing import CHANGED, announce
from telephony.engine.lifecycle.correcting import announce_corrections
from telephony.models import FINAL, Cause, DeliveryStatus
from telephony.models.statuses import ANSWERED, COMPLETED, END, FAILED, HUNGUP, QUEUED, SUBMITTED, UNKNOWN
from telephony.pricing import call_credits_sql
from telephony.unnest import rowset

log = logging.getLogger(__name__)

MAX_CALL_SECONDS = 10**8

# The condition that a later delivery `o` to the same recipient as the lost delivery `d` is under way or has reached them.
# A late report on `d` does not count then: the recipient would be shown, and paid for, twice.
REACHED_LATER = f"""SELECT FROM telephony_delivery o
                     WHERE o."to" = d."to" AND o.id > d.id AND o.item = d.item AND o.purpose = d.purpose
                       AND o.channel = d.channel AND (o.status BETWEEN {QUEUED + 1} AND {HUNGUP})"""
IS_LOST = f"d.status = {FAILED} AND d.cause = '{Cause.LOST.value}'"
_RAISES = f"(d.status < e.status AND d.status < {END})"
# The price of a call. The parameters are the rates of the settings, for calls without rates of their own.
_CALL_CREDITS = call_credits_sql(
    pulse_credits="coalesce(d.pulse_credits, %s)",
    seconds="coalesce(e.seconds, 0)",
    pulse_seconds="coalesce(d.pulse_seconds, %s)",
)
_CORRECTS = f"({IS_LOST} AND e.status >= {END} AND e.cause <> '{Cause.LOST.value}')"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A carrier's event that is matched to its delivery. If `at` is None, it happened now.

    `ref` is set if the carrier's id of the delivery is not stored yet.
    """

    id: int
    status: DeliveryStatus
    at: datetime | None
    cause: str = ""
    seconds: float | None = None
    playback: int | None = None
    text: str = field(default="", repr=False)  # logs show reports, but must not show numbers, texts or keys
    digits: str = field(default="", repr=False)
    ref: str = ""


@transaction.atomic
def apply_reports(reports: Sequence[Report], *, report_timeout: float | None = None) -> int:
    """Raise deliveries to the reported statuses, capture their credits and announce them; return how many changed.

    If a delivery has several reports, the highest status counts; among final statuses, the first report. After a delivery's
    first report, the carrier has `report_timeout` seconds for the other reports; by default IRIS_REPORT_TIMEOUT_SECONDS.
    """
    highest: dict[int, Report] = {}
    for report in reports:
        known = highest.get(report.id)
        if known is None or (known.status < report.status and known.status < FINAL):
            highest[report.id] = report
    chosen = _of_message([highest[key] for key in sorted(highest)])
    if not chosen:
        return 0
    if any(report.digits for report in reports):
        _note_digits(reports)
    if any(report.status == SUBMITTED and report.text for report in chosen):
        _note_words(chosen)
    lengths = [_length(report) for report in chosen]
    rows, parameters = rowset(
        "reported",
        {
            "id": ("bigint", [r.id for r in chosen]),
            "status": ("smallint", [int(r.status) for r in chosen]),
            "at": ("timestamptz", [r.at for r in chosen]),
            "cause": ("text", [str(r.cause) for r in chosen]),
            "seconds": ("float8", lengths),
            "playback": ("smallint", [r.playback for r in chosen]),
            "text": ("text", [carrier_text(r.text) for r in chosen]),
            "ref": ("text", [r.ref for r in chosen]),
        },
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""WITH e AS (
                    SELECT * FROM {rows}
                ), locked AS (
                    SELECT d.id, d.status >= {END} AS is_late FROM telephony_delivery d JOIN e USING (id)
                     WHERE {_RAISES} OR ({_CORRECTS} AND NOT EXISTS ({REACHED_LATER}))
                     ORDER BY d.id FOR NO KEY UPDATE OF d
                )
                UPDATE telephony_delivery d
                   SET status = e.status, cause = e.cause, ref = coalesce(nullif(e.ref, ''), d.ref),
                       carrier_text = CASE WHEN e.text = '' THEN d.carrier_text ELSE e.text END,
                       seconds = coalesce(e.seconds, d.seconds), playback = coalesce(e.playback, d.playback),
                       submitted_at = coalesce(d.submitted_at, e.at, statement_timestamp()),
                       answered_at = CASE
                           WHEN d.channel <> 'call' OR d.answered_at IS NOT NULL THEN d.answered_at
                           WHEN e.status = {ANSWERED} THEN coalesce(e.at, statement_timestamp())
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
                           WHEN e.status IN ({COMPLETED}, {HUNGUP}) THEN
                               least(d.credit_limit, {_CALL_CREDITS})
                           ELSE d.credits END
                  FROM e, locked
                 WHERE d.id = locked.id AND e.id = d.id AND ({_RAISES} OR (locked.is_late AND {_CORRECTS}))
                RETURNING locked.is_late, {CHANGED}""",
            [
                *parameters,
                settings.IRIS_REPORT_TIMEOUT_SECONDS if report_timeout is None else report_timeout,
                settings.IRIS_CALL_CREDITS,
                settings.IRIS_CALL_PULSE_SECONDS,
            ],
        )
        changed = cursor.fetchall()
    failpoint("applying")
    raised = [row[1:] for row in changed if not row[0]]
    if len(raised) < len(changed):
        announce_corrections([row[1:] for row in changed if row[0]], others=raised)
    else:
        announce(raised)
    failpoint("applied")
    return len(changed)


def _of_message(reports: Sequence[Report]) -> Sequence[Report]:
    """Return the reports with the heard share of the message, without announcements and hints around it.

    A call that was cut off during the hint at its end is completed.
    """
    partly = [report.id for report in reports if report.playback is not None and 0 < report.playback < 100]
    if not partly:
        return reports
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, script::text FROM telephony_delivery WHERE id = ANY(%s) AND script IS NOT NULL",
            [partly],
        )
        scripts = {pk: load(script) for pk, script in cursor.fetchall()}
    heard = []
    for report in reports:
        script = scripts.get(report.id, ())
        if script and report.playback is not None:
            report = replace(report, playback=heard_percent(script, report.playback))
            if report.status == HUNGUP and report.playback == 100 and offers_opt_out(script):
                report = replace(report, status=DeliveryStatus.COMPLETED, cause=Cause.NONE)
        heard.append(report)
    return heard


def _length(report: Report) -> float | None:
    """Return the length of a call in seconds; None if the carrier reports no length or an impossible one."""
    seconds = report.seconds
    return seconds if seconds is not None and 0 <= seconds < MAX_CALL_SECONDS else None


def _note_digits(reports: Sequence[Report]) -> None:
    """Store the keys that were pressed so far. Keys do not raise the status.

    This locks the deliveries of all reports, in the order of their ids, before `apply_reports` locks some of them.
    """
    longest = {report.id: report.digits for report in sorted(reports, key=lambda r: len(r.digits))}
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH locked AS (
                   SELECT id FROM telephony_delivery WHERE id = ANY(%(ids)s) ORDER BY id FOR NO KEY UPDATE
               )
               UPDATE telephony_delivery d SET digits = e.digits
                 FROM unnest(%(ids)s::bigint[], %(digits)s::text[]) AS e(id, digits), locked
                WHERE d.id = locked.id AND e.id = d.id AND length(e.digits) > length(d.digits)""",
            {"ids": list(longest), "digits": [storable(digits)[:64] for digits in longest.values()]},
        )


def _note_words(reports: Sequence[Report]) -> None:
    """Store the carrier's latest texts about submitted deliveries that have not ended. They do not raise the status.

    This locks the deliveries of all reports, in the order of their ids, before `apply_reports` locks some of them.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""WITH locked AS (
                    SELECT id FROM telephony_delivery WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE
                )
                UPDATE telephony_delivery d SET carrier_text = e.text
                  FROM unnest(%s::bigint[], %s::text[]) AS e(id, text), locked
                 WHERE d.id = locked.id AND e.id = d.id AND d.status >= {SUBMITTED} AND d.status < {END}
                   AND d.carrier_text <> e.text""",
            [
                [r.id for r in reports],
                [r.id for r in reports if r.status == SUBMITTED and r.text],
                [carrier_text(r.text) for r in reports if r.status == SUBMITTED and r.text],
            ],
        )


def apply_isolated(reports: Sequence[Report]) -> int:
    """Apply reports. If that fails, apply each half by itself, so that one bad report does not block the others.

    The bad one is logged and left out. Return how many deliveries changed. Raises OperationalError and InterfaceError.
    """
    try:
        return apply_reports(reports)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        if len(reports) <= 1:
            log.exception("A report cannot be applied: %r", reports)
            return 0
    half = len(reports) // 2
    return apply_isolated(reports[:half]) + apply_isolated(reports[half:])


def carrier_text(text: str) -> str:
    """Return a carrier's text as `Delivery.carrier_text` stores it: at most 200 characters, without unstorable ones."""
    return storable(text)[:200]
