"""Odd but legal files are imported completely, or the answer names what was not. No file is an error of the server.

What a file contains is said by its generator, and by two independent readers: calamine, and LibreOffice if it is
installed (`make field`).
"""

from __future__ import annotations

import csv
import io
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest
import python_calamine
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from campaigns.models import Recipient
from tests.campaigns.recipients.odd_workbooks import WRITERS, OddFile, odd_file, phones_of
from tests.conftest import require_program
from tests.factories import client_of, make_account
from tests.scale import at_scale

pytestmark = pytest.mark.django_db

COUNT = at_scale(112, 3_000)
PARTS = 8  # each a test of its own
CONVERTED = at_scale(0, 240)  # files that LibreOffice writes again, in each of its formats

# Each row with content: its worksheet (0 is the first), its number in the sheet, and its phone numbers.
SeenRow = tuple[int, int, tuple[str, ...]]


class Answer:
    """What one upload changed, and what the answer said about it."""

    def __init__(self, client: APIClient, file: OddFile) -> None:
        response = client.post(
            "/api/system/campaigns/",
            {
                "name": file.name,
                "services": "SMS",
                "send_to_number_file": SimpleUploadedFile(file.name, file.content),
            },
            format="multipart",
        )
        self.body = response.json()
        assert response.status_code in (201, 400), (file.name, response.status_code, self.body)
        self.is_refused = response.status_code == 400
        self.numbers: set[str] = set()
        self.errors: list[dict[str, object]] = []
        if self.is_refused:
            assert self.body["message"], file.name
        else:
            (details,) = self.body["data"]["details"]
            self.errors = self.body["errors"]
            recipients = Recipient.objects.filter(campaign_id=details["id"])
            self.numbers = {number[-10:] for number in recipients.values_list("to", flat=True) if number}
        self.rows_named = {error["row"] for error in self.errors}
        messages = [str(error["message"]) for error in self.errors]
        self.hidden = sum(
            int(match[1].replace(",", ""))
            for message in messages
            if (match := re.match(r"([\d,]+) rows? (?:are|is) hidden", message))
        )
        self.names_worksheets = any(message.startswith("The worksheet “") for message in messages)

    def lost(self, rows: Iterable[SeenRow]) -> list[SeenRow]:
        """Return the rows that were neither imported nor named."""
        lost = [
            (sheet, row, phones)
            for sheet, row, phones in rows
            if not self.numbers & set(phones)
            and not (sheet == 0 and row in self.rows_named)
            and not (sheet > 0 and self.names_worksheets)
        ]
        return lost[self.hidden :]


def _client() -> APIClient:
    return client_of(make_account())


@pytest.mark.field
@pytest.mark.parametrize("part", range(PARTS))
def test_every_row_of_an_odd_file_is_imported_or_named(part: int) -> None:
    client = _client()
    refused = 0
    for seed in range(part, COUNT, PARTS):
        file = odd_file(seed)
        answer = Answer(client, file)
        if answer.is_refused:
            refused += 1
            continue
        assert answer.numbers <= file.numbers | _second_numbers(file), file.name
        if "text" not in file.name:
            assert answer.lost(_seen_by_calamine(file)) == [], (file.name, answer.body)
        elif not answer.errors:
            assert file.numbers <= answer.numbers, (file.name, answer.body)
    assert refused < COUNT / PARTS / 3


def _second_numbers(file: OddFile) -> set[str]:
    return {f"97{number[2:]}" for number in file.numbers}


def _seen_by_calamine(file: OddFile) -> list[SeenRow]:
    """Return the rows with phone numbers, in the worksheets that have any."""
    seen: list[SeenRow] = []
    workbook = python_calamine.load_workbook(io.BytesIO(file.content))
    place = 0
    for name in workbook.sheet_names:
        rows = workbook.get_sheet_by_name(name).to_python(skip_empty_area=False)
        found = _rows_with_phones(place, rows)
        seen += found
        place += any(cell != "" for row in rows for cell in row)
    return seen


def _rows_with_phones(sheet: int, rows: Iterable[Iterable[object]]) -> list[SeenRow]:
    return [
        (sheet, at, phones)
        for at, row in enumerate(rows, start=1)
        if (phones := tuple(phone for cell in row for phone in phones_of(cell)))
    ]


@pytest.mark.field
@pytest.mark.skipif(
    not CONVERTED, reason="LibreOffice takes too long for the short tests; make field runs it."
)
@pytest.mark.parametrize("extension", ["xlsx", "xls", "ods", "fods", "csv"])
def test_every_row_of_a_file_that_libreoffice_wrote_is_imported_or_named(
    extension: str, tmp_path: Path
) -> None:
    """LibreOffice writes odd files again in each of its formats, and reads the result."""
    seeds = [
        seed for seed in range(CONVERTED * 4) if WRITERS[seed % len(WRITERS)][0] in ("openpyxl", "xlsxwriter")
    ]
    originals = tmp_path / "originals"
    originals.mkdir()
    for seed in seeds[:CONVERTED]:
        (originals / f"{seed}.xlsx").write_bytes(odd_file(seed).content)
    written = _convert(sorted(originals.iterdir()), extension, tmp_path)
    tables = _as_csv(written, tmp_path)
    client = _client()
    imported = 0
    for path in written:
        answer = Answer(client, OddFile(path.name, path.read_bytes(), frozenset()))
        if answer.is_refused:
            continue
        imported += 1
        assert answer.lost(tables[path.stem]) == [], (path.name, answer.body)
    assert imported > len(written) / 2 or extension == "fods", "iris refuses flat XML by name"


def _as_csv(files: list[Path], folder: Path) -> dict[str, list[SeenRow]]:
    """Return the rows with phone numbers that LibreOffice finds in each file, in all worksheets."""
    out = folder / "read"
    # 44,34,76: comma, quotation mark, UTF-8. -1: each worksheet as a file of its own, `<file>-<worksheet>.csv`.
    _soffice(
        "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1", files, out, folder
    )
    tables: defaultdict[str, list[tuple[float, Path]]] = defaultdict(list)
    for path in out.iterdir():
        tables[path.stem.partition("-")[0]].append((path.stat().st_mtime_ns, path))
    seen: dict[str, list[SeenRow]] = {path.stem: [] for path in files}
    for stem, parts in tables.items():
        place = 0
        for _, part in sorted(parts):
            with part.open(encoding="utf-8", newline="") as file:
                rows = list(csv.reader(file))
            seen[stem] += _rows_with_phones(place, rows)
            place += any(cell for row in rows for cell in row)
    return seen


def _convert(files: list[Path], extension: str, folder: Path) -> list[Path]:
    out = folder / extension
    _soffice(extension, files, out, folder)
    return sorted(out.iterdir())


def _soffice(target: str, files: list[Path], out: Path, folder: Path) -> None:
    """Convert files with LibreOffice, with a profile of its own, so that several tests can run at once."""
    program = require_program("soffice")
    subprocess.run(
        [program, f"-env:UserInstallation=file://{folder}/profile", "--headless", "--convert-to", target]
        + ["--outdir", str(out), *map(str, files)],
        check=True,
        capture_output=True,
        timeout=900,
    )
