"""A report on many recipients: its memory does not grow with them, and XLSX has the rows of CSV."""

from __future__ import annotations

import csv
import resource
import subprocess
import time
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from openpyxl import load_workbook

from campaigns.api.v0.report_files import LABELS
from campaigns.models import Campaign, ReportFile, ReportFormat, ReportStatus
from campaigns.report_files import files
from tests.conftest import require_program
from tests.factories import make_account, make_empty_campaign
from tests.scale import IS_FIELD, at_scale

pytestmark = [pytest.mark.django_db, pytest.mark.field]
COUNT = at_scale(5_000, 1_000_000)
MAX_GROWTH = 64 * 2**20
FILL = """
    INSERT INTO campaigns_recipient (campaign_id, number, "to", tags, status, credits)
    SELECT %(campaign)s, to_char(9800000000 + n, 'FM9999999999'), '+977' || to_char(9800000000 + n, 'FM9999999999'),
           jsonb_build_object('tags_name', 'सीता ' || n, 'tags_ward', n %% 33, 'tags_note', '=1+' || n),
           (ARRAY[100, 110, 120, 130, NULL])[1 + n %% 5], (n %% 5) * 0.25
      FROM generate_series(1, %(count)s) AS n
"""


@pytest.fixture(autouse=True)
def _storage(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def campaign() -> Campaign:
    made = make_empty_campaign(owner=make_account(), tags=["tags_name", "tags_ward", "tags_note"])
    with connection.cursor() as cursor:
        cursor.execute(FILL, {"campaign": made.pk, "count": COUNT})
    Campaign.objects.filter(pk=made.pk).update(number_count=COUNT)
    return Campaign.objects.get(pk=made.pk)


def prepare(campaign: Campaign, format: ReportFormat, folder: Path) -> Path:
    report = files.request(campaign=campaign, run=None, format=format, labels=LABELS)
    began = time.process_time()
    while files.work(budget=5):
        pass
    report = ReportFile.objects.get(pk=report.pk)
    assert (report.status, report.rows) == (ReportStatus.READY, COUNT)
    path = folder / f"report.{format}"
    with path.open("wb") as file:
        file.writelines(files.content_of(report))
    seconds = time.process_time() - began
    print(
        f"{COUNT} rows as {format}: {seconds:.1f} s, {report.size / 1e6:.1f} MB in {len(report.parts)} parts"
    )
    return path


def rows_of_csv(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.reader(file)


def rows_of_workbook(path: Path) -> Iterator[list[str]]:
    (sheet,) = load_workbook(path, read_only=True).worksheets
    for row in sheet.iter_rows():
        yield ["" if cell.value is None else _shown(cell) for cell in row]


def _shown(cell: Any) -> str:
    if cell.is_date:
        return f"{cell.value:%Y-%m-%d %H:%M}"
    return f"{cell.value:.2f}" if cell.number_format == "0.00" else str(cell.value)


def test_xlsx_has_the_rows_of_csv_and_memory_is_flat(campaign: Campaign, tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    as_csv = prepare(campaign, ReportFormat.CSV, tmp_path)
    as_xlsx = prepare(campaign, ReportFormat.XLSX, tmp_path)
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    print(f"memory: {growth / 2**20:.0f} MiB more")
    assert growth < MAX_GROWTH
    if IS_FIELD:
        program = require_program("soffice")
        to_csv = "csv:Text - txt - csv (StarCalc):44,34,76,1"  # commas, quotes, UTF-8, from the first row
        command = [program, f"-env:UserInstallation=file://{tmp_path}/office", "--headless"]
        command += ["--convert-to", to_csv, "--outdir", str(tmp_path / "converted"), str(as_xlsx)]
        subprocess.run(command, check=True, timeout=1800, capture_output=True)
        others: Iterator[list[str]] = rows_of_csv(tmp_path / "converted" / "report.csv")
    else:
        others = rows_of_workbook(as_xlsx)
    count = 0
    for expected, other in zip_longest(rows_of_csv(as_csv), others):
        assert expected == other
        count += 1
    assert count == COUNT + 1
