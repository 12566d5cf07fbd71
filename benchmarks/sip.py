"""A SIP trunk of 100 channels at 20 new calls a second, its worker as it runs in production, against SIPp.

Each call takes about 5 s, so that after 5 s a hundred are on the line at any time. SIPp sends back what it gets, so
that sound goes both ways as with people. Measured is the processor time of the whole worker: SIP, RTP, dispatch, events.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.table import Row
from benchmarks.worlds import begin, database, make_campaign, running_iris
from tests.live import ROOT, wait_for
from tests.sip.far_end import FarEnd

CPS, CHANNELS = 20, 100
RAMP_SECONDS = 7
TRUNK = f"""
[carriers.line]
BACKEND = "telephony.carriers.sip.SipCarrier"
CPS = {CPS}
CHANNELS = {CHANNELS}
OPTIONS = {{ host = "HOST", interface = "127.0.0.1", rtp_ports = "20000-40000", lead_seconds = LEAD }}

[routes]
call = ["line"]
sms = []
"""


def measure(scale: float) -> list[Row]:
    if shutil.which("sipp") is None:
        return [Row(what="SIP: 100 calls at once", measured="sipp is not installed")]
    seconds = max(10, int(60 * scale))
    with (
        tempfile.TemporaryDirectory(prefix="iris-bench-sip-") as folder,
        FarEnd(Path(folder), "answer", record=False) as far_end,
    ):
        return _measure(Path(folder), far_end, seconds)


def _measure(folder: Path, far_end: FarEnd, seconds: int) -> list[Row]:
    carriers = folder / "carriers.toml"
    # The message that is spoken takes 3 to 4 s; silence before it makes calls of 5 s.
    carriers.write_text(TRUNK.replace("HOST", far_end.host).replace("LEAD", "1.5"))
    with running_iris(IRIS_CARRIERS_FILE=str(carriers)) as iris:
        log = folder / "worker.log"
        with open(log, "wb") as output:
            worker = subprocess.Popen(
                [sys.executable, "-m", "celery", "--app", "iris", "worker", "--queues", "trunk.line"],
                cwd=ROOT,
                env=iris.environment,
                stdout=output,
                stderr=output,
            )
        try:
            wait_for(lambda: b"is ready for" in log.read_bytes(), seconds=30)
            count = CPS * (seconds + RAMP_SECONDS)
            campaign = make_campaign(iris, count, services="PHONE")
            begin(iris, campaign)
            with database(iris) as connection:

                def under_way() -> int:
                    row = connection.execute(
                        "SELECT count(*) FROM telephony_delivery WHERE status > 0 AND status < 100"
                    ).fetchone()
                    return int(row[0]) if row else 0

                wait_for(under_way, seconds=30)
                time.sleep(RAMP_SECONDS)
                process = psutil.Process(worker.pid)
                before, began, busy = process.cpu_times(), time.monotonic(), []
                while time.monotonic() - began < seconds - 2:
                    busy.append(under_way())
                    time.sleep(0.5)
                after, took = process.cpu_times(), time.monotonic() - began
                iris.wait_until(campaign, "Completed", seconds=60)
                completed, whole = connection.execute(
                    """SELECT count(*) FILTER (WHERE status = 100), count(*) FILTER (WHERE playback = 100)
                         FROM telephony_delivery"""
                ).fetchone() or (0, 0)
        finally:
            worker.terminate()
            worker.wait(60)
        starved = log.read_bytes().count(b"interrupted by silence")
    used = (after.user + after.system - before.user - before.system) / took
    at_once = sum(busy) / len(busy)
    return [
        Row(
            what=f"SIP: {at_once:.0f} calls at once, {CPS} new a second, {count} calls",
            measured=f"{used:.0%} of a core, {completed} completed, {whole} heard to the end, {starved} starved",
            against="one core",
            ratio=used,
            goal="< 0.5, all complete, none starved",
            reached=used < 0.5 and completed == whole == count and starved == 0 and at_once > 85,
        )
    ]
