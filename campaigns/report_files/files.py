"""Ask for a report on a campaign, prepare it in parts, read it, and delete it when it has expired.

The database is the queue. Each part is stored first. Then compare-and-set adds it to the report, together with where the
next part begins. So a process that dies, or works on the same report as another, does no harm.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import InterfaceError, OperationalError
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from campaigns.models import LIVE, Campaign, ReportFile, ReportFormat, ReportStatus, Run
from campaigns.models.report_files import KEEP
from campaigns.recipients.imports import last_recipient
from campaigns.report_files.formats import TooLargeToWrite, writer_of
from campaigns.report_files.rows import Labels, Rows
from iris.errors import Conflict, NotFound
from iris.locks import locked
from telephony.engine.nudge import nudge

log = logging.getLogger(__name__)

FOLDER = "reports"  # in the default storage
ROWS_AT_ONCE = 5_000  # a report on so many recipients takes a fraction of a second
MIN_SECONDS = 0.5  # for one report, so that it makes progress however many wait
MAX_PREPARING = 10  # of an account at a time
MAX_KEPT = 50  # ready reports of an account; the oldest are deleted
MAX_TRIES = 5  # of a part
MAX_PART = 8 * 2**20  # bytes
READ_BYTES = 64 * 1024
# How long a report is given to whoever asks again, if nothing has changed: of a campaign that runs, and of others.
FRESH_WHILE_LIVE, FRESH = timedelta(minutes=1), timedelta(hours=1)
FAILURE_SHOWN = timedelta(minutes=1)  # whoever asks later gets a new report


def request(*, campaign: Campaign, run: Run | None, format: ReportFormat, labels: Labels) -> ReportFile:
    """Return a report that is up to date, is being prepared, or has just failed; create one if there is none.

    Raises Conflict if the account waits for too many reports already.
    """
    latest = Run.objects.filter(campaign=campaign, trial=False).order_by("-pk").first()
    stamp = _stamp(campaign, latest)
    known = _known(campaign, run, format, labels, stamp, is_live=latest is not None and latest.status in LIVE)
    if known is not None:
        return known
    of_account = ReportFile.objects.filter(campaign__owner=campaign.owner_id)
    if of_account.filter(status=ReportStatus.PREPARING).count() >= MAX_PREPARING:
        raise Conflict(
            f"{MAX_PREPARING} reports of this account are being prepared. Wait until one of them is ready.",
            code="too_many_reports",
        )
    kept = of_account.filter(status=ReportStatus.READY).order_by("-pk").values("pk")[MAX_KEPT - 1 :]
    ReportFile.objects.filter(pk__in=list(kept.values_list("pk", flat=True))).discard()
    last = last_recipient(campaign) if run is None else run.last_recipient
    made = ReportFile.objects.create(
        campaign=campaign,
        run=run,
        format=format,
        labels=labels,
        stamp=stamp,
        total=campaign.number_count,
        last=last,
    )
    made.refresh_from_db()
    nudge("campaigns.tasks.prepare_reports")
    return made


def request_soon(
    *, campaign: Campaign, run: Run | None, format: ReportFormat, labels: Labels, seconds: float
) -> ReportFile:
    """Do the same as `request`, but prepare a small report at once, for at most `seconds`. Call it outside transactions."""
    report = request(campaign=campaign, run=run, format=format, labels=labels)
    if report.status == ReportStatus.PREPARING and report.read == 0 and report.total <= ROWS_AT_ONCE:
        prepare(report.pk, until=time.monotonic() + seconds)
        report.refresh_from_db()
    return report


def _stamp(campaign: Campaign, latest: Run | None) -> str:
    """Return what changes with the results, apart from the progress of a live run."""
    run = "" if latest is None else f"{latest.pk}:{latest.status}"
    return f"{campaign.number_count}:{campaign.updated_at.timestamp():.3f}:{run}"


def _known(
    campaign: Campaign, run: Run | None, format: str, labels: Labels, stamp: str, *, is_live: bool
) -> ReportFile | None:
    now = timezone.now()
    same = ReportFile.objects.filter(campaign=campaign, run=run, format=format, labels=labels)
    fresh = Q(
        status=ReportStatus.READY,
        stamp=stamp,
        finished_at__gt=now - (FRESH_WHILE_LIVE if is_live else FRESH),
    )
    failed = Q(status=ReportStatus.FAILED, finished_at__gt=now - FAILURE_SHOWN)
    return same.filter(fresh | failed | Q(status=ReportStatus.PREPARING)).order_by("-pk").first()


def of_campaign(campaign: Campaign) -> list[ReportFile]:
    """Return the reports on a campaign that can be downloaded or are being prepared, newest first."""
    return list(_not_expired().filter(campaign=campaign).select_related("run").order_by("-pk")[:MAX_KEPT])


def find(campaign: Campaign, pk: int) -> ReportFile:
    """Return a report on this campaign. Raises NotFound, also if it has expired."""
    found = _not_expired().filter(campaign=campaign, pk=pk).first() if pk < 2**63 else None
    if found is None:
        raise NotFound("This report does not exist any more. Ask for it again.")
    return found


def _not_expired() -> QuerySet[ReportFile]:
    return ReportFile.objects.filter(Q(finished_at=None) | Q(finished_at__gt=timezone.now() - KEEP))


def content_of(report: ReportFile) -> Iterator[bytes]:
    """Yield the bytes of a ready report."""
    for name, _ in report.parts:
        with default_storage.open(name, "rb") as part:
            while some := part.read(READ_BYTES):
                yield some


def due() -> bool:
    """Return whether a report is being prepared."""
    return ReportFile.objects.filter(status=ReportStatus.PREPARING).exists()


def work(*, budget: float) -> bool:
    """Prepare parts of reports in turn until `budget` seconds have passed. Return whether work remains."""
    end = time.monotonic() + budget
    while True:
        waiting = ReportFile.objects.filter(status=ReportStatus.PREPARING).order_by("worked_at", "pk")
        pks = list(waiting.values_list("pk", flat=True)[:MAX_PREPARING])
        if not pks:
            return False
        share = max((end - time.monotonic()) / len(pks), MIN_SECONDS)
        done = [prepare(pk, until=time.monotonic() + share) for pk in pks]
        if time.monotonic() >= end or not any(done):
            return True


def prepare(pk: int, *, until: float) -> bool:
    """Prepare the next parts of a report until this time (monotonic). Return whether this process has worked on it."""
    with locked(f"report:{pk}") as ours:
        if not ours:
            return False
        while True:
            report = ReportFile.objects.filter(pk=pk, status=ReportStatus.PREPARING)
            found = report.select_related("campaign__owner", "run").first()
            if found is None:
                return True
            if found.tries >= MAX_TRIES:
                report.update(status=ReportStatus.FAILED, finished_at=Now())
                return True
            report.update(tries=F("tries") + 1, worked_at=Now())
            try:
                _prepare_part(found, until)
            except TooLargeToWrite:
                report.update(status=ReportStatus.FAILED, finished_at=Now())
            except (OperationalError, InterfaceError):
                raise
            except Exception:  # the other reports must still be prepared
                log.exception("A part of the report %d could not be prepared", pk)
                return True
            if time.monotonic() >= until:
                return True


def _prepare_part(report: ReportFile, until: float) -> None:
    """Store the next part of a report, which covers at least one batch of recipients."""
    rows = Rows(report)
    writer = writer_of(report.format, report.writer)
    if not report.parts:
        writer.begin(report.labels["title"], rows.headings())
    read, written, after, is_done = 0, 0, report.after, True
    for batch in rows.batches():
        writer.add(batch.rows)
        read, written, after = read + batch.count, written + len(batch.rows), batch.last
        if batch.last < report.last and (time.monotonic() >= until or writer.size >= MAX_PART):
            is_done = False
            break
    if is_done:
        writer.end()
    content = writer.take()
    name = default_storage.save(f"{FOLDER}/{report.pk}-{uuid.uuid4().hex}", ContentFile(content))
    ended = {"status": ReportStatus.READY, "finished_at": Now()} if is_done else {}
    # The report may have been deleted meanwhile, or continued by another process after a lost connection.
    ours = ReportFile.objects.filter(pk=report.pk, status=ReportStatus.PREPARING, after=report.after)
    if not ours.update(
        parts=[*report.parts, [name, len(content)]],
        writer=writer.state,
        read=report.read + read,
        rows=report.rows + written,
        after=after,
        tries=0,
        **ended,
    ):
        default_storage.delete(name)


def remove_expired() -> int:
    """Delete reports that have expired, and files without a report; return how many reports."""
    old = ReportFile.objects.filter(finished_at__lt=timezone.now() - KEEP)
    count = old.discard()
    try:
        names = default_storage.listdir(FOLDER)[1]
    except FileNotFoundError:
        return count
    report_of = {name: int(name.partition("-")[0]) for name in names if re.match("[0-9]{1,18}-", name)}
    known = set(ReportFile.objects.filter(pk__in=set(report_of.values())).values_list("pk", flat=True))
    for name in names:
        if name in report_of and report_of[name] not in known:
            default_storage.delete(f"{FOLDER}/{name}")
    return count
