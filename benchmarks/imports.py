"""Importing a large sheet, against openpyxl merely iterating the same file."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.table import Row
from benchmarks.worlds import running_iris
from tests.live import ROOT, LiveIris

NAMES = ["राम", "सीता", "गीता", "हरि", "विष्णु", "लक्ष्मी", "सरस्वती"]


def measure(scale: float) -> list[Row]:
    rows = []
    peaks = []
    with tempfile.TemporaryDirectory(prefix="iris-bench-") as folder, running_iris() as iris:
        for count in (int(100_000 * scale), int(1_000_000 * scale)):
            sheet = Path(folder, f"{count}.xlsx")
            _write(sheet, count)
            floor, _ = _in_a_process("openpyxl", sheet, iris)
            seconds, peak = _in_a_process("iris", sheet, iris)
            peaks.append(peak)
            rows.append(
                Row(
                    what=f"import a sheet of {count:,} rows, ready to run",
                    measured=f"{seconds:.1f} s, {count / seconds:,.0f} rows/s, peak {peak} MB",
                    against=f"openpyxl read-only iterating it: {floor:.1f} s",
                    ratio=seconds / floor,
                    goal="≤ 0.5, peak < 400 MB",
                    reached=seconds / floor <= 0.5 and peak < 400,
                )
            )
    rows.append(
        Row(
            what="peak memory of the import, 10 × the rows",
            measured=f"{peaks[1]} MB",
            against=f"{peaks[0]} MB",
            ratio=peaks[1] / peaks[0],
            goal="flat",
        )
    )
    return rows


def _write(path: Path, count: int) -> None:
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    sheet.append(["numbers", "name", "age", "salary"])
    for row in range(count):
        sheet.append(
            [9_800_000_000 + row, f"{NAMES[row % 7]} {row % 1000}", 18 + row % 60, (row % 90) * 1000]
        )
    book.save(path)


def _in_a_process(what: str, sheet: Path, iris: LiveIris) -> tuple[float, int]:
    """Seconds and peak megabytes of a fresh process that does only this."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.imports", what, str(sheet)],
        cwd=ROOT,
        env=iris.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    seconds, peak = done.stdout.split()[-2:]
    return float(seconds), int(peak)


def _main() -> None:
    what, path = sys.argv[1:]
    if what == "iris":
        import django

        django.setup()
        from accounts.models import User
        from campaigns import imports
        from campaigns.models import Service
        from campaigns.services import create_campaign

        owner = User.objects.get(email="demo@example.com")
        begun = time.perf_counter()
        with open(path, "rb") as file:
            campaign, _ = create_campaign(owner=owner, name="Import", service=Service.SMS, sheet=file)
        for (
            pending
        ) in campaign.imports.all():  # a large one is left to a worker: that is the work to be measured
            imports.go_on(pending.pk)
    else:
        from openpyxl import load_workbook

        begun = time.perf_counter()
        for _ in load_workbook(path, read_only=True).active.iter_rows(values_only=True):
            pass
    seconds = time.perf_counter() - begun
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


if __name__ == "__main__":
    _main()
