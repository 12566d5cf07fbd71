"""A trunk of 50 a second with 1, 2 and 4 workers: the mean over a minute, and the fullest second of it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.table import Row
from benchmarks.worlds import begin, database, make_campaign, running_iris
from tests.live import ROOT

PACE = 50
CARRIERS = f"""
[carriers.sandbox]
BACKEND = "telephony.carriers.sandbox.SandboxCarrier"
CPS = {PACE}

[routes]
call = ["sandbox"]
sms = ["sandbox"]
"""


def measure(scale: float) -> list[Row]:
    seconds = max(10, int(60 * scale))
    return [_measure(workers, seconds) for workers in (1, 2, 4)]


def _measure(workers: int, seconds: int) -> Row:
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(CARRIERS)
        file.flush()
        with running_iris(IRIS_CARRIERS_FILE=file.name, IRIS_DISPATCHERS_PER_TRUNK=str(workers)) as iris:
            more = [
                subprocess.Popen(
                    [
                        sys.executable,
                        "-m",
                        "celery",
                        "--quiet",
                        "-A",
                        "iris",
                        "worker",
                        "--concurrency=3",
                        f"-n=more{index}",
                    ],
                    cwd=ROOT,
                    env=iris.environment,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
                for index in range(workers - 1)
            ]
            try:
                time.sleep(3)
                begin(iris, make_campaign(iris, PACE * (seconds + 10)))
                time.sleep(seconds + 6)
                with database(iris) as connection:
                    moments = [
                        row[0]
                        for row in connection.execute(
                            "SELECT extract(epoch FROM created_at)::float8 FROM telephony_sandboxmessage ORDER BY created_at"
                        )
                    ]
            finally:
                for process in more:
                    process.terminate()
                for process in more:
                    process.wait()
    start = moments[0] + 2
    window = [moment for moment in moments if start <= moment < start + seconds]
    mean = len(window) / seconds
    fullest = _fullest_second(window)
    return Row(
        what=f"pacing of {PACE}/s over {seconds} s, {workers} worker{'s' if workers > 1 else ''}",
        measured=f"{mean:.2f}/s, fullest second {fullest}",
        against=f"the setting: {PACE}/s",
        ratio=mean / PACE,
        goal="within 1 %, never > 51",
        reached=abs(mean / PACE - 1) <= 0.01 and fullest <= PACE + 1,
    )


def _fullest_second(moments: list[float]) -> int:
    """The most in any one second, wherever it begins."""
    most = first = 0
    for last, moment in enumerate(moments):
        while moments[first] <= moment - 1:
            first += 1
        most = max(most, last - first + 1)
    return most


if __name__ == "__main__":
    print(_measure(int(sys.argv[1]), int(sys.argv[2])), Path.cwd())
