"""Measure a SIP trunk with 20 new calls a second and more than 200 concurrent calls, against SIPp.

The trunk worker runs as in production. Each call takes 11.6 s, so about 220 calls are active at any time. SIPp echoes the
audio, so that RTP flows in both directions as in real calls, and one phone in ten records it. The result is the CPU time
of the whole worker: SIP, RTP, dispatch and events.

The measurement lasts from the first BYE to the last pickup, by SIPp's message trace. In that time calls begin and end at
the same rate.
"""

from __future__ import annotations

import io
import math
import shutil
import tempfile
import threading
import time
import wave
from array import array
from bisect import bisect_right
from collections.abc import Collection
from pathlib import Path

import psutil

from benchmarks.table import Row
from benchmarks.worlds import database, make_campaign, running_iris
from tests.live import LiveIris, wait_for
from tests.telephony.sip.far_end import FarEnd
from tests.telephony.sip.timeline import AnsweredCall, answered_calls

CPS, CHANNELS = 20, 250
LEAD, MESSAGE, TAIL = 0.3, 11.0, 0.3  # seconds of each call
RAMP_SECONDS = 16  # until the first calls end, with a reserve
SAMPLE_SECONDS = 0.1
MIN_CONCURRENT_CALLS = 200
MAX_SHARE = 1.0  # of a core, for MIN_CONCURRENT_CALLS calls
LATE_SECONDS = 0.04  # two packets, which the jitter buffer of every phone can hold
MAX_LATE_SHARE = 0.001  # of all packets; more would be audible
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


class CpuMeter:
    """Samples the CPU time of a process in a thread: `with CpuMeter(pid) as meter:`. The process must outlive it."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._samples: list[tuple[float, float]] = []  # Unix time, CPU seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> CpuMeter:
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            times = self._process.cpu_times()
            self._samples.append((time.time(), times.user + times.system))

    def share(self, begin: float, end: float) -> float:
        """Return the CPU share between two Unix times, 1 for a whole core."""
        (first, before), *_, (last, after) = [one for one in self._samples if begin <= one[0] <= end]
        return (after - before) / (last - first)


def measure(scale: float) -> list[Row]:
    if shutil.which("sipp") is None:
        return [Row(what=f"SIP: {MIN_CONCURRENT_CALLS} calls at once", measured="sipp is not installed")]
    seconds = max(10, int(60 * scale))
    count = CPS * (seconds + RAMP_SECONDS)
    with tempfile.TemporaryDirectory(prefix="iris-bench-sip-") as folder:
        far_end = FarEnd(Path(folder), "sampled")
        with far_end:
            meter, completed, played_to_end, interrupted = _call(Path(folder), far_end, count)
        calls = answered_calls(far_end).values()
        heard = list(far_end.heard().values())
    begin = min(call.ended for call in calls if call.ended is not None)
    end = max(call.answered for call in calls)
    fewest, mean, most = _concurrent_calls(calls, begin, end)
    cpu_share = meter.share(begin, end)
    share = cpu_share * MIN_CONCURRENT_CALLS / mean
    packets = sum(len(one.sequences) for one in heard)
    lost, late = sum(one.lost_packets for one in heard), sum(one.late_packets(LATE_SECONDS) for one in heard)
    return [
        Row(
            what=f"SIP: {fewest} to {most} calls at once, {mean:.0f} on average for {end - begin:.0f} s,"
            f" {CPS} new a second, {count} calls",
            measured=f"{cpu_share:.0%} of a core, {share:.0%} for {MIN_CONCURRENT_CALLS} calls, {completed} completed,"
            f" {played_to_end} played to the end, {interrupted} interrupted by silence;"
            f" of {packets} packets {lost} lost, {late} late",
            against="one core",
            ratio=share,
            goal=f"at least {MIN_CONCURRENT_CALLS} calls at once; less than {MAX_SHARE:g} core for {MIN_CONCURRENT_CALLS}"
            " calls; all calls complete and played to the end, none interrupted; no packet lost, at most"
            f" {MAX_LATE_SHARE:.1%} late",
            reached=share < MAX_SHARE
            and fewest >= MIN_CONCURRENT_CALLS
            and completed == played_to_end == count
            and interrupted == lost == 0
            and packets > 0
            and late <= MAX_LATE_SHARE * packets,
        )
    ]


def _call(folder: Path, far_end: FarEnd, count: int) -> tuple[CpuMeter, int, int, int]:
    """Make `count` calls. Return the worker's CPU time and the number of completed, fully played and interrupted calls."""
    carriers = folder / "carriers.toml"
    carriers.write_text(TRUNK.replace("HOST", far_end.host))
    with running_iris(IRIS_CARRIERS_FILE=str(carriers)) as iris:
        worker = iris.start_trunk_worker("line")
        log = iris.log_of_trunk("line")
        wait_for(lambda: b"is ready for" in log.read_bytes(), seconds=30)
        campaign = make_campaign(iris, count, services="PHONE")
        with CpuMeter(worker.pid) as meter:
            _begin(iris, campaign)
            iris.wait_until(campaign, "Completed", seconds=count / CPS + 90)
        with database(iris) as connection:
            completed, played_to_end = connection.execute(
                """SELECT count(*) FILTER (WHERE status = 100), count(*) FILTER (WHERE playback = 100)
                     FROM telephony_delivery"""
            ).fetchone() or (0, 0)
        interrupted = log.read_bytes().count(b"interrupted by silence")
    return meter, completed, played_to_end, interrupted


def _begin(iris: LiveIris, campaign: int) -> None:
    """Begin the campaign with a recording of exactly MESSAGE seconds, which synthesized speech could not guarantee."""
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


def _concurrent_calls(calls: Collection[AnsweredCall], begin: float, end: float) -> tuple[int, float, int]:
    """Return the minimum, mean and maximum of concurrent calls between two Unix times.

    A call lasts from the response 200 OK to BYE.
    """
    begun = sorted(call.answered for call in calls)
    ended = sorted(call.ended for call in calls if call.ended is not None)
    moments = sorted(at for at in (*begun, *ended) if begin <= at <= end)
    counts = [bisect_right(begun, at) - bisect_right(ended, at) for at in moments]
    lasted = sum(count * (after - at) for count, at, after in zip(counts, moments, moments[1:], strict=False))
    return min(counts), lasted / (moments[-1] - moments[0]), max(counts)
