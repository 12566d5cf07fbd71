"""The pace meter names the reason why a trunk is slower than its CPS setting."""

from __future__ import annotations

import pytest

from telephony.engine import pace_meter
from telephony.engine.pace_meter import Activity, PaceMeter


class Clock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace_meter, "time", clock)
    return clock


def spend(meter: PaceMeter, clock: Clock, activity: Activity, seconds: float) -> None:
    with meter.spends(activity):
        clock.now += seconds


def test_trunk_that_keeps_its_pace_has_no_note(clock: Clock) -> None:
    meter = PaceMeter(10)
    spend(meter, clock, Activity.CLAIM, 0.01)
    clock.now += 5
    meter.submitted(50)
    assert meter.note(carrier_pace=None) is None


def test_no_note_before_the_interval_is_over(clock: Clock) -> None:
    meter = PaceMeter(10)
    spend(meter, clock, Activity.SUBMIT, 4)
    assert meter.note(carrier_pace=None) is None


def test_note_names_a_slow_carrier(clock: Clock) -> None:
    meter = PaceMeter(10)
    for _ in range(10):
        spend(meter, clock, Activity.SUBMIT, 0.5)
        meter.submitted(2)
    assert meter.note(carrier_pace=None) == "4.0 a second: the carrier is slow, a submission takes 0.500 s"


def test_note_names_a_slow_database(clock: Clock) -> None:
    meter = PaceMeter(100)
    for _ in range(25):
        spend(meter, clock, Activity.CLAIM, 0.12)
        spend(meter, clock, Activity.STORE, 0.08)
    meter.submitted(100)
    assert meter.note(carrier_pace=None) == (
        "20.0 a second: the database is slow, a claim takes 0.120 s and storing results 0.080 s"
    )


def test_note_names_a_busy_machine(clock: Clock) -> None:
    meter = PaceMeter(100)
    spend(meter, clock, Activity.CLAIM, 0.01)
    for _ in range(20):
        clock.now += 0.3
        meter.woke(late=0.2)
    meter.submitted(60)
    note = meter.note(carrier_pace=None)
    assert note is not None
    assert note.endswith("the machine is busy, the dispatcher wakes up 0.200 s late")


def test_note_names_the_carriers_own_limit(clock: Clock) -> None:
    meter = PaceMeter(100)
    spend(meter, clock, Activity.SUBMIT, 5)
    meter.submitted(100)
    assert meter.note(carrier_pace=20.0) == "20.0 a second: the carrier accepts 20.0 a second at present"


def test_trunk_with_nothing_due_has_no_note(clock: Clock) -> None:
    meter = PaceMeter(10)
    spend(meter, clock, Activity.CLAIM, 0.01)
    meter.nothing_due()
    clock.now += 60
    assert meter.note(carrier_pace=None) is None


def test_note_is_cleared_once_when_the_trunk_keeps_its_pace_again(clock: Clock) -> None:
    meter = PaceMeter(10)
    spend(meter, clock, Activity.SUBMIT, 6)
    assert meter.note(carrier_pace=None)
    spend(meter, clock, Activity.SUBMIT, 5)
    meter.submitted(50)
    assert meter.note(carrier_pace=None) == ""
    spend(meter, clock, Activity.SUBMIT, 5)
    meter.submitted(50)
    assert meter.note(carrier_pace=None) is None
