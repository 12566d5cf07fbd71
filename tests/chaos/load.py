"""Scenarios in which nothing fails, but there is too much to do, or the same for a long time."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import httpx
import psutil

from tests.chaos.trial import Trial, begin

FACTOR = 1.5
CALIBRATION_SECONDS = 10.0
CLIENTS = 64
PARTS = 10  # campaigns that begin one after the other
OTP_SECONDS = 5.0  # between two OTPs
MAX_OTP_SECONDS = 60.0  # an OTP that arrives later counts as lost
OTP = {"message": "Your code is {otp}.", "sms_send_options": "text", "otp_options": "generated"}


def overload(trial: Trial) -> None:
    """Begin campaigns 1.5 times as fast as the trunk sends, and send 1.5 times as many requests as iris can answer."""
    begun = time.monotonic()
    campaigns = threading.Thread(target=_begin_parts, args=[trial], daemon=True)
    otps = _Otps(trial)
    with closing(trial.system.caller()) as caller:
        rate = _measure_rate(trial, caller)
        trial.verdict.measured["requests a second that iris can answer"] = f"{rate:.0f}"
        campaigns.start()
        otps.start()
        _send_requests(trial, caller, rate=FACTOR * rate, seconds=trial.minutes * 60)
    campaigns.join()
    otps.stop()
    trial.verdict.measured["minutes of overload"] = f"{(time.monotonic() - begun) / 60:.1f}"
    trial.verdict.measured["OTPs"] = otps.summary()


def soak(trial: Trial) -> None:
    """Let one campaign follow the other. Measure what grows: memory, connections and tables."""
    otps = _Otps(trial)
    otps.start()
    campaigns = threading.Thread(target=_begin_parts, args=[trial], daemon=True)
    campaigns.start()
    end = time.monotonic() + 60 * trial.minutes
    trial.pause(60 * trial.minutes / 6)  # until all processes have done everything once
    memory = _memory(trial)
    most = 0
    while time.monotonic() < end or campaigns.is_alive():
        trial.pause(2)
        most = max(
            most,
            trial.system.query("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"),
        )
    later = _memory(trial)
    otps.stop()
    trial.verdict.measured["OTPs"] = otps.summary()
    trial.verdict.measured["memory after a sixth of the time and at the end"] = ", ".join(
        f"{name} {memory[name]:.0f} → {later[name]:.0f} MB" for name in memory
    )
    trial.verdict.measured["connections at most"] = str(most)


def _begin_parts(trial: Trial) -> None:
    """Begin a campaign for each part of the numbers, evenly within the minutes of the trial."""
    size = -(-len(trial.numbers) // PARTS)
    with closing(trial.system.caller()) as caller:
        begun = time.monotonic()
        for part in range(PARTS):
            time.sleep(max(0.0, begun + part * 60 * trial.minutes / PARTS - time.monotonic()))
            begin(caller, trial.numbers[part * size : (part + 1) * size])
            trial.happens("campaigns begun")


def _measure_rate(trial: Trial, caller: httpx.Client) -> float:
    """Return how many requests a second iris answers if each client waits for its answer."""
    end, done = time.monotonic() + CALIBRATION_SECONDS, 0
    with ThreadPoolExecutor(8) as clients:
        while time.monotonic() < end:
            list(clients.map(lambda _: _request(trial, caller), range(16)))
            done += 16
    return done / CALIBRATION_SECONDS


def _send_requests(trial: Trial, caller: httpx.Client, *, rate: float, seconds: float) -> None:
    """Send requests at this rate, whether or not the earlier ones are answered. At most CLIENTS wait at a time."""
    assert trial.visitor is not None
    room = threading.Semaphore(CLIENTS)

    def request() -> None:
        try:
            _request(trial, caller)
        finally:
            room.release()

    begun = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as clients:
        for number in range(int(rate * seconds)):
            time.sleep(max(0.0, begun + number / rate - time.monotonic()))
            if time.monotonic() > begun + seconds:
                break
            if room.acquire(blocking=False):
                clients.submit(request)
            else:
                trial.verdict.requests["not sent, because all clients waited"] += 1


def _request(trial: Trial, caller: httpx.Client) -> None:
    assert trial.visitor is not None
    trial.visitor.ask(lambda: caller.get("/api/system/campaigns/"))


def _memory(trial: Trial) -> dict[str, float]:
    """Return the resident megabytes of each part of iris, with its children."""
    found = {}
    for name in trial.system.processes:
        total = 0
        for process in trial.system.family(name):
            with suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
        found[name] = total / 2**20
    return found


class _Otps(threading.Thread):
    """Send an OTP every few seconds, and measure when it arrives at the far end."""

    def __init__(self, trial: Trial) -> None:
        super().__init__(daemon=True)
        self._trial = trial
        self._ends = threading.Event()
        self._took: list[float] = []
        self._late = self._refused = 0

    def stop(self) -> None:
        self._ends.set()
        self.join()

    def run(self) -> None:
        arrived = self._trial.far_end.arrived
        with closing(self._trial.system.caller()) as caller:
            place = 0
            while not self._ends.wait(OTP_SECONDS):
                place += 1
                number, begun = 9_699_000_000 + place, time.monotonic()
                arrived[f"+977{number}"] = 0.0
                sent = caller.post("/api/system/send/otp/", json={"number": str(number), **OTP})
                if sent.status_code >= 300:
                    self._refused += 1
                    continue
                while not arrived[f"+977{number}"] and time.monotonic() < begun + MAX_OTP_SECONDS:
                    time.sleep(0.02)
                if at := arrived[f"+977{number}"]:
                    self._took.append(at - begun)
                else:
                    self._late += 1

    def summary(self) -> str:
        took = sorted(self._took) or [0.0]
        return (
            f"{len(self._took)} arrived, half of them within {took[len(took) // 2]:.1f} s, 95 % within"
            f" {took[int(0.95 * (len(took) - 1))]:.1f} s, the slowest {took[-1]:.1f} s;"
            f" {self._refused} refused, {self._late} later than {MAX_OTP_SECONDS:.0f} s"
        )
