"""What a trunk's refusals say of the trunk: when it rests, which calls are made again, and that all of it ends."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from telephony.carriers.errors import Misconfigured, Throttled
from telephony.carriers.sip import trouble as of_trouble
from telephony.carriers.sip.causes import SILENT, outcome_of
from telephony.carriers.sip.trouble import ATTEMPTS, ROW, Trouble


class Trunk:
    """A trunk that is tried at a time of the test's own, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.trouble = Trouble()
        self._calls = 0

    def monotonic(self) -> float:
        return self.now

    def answers(self, text: str, *, key: str = "", dialled_at: float | None = None) -> float | None:
        """A call, another one unless it has a key, is answered so; in how many seconds it is made again."""
        self.now += 0.01
        self._calls += 1
        outcome = SILENT if not text else outcome_of(text, rang=False, transport="udp", seconds=0.01)
        return self.trouble.judge(
            key=key or f"call-{self._calls}",
            outcome=outcome,
            text=text,
            dialled_at=self.now if dialled_at is None else dialled_at,
            heard=outcome is not SILENT,
        )

    def rests(self) -> bool:
        try:
            self.trouble.check(waiting=False)
        except Throttled:
            return True
        return False

    def rest_is_over(self) -> None:
        self.now += 61


@pytest.fixture
def trunk(monkeypatch: pytest.MonkeyPatch) -> Trunk:
    found = Trunk()
    monkeypatch.setattr(of_trouble, "time", SimpleNamespace(monotonic=found.monotonic))
    return found


def test_a_call_without_room_is_made_five_times_each_time_later(trunk: Trunk) -> None:
    assert [trunk.answers("503 Full", key="1") for _ in range(ATTEMPTS)] == [5, 10, 15, 20, None]
    assert trunk.answers("503 Full", key="1") == 5  # begun anew: nothing is remembered of what is over


def test_calls_without_room_are_counted_apart_and_forgotten_when_they_are_over(trunk: Trunk) -> None:
    assert [trunk.answers("503 Full", key=key) for key in ("1", "2", "1")] == [5, 5, 10]
    assert trunk.answers("486 Busy", key="1") is None
    assert [trunk.answers("503 Full", key=key) for key in ("1", "2")] == [5, 10]


def test_calls_that_are_counted_do_not_grow_for_ever(trunk: Trunk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_trouble, "COUNTED", 2)
    for key in ("1", "2", "3"):
        trunk.answers("503 Full", key=key)
    assert [trunk.answers("503 Full", key=key) for key in ("3", "1")] == [10, 5]


def test_a_wrong_password_costs_nobody_their_call_however_often(trunk: Trunk) -> None:
    assert {trunk.answers("401 Unauthorized", key="1") for _ in range(3 * ATTEMPTS)} == {5}


def test_a_refused_password_is_told_once_though_more_refusals_are_on_their_way(trunk: Trunk) -> None:
    sent = [trunk.now, trunk.now + 0.1]
    trunk.now += 1
    trunk.answers("401 Unauthorized", dialled_at=sent[0])
    with pytest.raises(Misconfigured, match="401 Unauthorized"):
        trunk.trouble.check(waiting=False)
    trunk.answers("401 Unauthorized", dialled_at=sent[1])
    trunk.now += 3600  # until the operator has mended it
    trunk.trouble.check(waiting=False)
    trunk.answers("401 Unauthorized")
    with pytest.raises(Misconfigured):
        trunk.trouble.check(waiting=False)


@pytest.mark.parametrize("text", ["403 Forbidden", "402 Payment Required", "488 Not Acceptable Here"])
def test_refusals_in_a_row_are_the_trunks_trouble_and_cost_nobody_else_their_call(
    trunk: Trunk, text: str
) -> None:
    assert [trunk.answers(text) for _ in range(ROW - 1)] == [None] * (ROW - 1)
    assert not trunk.rests()
    for _ in range(3 * ATTEMPTS):
        assert trunk.answers(text, key="1") == 5
        assert trunk.rests()
        trunk.rest_is_over()
    trunk.answers("486 Busy")  # it works again
    assert not trunk.rests()
    assert trunk.answers(text) is None


def test_failures_in_a_row_let_the_trunk_rest_but_nobody_is_called_twice_for_them(trunk: Trunk) -> None:
    """Perhaps a phone rang before the trunk's server failed."""
    assert {trunk.answers("500 Server Internal Error") for _ in range(ROW + 1)} == {None}
    assert trunk.rests()


@pytest.mark.parametrize("text", ["486 Busy Here", "404 Not Found", "603 Decline", "403 No,Q.850;cause=21"])
def test_refusals_are_in_no_row_when_others_come_through(trunk: Trunk, text: str) -> None:
    for _ in range(3):
        assert {trunk.answers("403 Forbidden") for _ in range(ROW - 1)} == {None}
        assert trunk.answers(text) is None
    assert not trunk.rests()


def test_calls_from_before_the_first_refusal_do_not_end_the_row(trunk: Trunk) -> None:
    """When a trunk shuts us out, those who are being called still answer for a while."""
    before = trunk.now - 20
    for _ in range(ROW - 1):
        trunk.answers("403 Forbidden")
        trunk.trouble.worked(dialled_at=before)
    assert trunk.answers("403 Forbidden") == 5


def test_a_campaign_whose_numbers_are_all_refused_comes_to_its_end(trunk: Trunk) -> None:
    until = trunk.now + of_trouble.UNBELIEVED_SECONDS
    while trunk.now < until:
        trunk.answers("403 Forbidden", key=str(trunk.now))
        trunk.rest_is_over()
    for key in range(1000):
        assert trunk.answers("403 Forbidden", key=str(key)) is None
        assert not trunk.rests()


def test_a_trunk_that_was_left_alone_for_a_while_is_not_believed_again(trunk: Trunk) -> None:
    test_a_campaign_whose_numbers_are_all_refused_comes_to_its_end(trunk)
    trunk.now += of_trouble.WHILE_SECONDS + 1
    assert trunk.answers("403 Forbidden") == 5
    assert trunk.rests()


def test_a_silent_trunk_rests(trunk: Trunk) -> None:
    assert trunk.answers("") is None
    assert trunk.rests()
