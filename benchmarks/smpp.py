"""Measure a campaign over SMPP through the whole engine: web, worker, trunk worker and beat, with an SMSC in a subprocess.

All processes share the cores of this machine, including the SMSC and PostgreSQL. One row shows the CPU time of each.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks import kannel
from benchmarks.table import Row
from benchmarks.worlds import begin, database, make_campaign
from tests.live import wait_for
from tests.telephony.smpp.processes import SmppIris, SmscProcess, smpp_iris, smsc

PACE = 200
WINDOW = 500


def measure(scale: float) -> list[Row]:
    count = max(2000, int(60_000 * scale))
    with tempfile.TemporaryDirectory(prefix="iris-smpp-") as folder:
        home = Path(folder)
        with smsc(home) as far:
            with smpp_iris(home / "iris", far.port, options=f"window = {WINDOW}") as iris:
                iris.manage("topup", "demo@example.com", "50000000")
                rate, shares, completed = _sustained(iris, far, count)
                taken = Counter(entry["to"] for entry in far.entries)
            against_kannel = _kannel(home / "kannel", far, count, rate)
    with tempfile.TemporaryDirectory(prefix="iris-smpp-") as folder:
        home = Path(folder)
        with (
            smsc(home, answer_delay=0.2) as far,
            smpp_iris(home / "iris", far.port, options=f"window = 500\nparts_per_second = {PACE}") as iris,
        ):
            iris.manage("topup", "demo@example.com", "50000000")
            pace, fullest, open_ended = _paced(iris, far, max(2000, int(PACE * 30 * scale)))
    return [
        Row(
            what=f"{count:,} SMS over SMPP, begin to all receipts booked",
            measured=f"{rate:,.0f}/s; doubles {sum(taken.values()) - len(taken)}, missing {count - len(taken)},"
            f" not completed {count - completed}",
            goal="≥ 1,000/s; 0, 0, 0",
            reached=rate >= 1000 and len(taken) == sum(taken.values()) == completed == count,
        ),
        Row(what="CPU of that, ms per SMS", measured=shares),
        against_kannel,
        Row(
            what=f"{PACE} a second on an SMSC that answers after 0.2 s",
            measured=f"{pace:.1f}/s; fullest second {fullest}, not completed {open_ended}",
            goal="within 1 %, 0",
            reached=abs(pace - PACE) <= PACE / 100 and open_ended == 0,
        ),
    ]


def _sustained(iris: SmppIris, far: SmscProcess, count: int) -> tuple[float, str, int]:
    """Return the SMS per second, the CPU time per SMS by kind of process, and the number of completed deliveries."""
    campaign = make_campaign(iris, count)
    before = _cpu(iris, far)
    begun = time.perf_counter()
    begin(iris, campaign)
    _wait_over(iris, campaign, seconds=count / 100)
    seconds = time.perf_counter() - begun
    after = _cpu(iris, far)
    assert "difference 0" in iris.manage("check_ledger")
    shares = {name: (after[name] - before[name]) / count * 1000 for name in after}
    listed = " · ".join(f"{name} {share:.2f}" for name, share in sorted(shares.items()))
    return count / seconds, listed, _completed(iris)


def _kannel(folder: Path, far: SmscProcess, count: int, rate: float) -> Row:
    """Let Kannel send as many SMS to the same process of the SMSC, and compare."""
    what = "SMS over SMPP to one local SMSC, receipts booked"
    if sentence := kannel.missing():
        return Row(what=what, measured=f"{rate:,.0f}/s", against=f"Kannel {sentence}", goal="≥ 1 ×")
    before = _cpu_of(far.process.pid)
    with kannel.running_kannel(folder, smsc=far, window=WINDOW) as running:
        seconds, receipts = running.send([f"97798{40_000_000 + n}" for n in range(count)])
        spent = running.cpu() / count * 1000
    share = (_cpu_of(far.process.pid) - before) / seconds
    theirs = receipts / seconds
    return Row(
        what=what,
        measured=f"{rate:,.0f}/s",
        against=f"Kannel, spool on disk: {theirs:,.0f}/s, {spent:.2f} ms of CPU each, {count - receipts} without a receipt;"
        f" the SMSC used {share:.0%} of a core",
        ratio=rate / theirs,
        goal="≥ 1 ×",
        reached=rate >= theirs,
    )


def _cpu_of(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _paced(iris: SmppIris, far: SmscProcess, count: int) -> tuple[float, int, int]:
    """Return the SMS per second, the maximum within any second, and the number of deliveries that did not complete."""
    campaign = make_campaign(iris, count)
    begin(iris, campaign)
    wait_for(lambda: len(far.entries) >= count, seconds=count / PACE + 60)
    times = sorted(entry["at"] for entry in far.entries)
    # Any sliding second, not only those of the clock.
    fullest = end = 0
    for start, at in enumerate(times):
        while end < len(times) and times[end] < at + 1:
            end += 1
        fullest = max(fullest, end - start)
    _wait_over(iris, campaign, seconds=60)
    return (len(times) - 1) / (times[-1] - times[0]), fullest, count - _completed(iris)


def _wait_over(iris: SmppIris, campaign: int, *, seconds: float) -> None:
    """Wait until all deliveries of the campaign have a final status."""
    with database(iris) as connection:

        def is_over() -> bool:
            time.sleep(0.5)
            row = connection.execute(
                "SELECT status FROM campaigns_run WHERE campaign_id = %s", [campaign]
            ).fetchone()
            return row is not None and row[0] == "completed"

        wait_for(is_over, seconds=seconds)


def _completed(iris: SmppIris) -> int:
    """Return the number of deliveries whose receipts confirm delivery."""
    with database(iris) as connection:
        row = connection.execute("SELECT count(*) FROM telephony_delivery WHERE status = 100").fetchone()
        return row[0] if row else 0


def _cpu(iris: SmppIris, far: SmscProcess) -> Counter[str]:
    """Return the CPU seconds by kind of process, including processes that have ended."""
    seconds: Counter[str] = Counter()
    trunk = _family(iris.trunk.pid)
    web = _family(iris.process.pid) - {iris.process.pid}
    with database(iris) as connection:
        postgres = _family(psutil.Process(connection.info.backend_pid).ppid())
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            times = process.cpu_times()
            spent = times.user + times.system
            if process.pid == far.process.pid:
                seconds["SMSC"] += spent
            elif process.pid in trunk:
                seconds["trunk worker"] += spent
            elif process.pid in postgres:
                # The CPU time of ended backends is in the children's time of the postmaster.
                seconds["PostgreSQL"] += spent + (times.children_user if process.children() else 0)
            elif process.pid in web:
                seconds["web, worker, beat"] += spent
    return seconds


def _family(pid: int) -> set[int]:
    parent = psutil.Process(pid)
    return {pid, *(child.pid for child in parent.children(recursive=True))}
