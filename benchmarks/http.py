"""Measure the pace of a campaign over an HTTP carrier that responds after 300 ms: web, one worker and beat.

The far end is `tests.telephony.http.server`, in a process of its own. All processes share the cores of this machine.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.table import Row
from benchmarks.worlds import begin, database, make_campaign
from tests.live import LiveIris, live_iris, wait_for
from tests.telephony.http.faults import TOKEN
from tests.telephony.http.processes import FarEnd, far_end

PACE = 200
LATENCY_SECONDS = 0.3


def measure(scale: float) -> list[Row]:
    count = max(1000, int(PACE * 60 * scale))
    with tempfile.TemporaryDirectory(prefix="iris-http-") as folder:
        home = Path(folder)
        with far_end(home, latency=LATENCY_SECONDS) as far:
            carriers = home / "carriers.toml"
            carriers.write_text(
                f"""
[carriers.gateway]
BACKEND = "telephony.carriers.sparrow.SparrowCarrier"
CPS = {PACE}
OPTIONS = {{ token = "{TOKEN}", sender = "InfoSMS", base_url = "{far.url}" }}

[routes]
call = []
sms = ["gateway"]
"""
            )
            with live_iris(home / "iris", IRIS_CARRIERS_FILE=str(carriers)) as iris:
                iris.manage("topup", "demo@example.com", "50000000")
                pace, fullest, doubles, open_ended = _paced(iris, far, count)
    return [
        Row(
            what=f"{PACE} a second over an HTTP carrier that responds after {LATENCY_SECONDS} s, one worker",
            measured=f"{pace:.1f}/s; fullest second {fullest}, doubles {doubles}, not completed {open_ended}",
            goal="within 1 %, 204, 0, 0",
            reached=abs(pace - PACE) <= PACE / 100 and fullest <= 1.02 * PACE and doubles == open_ended == 0,
        )
    ]


def _paced(iris: LiveIris, far: FarEnd, count: int) -> tuple[float, int, int, int]:
    """Return the SMS per second, the maximum within any second, and the doubled and the unfinished SMS."""
    begin(iris, make_campaign(iris, count))
    wait_for(lambda: len(far.entries("taken")) >= count, seconds=count / PACE + 60)
    with database(iris) as connection:

        def completed() -> int:
            row = connection.execute("SELECT count(*) FROM telephony_delivery WHERE status = 100").fetchone()
            return row[0] if row else 0

        wait_for(lambda: completed() >= count, seconds=30)
        open_ended = count - completed()
    arrived = sorted(entry["at"] for entry in far.entries("asked"))
    # Any sliding second, not only those of the clock.
    fullest = end = 0
    for start, at in enumerate(arrived):
        while end < len(arrived) and arrived[end] < at + 1:
            end += 1
        fullest = max(fullest, end - start)
    numbers = far.received()
    rate = (len(arrived) - 1) / (arrived[-1] - arrived[0])
    return rate, fullest, len(numbers) - len(set(numbers)), open_ended
