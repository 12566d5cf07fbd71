"""Reports are prepared in parts, once, by any process, and are deleted when nobody may download them any more."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from campaigns.api.v0.report_files import LABELS
from campaigns.models import (
    Answer,
    Campaign,
    Recipient,
    ReportFile,
    ReportFormat,
    ReportStatus,
    Run,
    RunStatus,
    SurveyAnswer,
    SurveyStep,
)
from campaigns.models.report_files import KEEP
from campaigns.recipients.imports import last_row
from campaigns.report_files import files
from campaigns.report_files.rows import Rows
from campaigns.reports import totals
from iris.errors import Conflict, NotFound
from telephony.models import Cause, DeliveryStatus
from tests.campaigns.surveys.surveying import make_survey
from tests.factories import make_account, make_campaign, make_delivery_of, make_run

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _storage(settings: Any, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totals, "BATCH", 2)


@pytest.fixture
def campaign() -> Campaign:
    return make_campaign(numbers=range(9841000001, 9841000008), name="Water")


def ask(campaign: Campaign, run: Run | None = None, *, format: ReportFormat = ReportFormat.CSV) -> ReportFile:
    return files.request(campaign=campaign, run=run, format=format, labels=LABELS)


def rows_of(report: ReportFile) -> list[dict[str, str]]:
    """Prepare the rest of a report, and return its rows."""
    while files.work(budget=5):
        pass
    report.refresh_from_db()
    assert report.status == ReportStatus.READY
    content = b"".join(files.content_of(report))
    assert len(content) == report.size
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


def stored() -> list[str]:
    try:
        return default_storage.listdir(files.FOLDER)[1]
    except FileNotFoundError:
        return []


def test_a_report_in_parts_equals_one_that_is_written_at_once(
    campaign: Campaign, small_batches: None
) -> None:
    at_once = ask(campaign)
    files.prepare(at_once.pk, until=time.monotonic() + 60)
    in_parts = ReportFile.objects.create(
        campaign=campaign, format="csv", labels=LABELS, stamp="", total=7, last=last_row(campaign)
    )
    percents = []
    for _ in range(4):
        files.prepare(in_parts.pk, until=0)
        in_parts.refresh_from_db()
        percents.append(in_parts.percent)
    assert percents == [28, 57, 85, 100]
    assert len(in_parts.parts) == 4
    at_once.refresh_from_db()
    assert len(at_once.parts) == 1
    rows = rows_of(in_parts)
    assert rows == rows_of(at_once)
    assert [row["number"] for row in rows] == [str(number) for number in range(9841000001, 9841000008)]
    assert in_parts.rows == in_parts.read == 7


def test_a_report_has_what_became_of_each_recipient() -> None:
    campaign = make_campaign(numbers=range(9841000001, 9841000004), name="Water")
    run = make_run(campaign=campaign, status=RunStatus.COMPLETED, held=10)
    first, second, third = campaign.recipients.order_by("pk")
    now = timezone.now()
    make_delivery_of(run=run, recipient=first, status=DeliveryStatus.COMPLETED, credits=1, ended_at=now)
    make_delivery_of(
        run=run, recipient=second, status=DeliveryStatus.FAILED, cause=Cause.INVALID, ended_at=now
    )
    Recipient.objects.filter(pk=first.pk).update(status=DeliveryStatus.COMPLETED, credits=1)
    Recipient.objects.filter(pk=second.pk).update(status=DeliveryStatus.FAILED)
    shown = {row["number"]: row for row in rows_of(ask(campaign))}
    assert [shown[one.number]["status"] for one in (first, second, third)] == [
        "completed",
        "failed",
        "not started",
    ]
    assert shown[first.number] | {"updated_at": ""} == {
        "number": "9841000001",
        "status": "completed",
        "cause": "",
        "attempts": "1",
        "call_duration": "",
        "playback": "",
        "credits": "1.00",
        "updated_at": "",
    }
    assert shown[second.number]["cause"] == "invalid"
    assert (shown[third.number]["attempts"], shown[third.number]["cause"]) == ("0", "")


def test_a_report_on_a_run_has_the_outcome_in_that_run(campaign: Campaign) -> None:
    recipients = list(campaign.recipients.order_by("pk"))
    earlier = make_run(campaign=campaign, status=RunStatus.COMPLETED, held=10)
    later = make_run(
        campaign=campaign, status=RunStatus.COMPLETED, held=10, statuses=[int(DeliveryStatus.UNANSWERED)]
    )
    make_delivery_of(run=earlier, recipient=recipients[0], status=DeliveryStatus.UNANSWERED, cause=Cause.BUSY)
    make_delivery_of(run=later, recipient=recipients[0], status=DeliveryStatus.COMPLETED)
    Recipient.objects.filter(pk=recipients[0].pk).update(status=DeliveryStatus.COMPLETED)
    first = rows_of(ask(campaign, earlier))
    assert [row["status"] for row in first] == ["unanswered", *["not started"] * 6]
    assert first[0]["cause"] == "busy"
    assert [row["status"] for row in rows_of(ask(campaign, later))] == ["completed"]
    assert rows_of(ask(campaign))[0]["attempts"] == "2"


def test_recipients_who_were_added_later_are_in_a_later_report(
    campaign: Campaign, small_batches: None
) -> None:
    report = ask(campaign)
    files.prepare(report.pk, until=0)
    campaign.recipients.create(number="9841000099", to="+9779841000099", tags={})
    assert len(rows_of(report)) == 7


def test_a_report_on_a_survey_has_the_answers() -> None:
    campaign = make_survey()
    steps = SurveyStep.objects.filter(survey__campaign=campaign).exclude(answer=Answer.NONE)
    run = make_run(campaign=campaign, status=RunStatus.COMPLETED)
    recipient = campaign.recipients.earliest("pk")
    for step, text in zip(steps.order_by("order"), ("1", "2"), strict=True):
        SurveyAnswer.objects.create(
            recipient=recipient, run=run, step=step, text=text, answered_at=timezone.now()
        )
    SurveyStep.objects.filter(pk=steps.latest("order").pk).update(answer=Answer.SPEECH)
    rows = rows_of(ask(campaign))
    assert list(rows[0].values())[8:] == ["1", "recorded"]
    assert list(rows[1].values())[8:] == ["", ""]


def test_nobody_waits_twice_for_the_same_report(campaign: Campaign) -> None:
    report = ask(campaign)
    assert ask(campaign) == report
    rows_of(report)
    assert ask(campaign) == report
    assert ask(campaign, format=ReportFormat.XLSX) != report
    make_run(campaign=campaign, status=RunStatus.COMPLETED)  # the results have changed since
    assert ask(campaign) != report


def test_an_old_report_is_prepared_again(campaign: Campaign) -> None:
    report = ask(campaign)
    rows_of(report)
    ReportFile.objects.update(finished_at=timezone.now() - files.FRESH)
    assert ask(campaign) != report


def test_an_account_waits_for_a_few_reports_at_most(campaign: Campaign) -> None:
    runs = [make_run(campaign=campaign, status=RunStatus.COMPLETED) for _ in range(files.MAX_PREPARING)]
    for run in runs:
        ask(campaign, run)
    with pytest.raises(Conflict):
        ask(campaign)
    ask(make_campaign(owner=make_account(credits=10)))
    while files.work(budget=5):
        pass
    ask(campaign)


def test_an_account_keeps_its_latest_reports(campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_KEPT", 2)
    for _ in range(4):
        rows_of(ask(campaign, make_run(campaign=campaign, status=RunStatus.COMPLETED)))
    assert ReportFile.objects.count() == len(stored()) == 2


def test_a_report_that_is_deleted_while_it_is_prepared_leaves_no_file(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = ask(campaign)
    batches = Rows.batches

    def with_deletion(rows: Rows) -> Iterator[Any]:
        yield from batches(rows)
        ReportFile.objects.discard()

    monkeypatch.setattr(Rows, "batches", with_deletion)
    assert files.work(budget=1) is False
    assert stored() == []
    assert not ReportFile.objects.filter(pk=report.pk).exists()


def test_a_part_that_cannot_be_prepared_ends_the_report_after_some_tries(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(rows: Rows) -> Iterator[Any]:
        raise ValueError("no")

    with monkeypatch.context() as patched:
        patched.setattr(Rows, "batches", fail)
        report = ask(campaign)
        for _ in range(files.MAX_TRIES + 1):
            files.work(budget=0)
    report.refresh_from_db()
    assert (report.status, len(caplog.records)) == (ReportStatus.FAILED, files.MAX_TRIES)
    assert ask(campaign) == report
    ReportFile.objects.update(finished_at=timezone.now() - files.FAILURE_SHOWN)
    assert len(rows_of(ask(campaign))) == 7


def test_a_process_that_died_is_replaced(campaign: Campaign, small_batches: None) -> None:
    """The next process continues after the last stored part, and the file of the dead one is deleted some time later."""
    report = ask(campaign)
    files.prepare(report.pk, until=0)
    default_storage.save(f"{files.FOLDER}/{report.pk}-dead", ContentFile(b"x"))
    assert len(rows_of(report)) == 7
    ReportFile.objects.update(finished_at=timezone.now() - KEEP - timedelta(seconds=1))
    with pytest.raises(NotFound):
        files.find(campaign, report.pk)
    assert files.of_campaign(campaign) == []
    assert files.remove_expired() == 1
    assert stored() == []


def test_only_files_of_unknown_reports_are_deleted(campaign: Campaign) -> None:
    report = ask(campaign)
    rows_of(report)
    for name in (f"{report.pk + 1}-aa", "other", f"{'9' * 30}-a"):
        default_storage.save(f"{files.FOLDER}/{name}", ContentFile(b"x"))
    assert files.remove_expired() == 0
    assert sorted(name.partition("-")[0] for name in stored()) == sorted([str(report.pk), "other", "9" * 30])
    assert len(rows_of(report)) == 7


def test_reports_take_turns(campaign: Campaign, small_batches: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MIN_SECONDS", 0)
    other = make_campaign(numbers=range(9841000001, 9841000003))
    large, small = ask(campaign), ask(other)
    assert files.work(budget=0) is True
    large.refresh_from_db()
    small.refresh_from_db()
    assert (large.read, small.read) == (2, 2)
