"""Measure the API beside a campaign: 20 requests and one login a second, against the processes of an installation.

The arrivals are an open loop: requests begin at planned times, whatever became of the earlier ones, and latencies count
from the planned times. So a stall shows in all requests that arrived during it.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg

from benchmarks.table import Row
from benchmarks.worlds import World, begin, make_campaign
from tests.installation import EMAIL, PASSWORD, Installation, installation
from tests.live import wait_for

RATE = 20  # requests a second
LOGIN_RATE = 1  # logins a second, in addition
SECONDS = 120
RECIPIENTS = 100_000
APART = 50  # requests of each kind whose processor time is measured without a campaign
READ_GOAL_SECONDS = 0.3
# What one second of requests consists of.
MIX = [
    *("details", "list", "details", "otp", "numbers"),
    *("details", "create", "list", "details", "otp"),
    *("details", "list", "create", "details", "numbers"),
    *("otp", "details", "list", "create", "details"),
]
READS = {"details", "list", "numbers"}
KINDS = ["details", "list", "numbers", "create", "otp", "login"]
assert len(MIX) == RATE

_serial = itertools.count()


@dataclass
class Sample:
    """One request: its kind, its latency from the planned time in seconds, and what was wrong with its response."""

    kind: str
    seconds: float
    error: str = ""


@dataclass
class Figures:
    samples: list[Sample]
    cores: dict[str, float]  # used by each kind of process during the load
    sent: int  # SMS of the campaign that completed during the load
    runs: int = 1
    apart: dict[str, tuple[float, float]] = field(
        default_factory=dict
    )  # CPU milliseconds of web and of PostgreSQL for one request of each kind, without a campaign


def measure(scale: float) -> list[Row]:
    seconds, recipients = max(10, round(SECONDS * scale)), max(2_000, int(RECIPIENTS * scale))
    with tempfile.TemporaryDirectory(prefix="iris-load-") as home, installation(Path(home)) as iris:
        iris.manage("migrate", "--verbosity=0")
        iris.manage("createaccount", EMAIL, "--password", PASSWORD, "--credits", "50000000")
        iris.start_web()
        with closing(iris.log_in(iris.url_of("web"))) as client:
            campaign = make_campaign(World(iris.home, client), recipients, name="Load")
            apart = {kind: _apart(iris, client, campaign, kind) for kind in KINDS}
            iris.start_worker("worker1")
            iris.start_beat()
            wait_for(lambda: client.get("/health").status_code == 200, seconds=60, max_pause=0.5)
            figures = _under_load(iris, client, campaign, seconds)
        figures.apart = apart
        assert "difference 0" in iris.manage("check_ledger")
    return rows(figures, seconds, recipients)


def _apart(iris: Installation, client: httpx.Client, campaign: int, kind: str) -> tuple[float, float]:
    """Return the processor time of one request in web and in PostgreSQL, in milliseconds, while nothing else runs."""
    for warm in (True, False):
        before = iris.cpu_seconds("web"), iris.cpu_seconds("postgres")
        count = 5 if warm else APART if kind != "login" else APART // 5
        for _ in range(count):
            answer = client.request(**_request(kind, campaign))
            assert not _fault(kind, answer), answer.text
    after = iris.cpu_seconds("web"), iris.cpu_seconds("postgres")
    web, postgres = (1000 * (late - early) / count for early, late in zip(before, after, strict=True))
    return web, postgres


def _request(kind: str, campaign: int) -> dict[str, Any]:
    """Return the arguments of a request of this kind."""
    serial = next(_serial)
    match kind:
        case "details":
            return {"method": "GET", "url": f"/api/system/campaigns/{campaign}/details/"}
        case "list":
            return {"method": "GET", "url": "/api/system/campaigns/"}
        case "numbers":
            return {
                "method": "GET",
                "url": f"/api/system/campaigns/number/{campaign}/",
                "params": {"page": 1},
            }
        case "create":
            numbers = [9_861_000_000 + serial]
            body = {"name": f"Created {serial}", "services": "SMS", "individual_number": numbers}
            return {"method": "POST", "url": "/api/system/campaigns/", "json": body}
        case "otp":
            body = {
                "number": str(9_862_000_000 + serial),
                "message": "Your code is {otp}",
                "sms_send_options": "text",
            }
            return {"method": "POST", "url": "/api/system/send/otp/", "json": body}
        case "login":
            body = {"email": EMAIL, "password": PASSWORD}
            return {"method": "POST", "url": "/api/accounts/login/", "json": body}
        case _:
            raise ValueError(kind)


def _fault(kind: str, answer: httpx.Response) -> str:
    expected = {"create": 201}.get(kind, 200)
    return "" if answer.status_code == expected else f"{answer.status_code}"


def _under_load(iris: Installation, client: httpx.Client, campaign: int, seconds: int) -> Figures:
    """Send the requests during runs of the campaign. When a run ends, the next one begins, so that one is always live."""
    kinds = ("web", "worker1", "beat", "redis", "postgres")
    with _running(iris, client, campaign) as runs:
        before = {name: iris.cpu_seconds(name) for name in kinds}
        sent = iris.number(SENT)
        samples = asyncio.run(_send_all(dict(client.headers), iris.url_of("web"), campaign, seconds))
        cores = {name: (iris.cpu_seconds(name) - before[name]) / seconds for name in kinds}
        sent = iris.number(SENT) - sent
    return Figures(samples=samples, cores=cores, sent=sent, runs=runs())


SENT = "SELECT count(*) FROM telephony_delivery WHERE purpose = 'campaign' AND status = 100"
LIVE = "SELECT count(*) FROM campaigns_run WHERE finished_at IS NULL"


@contextmanager
def _running(iris: Installation, client: httpx.Client, campaign: int) -> Iterator[Callable[[], int]]:
    """Begin the campaign, and again whenever it has ended, in a thread. At the end, wait for the last run.

    Yield a function that returns the number of runs so far.
    """
    world = World(iris.home, client)
    runs = 0
    ended = threading.Event()

    def keep_running() -> None:
        nonlocal runs
        with psycopg.connect(iris.database, autocommit=True) as connection:
            while not ended.is_set():
                (live,) = connection.execute(LIVE).fetchone()  # type: ignore[misc]
                if not live:
                    begin(world, campaign)
                    runs += 1
                ended.wait(0.5)

    thread = threading.Thread(target=keep_running)
    thread.start()
    try:
        wait_for(lambda: iris.number(SENT) > 0, seconds=60)
        yield lambda: runs
    finally:
        ended.set()
        thread.join()
    client.post(f"/api/system/campaigns/{campaign}/stop/")
    wait_for(lambda: iris.number(LIVE) == 0, seconds=300)


async def _send_all(headers: dict[str, str], url: str, campaign: int, seconds: int) -> list[Sample]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
    async with httpx.AsyncClient(
        base_url=url, headers={"Authorization": headers["authorization"]}, timeout=60, limits=limits
    ) as client:
        start = time.monotonic() + 0.5
        plan = [(start + place / RATE, MIX[place % RATE]) for place in range(seconds * RATE)]
        plan += [(start + (place + 0.5) / LOGIN_RATE, "login") for place in range(int(seconds * LOGIN_RATE))]
        return await asyncio.gather(*(_send(client, campaign, kind, planned) for planned, kind in plan))


async def _send(client: httpx.AsyncClient, campaign: int, kind: str, planned: float) -> Sample:
    await asyncio.sleep(planned - time.monotonic())
    try:
        error = _fault(kind, await client.request(**_request(kind, campaign)))
    except httpx.TransportError as failure:
        error = type(failure).__name__
    return Sample(kind, time.monotonic() - planned, error)


def percentile(values: list[float], share: float) -> float:
    """Return the smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def rows(figures: Figures, seconds: int, recipients: int) -> list[Row]:
    faults = [f"{sample.kind}: {sample.error}" for sample in figures.samples if sample.error]
    worst = percentile([sample.seconds for sample in figures.samples if sample.kind in READS], 0.99)
    cores = ", ".join(f"{name} {share:.2f}" for name, share in figures.cores.items())
    return [
        *(_row_of(kind, figures) for kind in KINDS),
        Row(
            what=f"{RATE} requests and {LOGIN_RATE} login a second for {seconds} s, beside campaigns of {recipients:,} SMS",
            measured=f"p99 of all reads {worst * 1000:.0f} ms, errors {len(faults)}",
            against=", ".join(sorted(set(faults))) or "–",
            goal="p99 < 300 ms for reads, no errors",
            reached=worst < READ_GOAL_SECONDS and not faults,
        ),
        Row(
            what="the campaigns during that",
            measured=f"{figures.sent / seconds:,.0f} SMS/s, {figures.runs} runs",
            against=f"cores: {cores}",
        ),
    ]


def _row_of(kind: str, figures: Figures) -> Row:
    of_kind = [sample for sample in figures.samples if sample.kind == kind]
    seconds = [sample.seconds for sample in of_kind]
    p50, p95, p99 = (percentile(seconds, share) * 1000 for share in (0.5, 0.95, 0.99))
    web, postgres = figures.apart[kind]
    return Row(
        what=f"{kind}: latency from the planned time, {len(of_kind)} requests",
        measured=f"p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms; errors {sum(bool(s.error) for s in of_kind)}",
        against=f"CPU a request, without the campaign: web {web:.1f} ms, PostgreSQL {postgres:.1f} ms",
    )
