"""Measure what webhooks cost a campaign, and how many events a second are delivered to one endpoint."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.table import Row
from benchmarks.worlds import begin, make_campaign, running_iris
from tests.live import ROOT, LiveIris, wait_for

DELIVERING_SECONDS = 15
PAIRS = 3  # runs with and without webhooks take turns, because machines become slower and faster


def measure(scale: float) -> list[Row]:
    count = max(2_000, int(100_000 * scale))
    told, silent, delivered = [], [], []
    with running_iris() as iris, _receiver() as port:
        created = iris.demo.post("/api/system/webhooks/", json={"url": f"http://127.0.0.1:{port}/ok"})
        path = f"/api/system/webhooks/{created.json()['data']['webhook']['id']}/"
        campaign = make_campaign(iris, count)
        _run(iris, campaign, count)  # to warm up
        for _ in range(PAIRS):
            iris.demo.put(path, json={"enabled": True})
            told.append(_run(iris, campaign, count))
            delivered.append(_delivered_rate(iris))
            iris.demo.put(path, json={"enabled": False})
            silent.append(_run(iris, campaign, count))
    ratio = max(told) / max(silent)
    return [
        Row(
            what=f"campaign of {count:,} SMS with webhooks, begin to the last report",
            measured=f"{max(told):,.0f}/s",
            against=f"without webhooks: {max(silent):,.0f}/s",
            ratio=ratio,
            goal="≥ 0.9",
            reached=ratio >= 0.9,
        ),
        Row(
            what="events delivered to one endpoint on the same machine, after the campaign",
            measured=f"{max(delivered, default=0):,.0f}/s",
        ),
    ]


@contextmanager
def _receiver() -> Iterator[int]:
    """Run a receiver with the lowest priority: those of customers run on other machines."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.webhooks.receiver", os.devnull, "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        preexec_fn=lambda: os.nice(19),
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def _run(iris: LiveIris, campaign: int, count: int) -> float:
    """Run the campaign, and return the SMS a second from begin to the last report."""
    begin(iris, campaign)
    wait_for(lambda: iris.details(campaign)["status"] == "Completed", seconds=count / 200)
    ((seconds,),) = iris.rows(
        """SELECT extract(epoch FROM max(d.ended_at) - min(r.created_at)) FROM telephony_delivery d
             JOIN campaigns_run r ON r.id = d.batch WHERE r.id = (SELECT max(id) FROM campaigns_run)"""
    )
    return count / float(seconds)


def _delivered_rate(iris: LiveIris) -> float:
    """Let events be delivered for DELIVERING_SECONDS, and return how many were in a second. Drop the others."""
    before, began = _pending(iris), time.perf_counter()
    wait_for(
        lambda: not _pending(iris) or time.perf_counter() - began > DELIVERING_SECONDS,
        seconds=DELIVERING_SECONDS,
        max_pause=0.5,
    )
    rate = (before - _pending(iris)) / (time.perf_counter() - began)
    iris.rows("DELETE FROM webhooks_outboxmessage RETURNING id")
    return rate


def _pending(iris: LiveIris) -> int:
    return int(iris.rows("SELECT count(*) FROM webhooks_outboxmessage WHERE state = 'pending'")[0][0])
