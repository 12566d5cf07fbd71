"""A whole iris and the servers of customers as processes: down, slow, failing, gone. The sender is killed."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.live import ROOT, LiveIris, live_iris, wait_for
from tests.ports import free_port
from tests.scale import at_scale
from tests.webhooks.receiver import Received, read

RUNS = 2


@contextmanager
def receiver(file: Path, *, port: int = 0) -> Iterator[int]:
    """Run a receiver in its own process, and yield its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.webhooks.receiver", str(file), str(port)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def create(iris: LiveIris, url: str, *events: str) -> int:
    answer = iris.demo.post("/api/system/webhooks/", json={"url": url, "events": list(events)})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["data"]["webhook"]["id"])


def run_campaign(iris: LiveIris, campaign: int) -> None:
    answer = iris.demo.post(f"/api/system/campaigns/{campaign}/begin/", json={"message": "Namaste"})
    assert answer.status_code == 200, answer.text
    iris.wait_until(campaign, "Completed", seconds=at_scale(60, 300))


def kill_sender(iris: LiveIris, port: int) -> None:
    """Kill the process that has a connection to this port."""

    def found() -> bool:
        for process in psutil.Process(iris.process.pid).children(recursive=True):
            try:
                open_to = {one.raddr.port for one in process.net_connections() if one.raddr}
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            if port in open_to:
                process.kill()
                return True
        return False

    wait_for(found, seconds=30, max_pause=0.05)


def pending(iris: LiveIris, *endpoints: int) -> int:
    """Return how many events wait for these endpoints. Those that wait for minutes or hours are made due."""
    ids = ",".join(map(str, endpoints))
    iris.rows(
        f"""UPDATE webhooks_outboxmessage SET due_at = now() WHERE state = 'pending' AND endpoint_id IN ({ids})
               AND due_at > now() + interval '1 minute' RETURNING id"""
    )
    found = iris.rows(
        f"SELECT count(*) FROM webhooks_outboxmessage WHERE state = 'pending' AND endpoint_id IN ({ids})"
    )
    return int(found[0][0])


def assert_delivered(iris: LiveIris, endpoint: int, received: list[Received]) -> None:
    """Assert that each event of an endpoint arrived at least once, unchanged, and those of one object in their order."""
    attempts: defaultdict[str, list[Received]] = defaultdict(list)
    for one in received:
        attempts[one.id].append(one)
    rows = iris.rows(
        f"SELECT webhook_id, subject, body FROM webhooks_outboxmessage WHERE endpoint_id = {endpoint} ORDER BY id"
    )
    assert {row[0] for row in rows} == set(attempts)
    last_success: dict[str, float] = {}
    for webhook_id, subject, body in rows:
        of_event = attempts[webhook_id]
        assert {one.body for one in of_event} == {body}
        succeeded = [one.at for one in of_event if one.status == 200]
        assert succeeded
        assert min(one.at for one in of_event) >= last_success.get(subject, 0)
        last_success[subject] = min(succeeded)


@pytest.mark.field
def test_every_event_arrives_unchanged_and_in_order_whatever_happens(tmp_path: Path) -> None:
    count = at_scale(30, 10_000)
    file, late_file, down_port = tmp_path / "received", tmp_path / "late", free_port()
    with live_iris(tmp_path / "home") as iris, receiver(file) as port:
        url = f"http://127.0.0.1:{port}"
        good = create(iris, f"{url}/ok", "delivery.finished", "run.finished")
        failing = create(iris, f"{url}/fails-twice", "delivery.finished", "run.finished")
        slow = create(iris, f"{url}/slow", "run.finished", "otp.finished")
        gone = create(iris, f"{url}/gone", "delivery.finished")
        down = create(iris, f"http://127.0.0.1:{down_port}/ok", "delivery.finished", "run.finished")
        iris.manage("topup", "demo@example.com", str(RUNS * count))
        numbers = [9_841_000_000 + number for number in range(count)]
        created = iris.demo.post(
            "/api/system/campaigns/",
            json={"name": "Meeting", "services": "SMS", "individual_number": numbers},
        )
        campaign = created.json()["data"]["details"][0]["id"]

        run_campaign(iris, campaign)
        kill_sender(iris, port)  # the request to the slow endpoint is open for seconds
        for _ in range(RUNS - 1):
            run_campaign(iris, campaign)
        # The endpoint that is down, and those that are slow or fail, hold up no other one.
        wait_for(lambda: pending(iris, good) == 0, seconds=at_scale(60, 600), max_pause=0.5)
        assert pending(iris, down) == (count + 1) * RUNS
        with receiver(late_file, port=down_port):
            wait_for(
                lambda: pending(iris, failing, slow, down) == 0, seconds=at_scale(120, 1200), max_pause=0.5
            )

        received, late = read(file), read(late_file)
        for endpoint, kind in ((good, "/ok"), (failing, "/fails-twice"), (slow, "/slow")):
            assert_delivered(iris, endpoint, [one for one in received if one.path == kind])
        assert_delivered(iris, down, late)
        told = [one.event["data"] for one in received if one.path == "/ok"]
        assert {one["number"] for one in told if "number" in one} == {f"+977{number}" for number in numbers}

        assert sum(one.path == "/gone" for one in received) == 1
        shown = iris.demo.get(f"/api/system/webhooks/{gone}/").json()["data"]["webhook"]
        assert (shown["enabled"], "410" in shown["disabled_reason"]) == (False, True)
