"""Measure the latency of the campaign list and details with a million recipients, against a view of one row."""

from __future__ import annotations

import statistics
import time

from benchmarks.table import Row
from benchmarks.worlds import make_campaign, running_iris
from tests.live import LiveIris

TIMES = 200


def measure(scale: float) -> list[Row]:
    with running_iris() as iris:
        campaign = make_campaign(iris, int(1_000_000 * scale))
        bare = _latency(iris, "/api/accounts/user_details/")
        rows = []
        for what, path in (
            ("campaign list", "/api/system/campaigns"),
            ("campaign details", f"/api/system/campaigns/{campaign}/details"),
        ):
            latency = _latency(iris, path)
            rows.append(
                Row(
                    what=f"{what} with {int(1_000_000 * scale):,} recipients behind it, median",
                    measured=f"{latency * 1000:.1f} ms",
                    against=f"user details, a view of one row: {bare * 1000:.1f} ms",
                    ratio=latency / bare,
                    goal="≤ 2",
                    reached=latency / bare <= 2,
                )
            )
    return rows


def _latency(iris: LiveIris, path: str) -> float:
    samples = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        assert iris.demo.get(path).status_code == 200
        samples.append(time.perf_counter() - begun)
    return statistics.median(samples)
