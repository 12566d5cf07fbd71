"""Test that a stopped trunk worker finishes its calls, and that queued calls wait for the next worker."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import wait_for
from tests.telephony.sip.far_end import FarEnd
from tests.telephony.sip.processes import SipIris, sip_iris
from tests.telephony.sip.timeline import answered_calls, messages

# The dispatcher is busy all the time and never waits for a channel.
CPS, CHANNELS, PEOPLE = 4, 60, 40
NUMBERS = [9_841_700_100 + place for place in range(PEOPLE)]
# Longer than it takes until these are answered, so none has ended when the worker is told to stop.
ANSWERED = 6
MESSAGE = "नमस्कार, भोलि बिहान दश बजे वडा कार्यालयमा बैठक छ। कृपया समयमै आउनुहोला। " * 2
QUEUED, COMPLETED = 0, 100

TRUNK = f"""
[carriers.line]
BACKEND = "telephony.carriers.sip.SipCarrier"
CPS = {CPS}
CHANNELS = {CHANNELS}

[carriers.line.OPTIONS]
host = "HOST"
interface = "127.0.0.1"
rtp_ports = "20000-40000"
lead_seconds = 0.2
tail_seconds = 0.2
"""


@pytest.fixture(scope="module")
def far_end(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FarEnd]:
    with FarEnd(tmp_path_factory.mktemp("far-end"), "answer", record=False) as running:
        yield running


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory, far_end: FarEnd) -> Iterator[SipIris]:
    home: Path = tmp_path_factory.mktemp("iris")
    with sip_iris(home, TRUNK.replace("HOST", far_end.host)) as running:
        yield running


def test_stopped_worker_finishes_its_calls_and_the_next_worker_makes_the_queued_calls(
    iris: SipIris, far_end: FarEnd
) -> None:
    before = iris.balance()
    worker = iris.start_trunk_worker("line")
    campaign = iris.call("Drain", NUMBERS, MESSAGE)
    wait_for(lambda: len(answered_calls(far_end)) >= ANSWERED, seconds=120)
    assert all(talk.ended is None for talk in answered_calls(far_end).values())
    told_at = time.time()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(90) == 0

    # Everybody whom the stopped worker had called heard the whole message: the far end and the database both say so. All
    # others are still queued.
    called = invited(far_end)
    assert ANSWERED <= len(called) < PEOPLE
    assert set(called.values()) == {1}
    assert len(answered_calls(far_end)) == len(called)
    assert min(talk.ended or 0 for talk in answered_calls(far_end).values()) > told_at
    ends = iris.rows('SELECT "to", status, playback FROM telephony_delivery')
    assert {to: (status, playback) for to, status, playback in ends} == {
        f"+977{number}": (COMPLETED, 100) if f"+977{number}" in called else (QUEUED, None)
        for number in NUMBERS
    }
    assert "stopped" in iris.manage("trunk_status")
    # A time slice lasts a minute, but no new call was made in the rest of it.
    last = max(one.at for one in messages(far_end) if one.first.startswith("INVITE"))
    assert last < told_at + 1

    iris.start_trunk_worker("line")
    iris.wait_until(campaign, "Completed", seconds=240)
    assert invited(far_end) == {f"+977{number}": 1 for number in NUMBERS}
    rows = iris.numbers(campaign)
    assert {(row["status"], row["playback"]) for row in rows} == {("completed", 100)}
    assert before - iris.balance() == sum(row["credit_consumed"] for row in rows)
    assert far_end.errors() == ""


def invited(far_end: FarEnd) -> Counter[str]:
    """Return how often each number was called."""
    return Counter(line.split()[0] for line in far_end.log())
