"""Test campaigns over a SIP trunk: from the API through web, worker, beat and the trunk's own worker to each phone."""

from __future__ import annotations

import re
import signal
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.live import wait_for
from tests.scale import at_scale
from tests.telephony.sip import noting
from tests.telephony.sip.far_end import FarEnd
from tests.telephony.sip.processes import SipIris, sip_iris
from tests.telephony.sip.timeline import max_concurrent, messages

CPS, CHANNELS = 25, 60
PEOPLE = at_scale(80, 400)  # more than there are channels
# Takes minutes to say, so calls with it continue until their worker is killed, also while a slow machine starts a process.
LONG_MESSAGE = "नमस्कार। " * 200
CLOCK_ERROR_SECONDS = 0.002  # SIPp and the test may read the same clock so far apart
FATES = {"01": "unanswered", "02": "unanswered", "03": "hungup", "04": "failed"}

TRUNK = f"""
[carriers.line]
BACKEND = "tests.telephony.sip.noting.NotingSipCarrier"
CPS = {CPS}
CHANNELS = {CHANNELS}

[carriers.line.OPTIONS]
host = "HOST"
interface = "127.0.0.1"
rtp_ports = "20000-40000"
ring_seconds = 3
lead_seconds = 0.2
tail_seconds = 0.2
"""


@pytest.fixture(scope="module")
def far_end(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FarEnd]:
    with FarEnd(tmp_path_factory.mktemp("far-end"), "fates") as running:
        yield running


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory, far_end: FarEnd) -> Iterator[SipIris]:
    home: Path = tmp_path_factory.mktemp("iris")
    notes = {noting.FILE: str(home / "submitted")}
    with sip_iris(home, TRUNK.replace("HOST", far_end.host), **notes) as running:
        yield running


@pytest.fixture(autouse=True)
def _stop_workers(iris: SipIris) -> Iterator[None]:
    """Stop the workers of a failed test, so that they do not make the calls of the next test."""
    yield
    iris.stop_trunk_workers()


@pytest.mark.field
def test_campaign_calls_everybody_and_accounts_for_every_credit(iris: SipIris, far_end: FarEnd) -> None:
    assert (
        "not connected yet; start its worker: `celery --app iris worker --queues trunk.line`"
        in iris.manage("trunk_status")
    )
    numbers = [9841500000 + place for place in range(PEOPLE)]
    ours = iris.call_from_a_bought_number()
    before = iris.balance()
    created = iris.demo.post(
        "/api/system/campaigns/",
        json={"name": "Meeting", "services": "PHONE", "individual_number": numbers},
    )
    campaign = created.json()["data"]["details"][0]["id"]
    worker = iris.start_trunk_worker("line")
    begun = iris.demo.post(
        f"/api/system/campaigns/{campaign}/begin/", json={"message": "नमस्कार, भोलि बैठक छ।"}
    )
    assert begun.json()["data"] == {"hold amount": f"{2 * PEOPLE} credit on hold for Meeting campaign."}
    iris.wait_until(campaign, "Completed", seconds=180)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    status = iris.manage("trunk_status")
    assert "stopped" in status
    # Refused and unanswered calls are outcomes of these calls, not errors of the trunk.
    assert re.search(r"last error:\s+none", status)

    rows = {row["number"]: row for row in iris.numbers(campaign)}
    assert {number: row["status"] for number, row in rows.items()} == {
        number: FATES.get(str(number)[-2:], "completed") for number in numbers
    }
    heard = ("completed", "hungup")
    assert all(row["credit_consumed"] == (2 if row["status"] in heard else 0) for row in rows.values())
    assert all(row["playback"] == 100 for row in rows.values() if row["status"] == "completed")
    assert all(0 < row["playback"] < 100 for row in rows.values() if row["status"] == "hungup")
    assert before - iris.balance() == sum(row["credit_consumed"] for row in rows.values())
    assert {_caller(line) for line in far_end.log()} == {f"+977{ours}"}
    assert _called_more_than_once(far_end) == {}
    submitted = noting.submitted(iris.environment)
    arrived = {to: at for at, to in _invites(far_end)}
    assert submitted.keys() == arrived.keys() == {f"+977{number}" for number in numbers}
    # iris paces the submissions: no second has more than one call too many, however busy the machine is.
    assert _max_in_one_second(submitted.values()) <= CPS + 1
    # No INVITE leaves before its submission. The stack or a busy machine delays some of them, so they can arrive together.
    delays = sorted(arrived[to] - at for to, at in submitted.items())
    assert delays[0] > -CLOCK_ERROR_SECONDS
    assert _max_concurrent_calls(far_end) <= CHANNELS
    assert far_end.errors() == ""


def test_trunk_status_counts_calls_which_are_lost_and_not_repeated_if_the_worker_is_killed(
    iris: SipIris, far_end: FarEnd
) -> None:
    numbers = [9841600010, 9841600011, 9841600012]
    before = iris.balance()
    worker = iris.start_trunk_worker("line")
    campaign = iris.call("Cut", numbers, LONG_MESSAGE)
    wait_for(lambda: all(f"+977{number}" in " ".join(far_end.log()) for number in numbers), seconds=90)
    status = iris.manage("trunk_status")
    assert f"ready for {far_end.host}, without registration" in status
    assert f"{CPS} a second" in status
    assert re.search(rf"channels:\s+{len(numbers)} busy of {CHANNELS}", status), status
    worker.kill()
    worker.wait()
    iris.start_trunk_worker("line")
    iris.wait_until(campaign, "Completed", seconds=90)
    assert {row["status"] for row in iris.numbers(campaign)} == {"failed"}
    assert before == iris.balance()
    assert _called_more_than_once(far_end) == {}


def test_worker_of_an_unknown_trunk_exits_with_a_message(iris: SipIris) -> None:
    assert iris.start_trunk_worker("lime").wait(120) == 1
    assert (
        "No carrier lime is configured. Choose one of: line, test_twins."
        in iris.log_of_trunk("lime").read_text()
    )


def _called_more_than_once(far_end: FarEnd) -> dict[str, int]:
    calls = Counter(line.split()[0] for line in far_end.log())
    return {number: count for number, count in calls.items() if count > 1}


def _caller(line: str) -> str:
    """Return the number in the From header that the far end received."""
    found = re.search(r"<sip:([^@>]*)@", line)
    assert found is not None, line
    return found[1]


def _invites(far_end: FarEnd) -> Iterator[tuple[float, str]]:
    """Yield the time of the first INVITE of each call, and its number."""
    known: set[str] = set()
    for one in messages(far_end):
        if (to := re.match(r"INVITE sip:([+0-9]+)@", one.first)) and one.call_id not in known:
            known.add(one.call_id)
            yield one.at, to[1]


def _max_in_one_second(moments: Iterable[float]) -> int:
    times = sorted(moments)
    return max(bisect_right(times, at + 0.999) - place for place, at in enumerate(times))


def _max_concurrent_calls(far_end: FarEnd) -> int:
    """Return the largest number of concurrent calls at the far end.

    A call lasts from its INVITE to its first BYE, CANCEL or refusal. Retransmissions do not make it longer.
    """
    begun: dict[str, float] = {}
    ended: dict[str, float] = {}
    for one in messages(far_end):
        if one.first.startswith("INVITE"):
            begun.setdefault(one.call_id, one.at)
        elif one.first.startswith(("BYE", "CANCEL", "SIP/2.0 4")):
            ended.setdefault(one.call_id, one.at)
    return max_concurrent((at, ended.get(call_id, at)) for call_id, at in begun.items())
