"""A campaign over a SIP trunk: from the API through web, worker, beat and the trunk's own worker to 200 phones."""

from __future__ import annotations

import re
import signal
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.live import LiveIris, live_iris, wait_for
from tests.sip import noting
from tests.sip.far_end import FarEnd

CPS, CHANNELS = 25, 60
CLOCK = 0.002  # seconds by which SIPp and we may read the same clock differently
FATES = {"01": "unanswered", "02": "unanswered", "03": "hungup", "04": "failed"}

TRUNK = f"""
[carriers.line]
BACKEND = "tests.sip.noting.NotingSipCarrier"
CPS = {CPS}
CHANNELS = {CHANNELS}

[carriers.line.OPTIONS]
host = "HOST"
interface = "127.0.0.1"
rtp_ports = "20000-40000"
ring_seconds = 3
lead_seconds = 0.2
tail_seconds = 0.2

[routes]
call = ["line"]
sms = []
"""


@pytest.fixture(scope="module")
def far_end(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FarEnd]:
    with FarEnd(tmp_path_factory.mktemp("far-end"), "fates") as running:
        yield running


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory, far_end: FarEnd) -> Iterator[LiveIris]:
    home: Path = tmp_path_factory.mktemp("iris")
    carriers = home / "carriers.toml"
    carriers.write_text(TRUNK.replace("HOST", far_end.host))
    notes = {noting.FILE: str(home / "submitted")}
    with live_iris(home / "home", IRIS_CARRIERS_FILE=str(carriers), **notes) as running:
        yield running


def test_two_hundred_people_are_called_and_every_credit_is_accounted_for(
    iris: LiveIris, far_end: FarEnd
) -> None:
    assert "never; its worker is `celery --app iris worker --queues trunk.line`" in iris.manage(
        "trunk_status"
    )
    numbers = [9841500000 + place for place in range(200)]
    created = iris.demo.post(
        "/api/system/campaigns/",
        json={"name": "Meeting", "services": "PHONE", "individual_number": numbers},
    )
    campaign = created.json()["data"]["details"][0]["id"]
    worker = iris.start_trunk_worker("line")
    begun = iris.demo.post(
        f"/api/system/campaigns/{campaign}/begin/", json={"message": "नमस्कार, भोलि बैठक छ।"}
    )
    assert begun.json()["data"] == {"hold amount": "400 credit on hold for Meeting campaign."}
    wait_for(lambda: len(far_end.log()) > CHANNELS, seconds=90)
    status = iris.manage("trunk_status")
    assert f"ready for {far_end.host}, without registration" in status
    assert f"{CPS} a second" in status
    busy = re.search(rf"channels:\s+(\d+) busy of {CHANNELS}", status)
    assert busy is not None
    assert 0 < int(busy[1]) <= CHANNELS, status
    assert re.search(r"last error:\s+none", status)
    iris.wait_until(campaign, "Completed", seconds=180)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    assert "stopped" in iris.manage("trunk_status")

    rows = {row["number"]: row for row in iris.numbers(campaign)}
    assert {number: row["status"] for number, row in rows.items()} == {
        number: FATES.get(str(number)[-2:], "completed") for number in numbers
    }
    heard = ("completed", "hungup")
    assert all(row["credit_consumed"] == (2 if row["status"] in heard else 0) for row in rows.values())
    assert all(row["playback"] == 100 for row in rows.values() if row["status"] == "completed")
    assert all(0 < row["playback"] < 100 for row in rows.values() if row["status"] == "hungup")
    assert "difference 0" in iris.manage("check_ledger")
    assert _called_more_than_once(far_end) == {}
    submitted = noting.submitted(iris.environment)
    arrived = {to: at for at, to in _invites(far_end)}
    assert submitted.keys() == arrived.keys() == {f"+977{number}" for number in numbers}
    # The pace is ours to keep up to here: no second has more than one call too many, however busy the machine is.
    assert _fullest_second(submitted.values()) <= CPS + 1
    # Behind that, none comes before its turn, and what comes late was delayed by the stack, or by a machine that is busy.
    delays = sorted(arrived[to] - at for to, at in submitted.items())
    assert delays[0] > -CLOCK
    assert delays[len(delays) // 2] < 0.1
    assert _fullest_second(arrived.values()) <= CPS * (1 + max(0.0, delays[-1])) + 1
    assert _most_at_once(far_end) <= CHANNELS
    assert far_end.errors() == ""


def test_calls_that_died_with_their_worker_are_lost_and_not_made_again(
    iris: LiveIris, far_end: FarEnd
) -> None:
    numbers = [9841600010, 9841600011, 9841600012]
    created = iris.demo.post(
        "/api/system/campaigns/",
        json={"name": "Cut", "services": "PHONE", "individual_number": numbers},
    )
    campaign = created.json()["data"]["details"][0]["id"]
    worker = iris.start_trunk_worker("line")
    iris.demo.post(f"/api/system/campaigns/{campaign}/begin/", json={"message": "नमस्कार। " * 30})
    wait_for(lambda: all(f"+977{number}" in " ".join(far_end.log()) for number in numbers), seconds=90)
    worker.kill()
    worker.wait()
    iris.start_trunk_worker("line")
    iris.wait_until(campaign, "Completed", seconds=90)
    assert {row["status"] for row in iris.numbers(campaign)} == {"failed"}
    assert _called_more_than_once(far_end) == {}
    assert "difference 0" in iris.manage("check_ledger")


def test_a_worker_of_no_trunk_says_so(iris: LiveIris) -> None:
    assert iris.start_trunk_worker("lime").wait(30) == 1
    assert "No carrier lime is configured; there are line." in iris.log_of_trunk("lime").read_text()


def _called_more_than_once(far_end: FarEnd) -> dict[str, int]:
    calls = Counter(line.split()[0] for line in far_end.log())
    return {number: count for number, count in calls.items() if count > 1}


def _messages(far_end: FarEnd) -> Iterator[tuple[float, str, str]]:
    """Of each SIP message: when it went by, its first line and its Call-ID."""
    pattern = r"-{20,} (\S+ \S+)\n\S+ message (?:sent|received)[^\n]*\n\n(.*?)\n.*?Call-ID: (\S+)"
    for when, first, call_id in re.findall(pattern, far_end.messages(), re.DOTALL):
        yield datetime.fromisoformat(when).timestamp(), first, call_id


def _invites(far_end: FarEnd) -> Iterator[tuple[float, str]]:
    """When the first INVITE of each call came, and for whom."""
    known: set[str] = set()
    for at, line, call_id in _messages(far_end):
        if (to := re.match(r"INVITE sip:([+0-9]+)@", line)) and call_id not in known:
            known.add(call_id)
            yield at, to[1]


def _fullest_second(moments: Iterable[float]) -> int:
    times = sorted(moments)
    return max(bisect_right(times, at + 0.999) - place for place, at in enumerate(times))


def _most_at_once(far_end: FarEnd) -> int:
    """From the INVITE to the BYE, CANCEL or refusal of each call, as the far end saw them."""
    steps: dict[str, list[float]] = {}
    for at, line, call_id in _messages(far_end):
        if line.startswith("INVITE"):
            steps.setdefault(call_id, [at, at])
        elif line.startswith(("BYE", "CANCEL", "SIP/2.0 4")) and call_id in steps:
            steps[call_id][1] = max(steps[call_id][1], at)
    changes = sorted([(begin, 1) for begin, _ in steps.values()] + [(end, -1) for _, end in steps.values()])
    most = now = 0
    for _, step in changes:
        now += step
        most = max(most, now)
    return most
