"""A SIP trunk at 20 new calls a second, 100 and more at once, its worker as it runs in production, against SIPp.

Each call takes 5.8 s, so that some 110 are on the line at any time. SIPp sends back what it gets, so that sound goes both
ways as with people; one telephone in ten writes down what arrives. Measured is the processor time of the whole worker:
SIP, RTP, dispatch, events.
"""

from __future__ import annotations

import io
import math
import shutil
import tempfile
import time
import wave
from array import array
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.table import Row
from benchmarks.worlds import database, make_campaign, running_iris
from tests.live import LiveIris, wait_for
from tests.telephony.sip.far_end import FarEnd
from tests.telephony.sip.timeline import answered_calls

CPS, CHANNELS = 20, 140
LEAD, MESSAGE, TAIL = 0.3, 5.2, 0.3  # seconds of each call
RAMP_SECONDS = 8
AT_ONCE = 100
LATE = 0.04  # seconds: two packets, which every telephone puts by
MOST_LATE = 0.001  # of all packets: more of them are heard
TRUNK = f"""
[carriers.line]
BACKEND = "telephony.carriers.sip.SipCarrier"
CPS = {CPS}
CHANNELS = {CHANNELS}

[carriers.line.OPTIONS]
host = "HOST"
interface = "127.0.0.1"
rtp_ports = "20000-40000"
lead_seconds = {LEAD}
tail_seconds = {TAIL}

[routes]
call = ["line"]
sms = []
"""


@dataclass(frozen=True, slots=True)
class Used:
    """What the worker took of a core while it was measured; `begin` and `end` are of the epoch."""

    share: float
    begin: float
    end: float


def measure(scale: float) -> list[Row]:
    if shutil.which("sipp") is None:
        return [Row(what=f"SIP: {AT_ONCE} calls at once", measured="sipp is not installed")]
    seconds = max(10, int(60 * scale))
    count = CPS * (seconds + RAMP_SECONDS + 2)
    with tempfile.TemporaryDirectory(prefix="iris-bench-sip-") as folder:
        far_end = FarEnd(Path(folder), "sampled")
        with far_end:
            used, completed, whole, starved = _call(Path(folder), far_end, count, seconds)
        fewest, mean, most = _at_once(far_end, used)
        heard = list(far_end.heard().values())
    packets = sum(len(one.sequences) for one in heard)
    lost, late = sum(one.lost_packets for one in heard), sum(one.late_packets(LATE) for one in heard)
    return [
        Row(
            what=f"SIP: {fewest} to {most} calls at once, {mean:.0f} on average, {CPS} new a second, {count} calls",
            measured=f"{used.share:.0%} of a core, {used.share * AT_ONCE / mean:.0%} for {AT_ONCE} calls, {completed}"
            f" completed, {whole} heard to the end, {starved} starved;"
            f" of {packets} packets {lost} lost, {late} late",
            against="one core",
            ratio=used.share * AT_ONCE / mean,
            goal=f"{AT_ONCE} and more at once, < 0.5 for {AT_ONCE}, all complete, none starved or lost,"
            f" at most {MOST_LATE:.1%} late",
            reached=used.share * AT_ONCE / mean < 0.5
            and fewest >= AT_ONCE
            and completed == whole == count
            and starved == lost == 0
            and packets > 0
            and late <= MOST_LATE * packets,
        )
    ]


def _call(folder: Path, far_end: FarEnd, count: int, seconds: int) -> tuple[Used, int, int, int]:
    """Call so many; what that took, how many completed, were heard to the end, and were interrupted by silence."""
    carriers = folder / "carriers.toml"
    carriers.write_text(TRUNK.replace("HOST", far_end.host))
    with running_iris(IRIS_CARRIERS_FILE=str(carriers)) as iris:
        worker = iris.start_trunk_worker("line")
        log = iris.log_of_trunk("line")
        wait_for(lambda: b"is ready for" in log.read_bytes(), seconds=30)
        campaign = make_campaign(iris, count, services="PHONE")
        _begin(iris, campaign)
        wait_for(far_end.log, seconds=30)
        time.sleep(RAMP_SECONDS)
        process = psutil.Process(worker.pid)
        before, began, moment = process.cpu_times(), time.monotonic(), time.time()
        time.sleep(seconds - 2)
        after, took = process.cpu_times(), time.monotonic() - began
        iris.wait_until(campaign, "Completed", seconds=60)
        with database(iris) as connection:
            completed, whole = connection.execute(
                """SELECT count(*) FILTER (WHERE status = 100), count(*) FILTER (WHERE playback = 100)
                     FROM telephony_delivery"""
            ).fetchone() or (0, 0)
        starved = log.read_bytes().count(b"interrupted by silence")
    share = (after.user + after.system - before.user - before.system) / took
    return Used(share, moment, moment + took), completed, whole, starved


def _begin(iris: LiveIris, campaign: int) -> None:
    """With a recording of exactly that length, which a voice would not speak."""
    tone = array("h", (int(9000 * math.sin(0.25 * place)) for place in range(int(8000 * MESSAGE))))
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(tone.tobytes())
    answer = iris.demo.post(
        f"/api/system/campaigns/{campaign}/begin/", files={"aud_file": ("tone.wav", file.getvalue())}
    )
    assert answer.status_code == 200, answer.text


def _at_once(far_end: FarEnd, used: Used) -> tuple[int, float, int]:
    """The fewest, the average and the most on the far end's line while the worker was measured: from a 200 to the BYE."""
    calls = answered_calls(far_end).values()
    begun = sorted(call.answered for call in calls)
    ended = sorted(call.ended for call in calls if call.ended is not None)
    moments = sorted(at for at in (*begun, *ended) if used.begin <= at <= used.end)
    counts = [bisect_right(begun, at) - bisect_right(ended, at) for at in moments]
    lasted = sum(count * (after - at) for count, at, after in zip(counts, moments, moments[1:], strict=False))
    return min(counts), lasted / (moments[-1] - moments[0]), max(counts)
