"""Measure the import of a large sheet, against openpyxl iterating over the same file."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.table import Row
from benchmarks.worlds import running_iris
from tests.live import ROOT, LiveIris, wait_for

NAMES = ["राम", "सीता", "गीता", "हरि", "विष्णु", "लक्ष्मी", "सरस्वती"]


def measure(scale: float) -> list[Row]:
    small, large = int(100_000 * scale), int(1_000_000 * scale)
    with tempfile.TemporaryDirectory(prefix="iris-bench-") as folder:
        sheets = {count: Path(folder, f"{count}.xlsx") for count in (small, large)}
        for count, sheet in sheets.items():
            _write(sheet, count)
        with running_iris() as iris:
            rows = _in_one_process(iris, sheets)
            rows.append(_over_http(iris, sheets[small], small))
        # Import sheets of any size in the workers.
        with running_iris(IRIS_BACKGROUND_IMPORT_BYTES="1") as iris:
            rows.append(_memory_of_workers(iris, sheets))
    return rows


def _in_one_process(iris: LiveIris, sheets: dict[int, Path]) -> list[Row]:
    """For each sheet, measure openpyxl reading it in one process, and then iris importing it in another.

    Neither process does other work.
    """
    rows, peaks = [], []
    for count, sheet in sheets.items():
        floor, _ = _in_subprocess("openpyxl", sheet, iris)
        seconds, peak = _in_subprocess("iris", sheet, iris)
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


def _over_http(iris: LiveIris, sheet: Path, count: int) -> Row:
    begun = time.perf_counter()
    campaign = _upload(iris, sheet)
    wait_for(lambda: iris.details(campaign)["number_count"] == count, seconds=60)
    seconds = time.perf_counter() - begun
    return Row(
        what=f"a sheet of {count:,} rows over HTTP, ready to run",
        measured=f"{seconds:.1f} s",
        goal="100,000 rows in < 5 s",
        reached=seconds < 5 * count / 100_000 if count >= 100_000 else None,
    )


def _memory_of_workers(iris: LiveIris, sheets: dict[int, Path]) -> Row:
    """Measure the memory of the importing process, in megabytes, from the upload to the end of the import."""
    (small, few), (large, many) = (
        (count, _sizes_of_importer(iris, sheet)) for count, sheet in sheets.items()
    )
    tenth = max(1, len(many) // 10)
    return Row(
        what=f"memory of the workers' process that imports {large:,} rows",
        measured=f"peak {max(many)} MB; first tenth {max(many[:tenth])} MB, last tenth {max(many[-tenth:])} MB",
        against=f"{small:,} rows: peak {max(few)} MB",
        ratio=max(many) / max(few),
        goal="flat (≤ 1.2), < 400 MB",
        reached=max(many) <= 1.2 * max(few) and max(many) < 400,
    )


def _sizes_of_importer(iris: LiveIris, sheet: Path) -> list[int]:
    samples = [_workers(iris)]
    campaign = _upload(iris, sheet)

    def is_imported() -> bool:
        samples.append(_workers(iris))
        state: str = iris.details(campaign)["import"]["status"]
        assert state != "failed"
        return state == "done"

    wait_for(is_imported, seconds=600)
    seconds = {pid: seconds - samples[0].get(pid, (0.0, 0))[0] for pid, (seconds, _) in samples[-1].items()}
    busiest = max(seconds, key=lambda pid: seconds[pid])
    return [sample[busiest][1] for sample in samples if busiest in sample]


def _workers(iris: LiveIris) -> dict[int, tuple[float, int]]:
    """Return the CPU seconds and resident megabytes of each worker process, by pid."""
    workers = {}
    for process in psutil.Process(iris.process.pid).children(recursive=True):
        with suppress(psutil.Error):
            command = process.cmdline()
            if "celery" in command and "worker" in command:
                workers[process.pid] = (process.cpu_times().user, process.memory_info().rss // 2**20)
    return workers


def _upload(iris: LiveIris, sheet: Path) -> int:
    with open(sheet, "rb") as file:
        answer = iris.demo.post(
            "/api/system/campaigns/",
            data={"name": "Import", "services": "SMS"},
            files={"send_to_number_file": ("numbers.xlsx", file)},
        )
    assert answer.status_code == 201, answer.text
    campaign: int = answer.json()["data"]["details"][0]["id"]
    return campaign


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


def _in_subprocess(what: str, sheet: Path, iris: LiveIris) -> tuple[float, int]:
    """Run `what` on the sheet in a new process. Return its seconds and its peak memory in MB."""
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
        from accounts.models import Account
        from campaigns.models import Service
        from campaigns.recipients import background_imports
        from campaigns.services import create_campaign
        from campaigns.tasks import BACKGROUND
        from iris.locks import locked

        account = Account.objects.get(name="demo@example.com")
        begun = time.perf_counter()
        # Workers import large sheets. Hold the workers' lock, so that this process, and not a worker, imports the sheet and
        # is measured.
        with locked(BACKGROUND) as ours, open(path, "rb") as file:
            assert ours
            campaign, *_ = create_campaign(account=account, name="Import", service=Service.SMS, sheet=file)
            for pending in campaign.imports.all():
                background_imports.resume_import(pending.pk)
    else:
        from openpyxl import load_workbook

        begun = time.perf_counter()
        for _ in load_workbook(path, read_only=True).active.iter_rows(values_only=True):
            pass
    seconds = time.perf_counter() - begun
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


if __name__ == "__main__":
    _main()
