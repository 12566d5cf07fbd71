"""What the engine relies on, whatever the carrier. Every carrier has a test class that inherits from `CarrierContract`,
or from as many of its kinds as it is of: `Reports`, `Polled`, `LooksUp`, `KeepsSession`.

    class TestSmppCarrier(Reports, LooksUp, KeepsSession):
        channel = Channel.SMS

        @pytest.fixture
        def carrier(self, heard: Heard, …) -> Iterator[Carrier]:
            …start its far end, which takes everything; configure it; a session carrier: carrier.open(heard)…
            yield carrier
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from telephony.carriers.base import (
    Accepted,
    Carrier,
    CarrierEvent,
    Later,
    Pending,
    Rejected,
    Result,
    SessionCarrier,
    Submission,
    Unknown,
)
from telephony.carriers.errors import CarrierError
from telephony.models import FINAL, Channel, DeliveryStatus
from tests.live import wait_for

# Keys are ids of deliveries that no test makes.
FIRST_KEY = 900_000_001


class Heard:
    """All that a carrier has reported. It is what a session carrier is opened with, and what a poll is given."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items: list[Any] = []

    def __call__(self, items: Sequence[Any], done: Callable[[], object] | None = None) -> None:
        with self._lock:
            self._items += items
        if done is not None:
            done()

    def results(self) -> list[Result]:
        with self._lock:
            return [item for item in self._items if isinstance(item, Result)]

    def events(self) -> list[CarrierEvent]:
        with self._lock:
            return [item for item in self._items if isinstance(item, CarrierEvent)]


class CarrierContract:
    channel: ClassVar[Channel]
    seconds: ClassVar[float] = 20  # that this takes at most

    @pytest.fixture
    def heard(self) -> Heard:
        return Heard()

    @pytest.fixture
    def carrier(self, heard: Heard) -> Carrier:
        raise NotImplementedError("A carrier's contract begins with its `carrier` fixture.")

    def submission(self, number: int, **changes: Any) -> Submission:
        """The submission with this number, to somebody of their own."""
        fields: dict[str, Any] = {
            "key": str(FIRST_KEY + number),
            "channel": self.channel,
            "to": f"+977984100{number:04d}",
            "caller": "",
            "text": "Namaste",
            "audio_name": "",
            "audio_seconds": 1.0 if self.channel is Channel.CALL else None,
            "attempt": 1,
            "owner_id": 1,
            "valid_until": timezone.now() + timedelta(seconds=30),
        }
        return Submission(**{**fields, **changes})

    def listen(self, carrier: Carrier, heard: Heard, done: Callable[[], bool]) -> None:
        """Until `done`. A carrier that calls back has its own way of making it do so."""

        def turn() -> bool:
            if carrier.polls:
                carrier.poll(heard)
            return done()

        wait_for(turn, seconds=self.seconds)

    def settle(self, carrier: Carrier, heard: Heard, batch: Sequence[Submission]) -> dict[str, Result]:
        """Submit, and wait for the result of each."""
        answers = carrier.submit(batch)
        assert sorted(answer.key for answer in answers) == sorted(one.key for one in batch)
        pending = {answer.key for answer in answers if isinstance(answer, Pending)}
        self.listen(carrier, heard, lambda: pending <= {result.key for result in heard.results()})
        settled: dict[str, Result] = {a.key: a for a in answers if not isinstance(a, Pending)}
        settled |= {result.key: result for result in heard.results() if result.key in pending}
        return settled

    # What it says of itself ---------------------------------------------------------------------------------

    def test_it_says_what_it_can(self, carrier: Carrier) -> None:
        assert carrier.channels
        assert carrier.channels <= frozenset(Channel)
        assert self.channel in carrier.channels
        assert carrier.batch_size >= 1
        assert carrier.report_timeout() > 0

    def test_all_that_it_can_do_is_tested(self, carrier: Carrier) -> None:
        assert isinstance(self, Polled) == carrier.polls
        assert isinstance(self, LooksUp) == carrier.looks_up
        assert isinstance(self, KeepsSession) == isinstance(carrier, SessionCarrier)

    def test_an_option_that_it_does_not_have_stops_the_start(self, carrier: Carrier) -> None:
        with pytest.raises(ImproperlyConfigured, match="no_such_option"):
            type(carrier)(alias=carrier.alias, no_such_option=1)

    # Submissions --------------------------------------------------------------------------------------------

    def test_each_submission_is_taken_under_an_id_of_its_own(self, carrier: Carrier, heard: Heard) -> None:
        batch = [self.submission(number) for number in range(min(3, carrier.batch_size))]
        settled = self.settle(carrier, heard, batch)
        assert {type(result) for result in settled.values()} == {Accepted}
        refs = [result.ref for result in settled.values() if isinstance(result, Accepted)]
        assert all(refs)
        assert len(set(refs)) == len(batch)
        assert max(map(len, refs)) <= 100

    def test_what_comes_too_late_is_not_sent(self, carrier: Carrier, heard: Heard) -> None:
        late = self.submission(10, valid_until=timezone.now() - timedelta(seconds=1))
        (result,) = self.settle(carrier, heard, [late]).values()
        assert isinstance(result, (Later, Rejected))


class Reports(CarrierContract):
    """It says what becomes of what it has taken."""

    def test_what_was_taken_comes_to_one_end(self, carrier: Carrier, heard: Heard) -> None:
        batch = [self.submission(number) for number in range(20, 20 + min(3, carrier.batch_size))]
        settled = self.settle(carrier, heard, batch)
        names = {one.key: one.key for one in batch}
        for result in settled.values():
            assert isinstance(result, (Accepted, Unknown))
            if isinstance(result, Accepted):
                names |= dict.fromkeys(result.parts or (result.ref,), result.key)

        def of(key: str) -> list[CarrierEvent]:
            return [event for event in heard.events() if names.get(event.key or event.ref) == key]

        self.listen(
            carrier, heard, lambda: all(any(event.status >= FINAL for event in of(one.key)) for one in batch)
        )
        for one in batch:
            events = of(one.key)
            ranks = [event.status for event in events]
            assert ranks == sorted(ranks)
            final = events[-1]
            assert final.status == DeliveryStatus.COMPLETED
            assert final.at.tzinfo is not None
            assert abs((final.at - timezone.now()).total_seconds()) < 60
            if one.channel is Channel.CALL:
                assert final.seconds is not None
                assert final.seconds > 0
                assert final.playback == 100


class Polled(CarrierContract):
    """It is asked for its reports."""

    def test_news_that_could_not_be_recorded_comes_again(self, carrier: Carrier, heard: Heard) -> None:
        self.settle(carrier, heard, [self.submission(30)])

        class DatabaseIsAway(Exception):
            pass

        def fail(events: Sequence[CarrierEvent]) -> None:
            raise DatabaseIsAway

        def failed() -> bool:
            try:
                carrier.poll(fail)
            except DatabaseIsAway:
                return True
            return False

        wait_for(failed, seconds=self.seconds)
        self.listen(carrier, heard, lambda: bool(heard.events()))


class LooksUp(CarrierContract):
    """It can tell whether it has taken something."""

    def test_it_knows_what_it_has_taken(self, carrier: Carrier, heard: Heard) -> None:
        taken, never = self.submission(40), self.submission(41)
        self.settle(carrier, heard, [taken])
        found = carrier.look_up([taken.key, never.key])
        assert found.get(taken.key) is not False
        assert found.get(never.key) is not True


class KeepsSession(CarrierContract):
    """It keeps a connection, in the worker of its trunk's queue."""

    def test_it_says_in_a_line_how_it_is(self, carrier: Carrier) -> None:
        assert isinstance(carrier, SessionCarrier)
        assert carrier.status()
        assert "\n" not in carrier.status()

    def test_a_closed_session_takes_nothing_and_may_be_closed_again(self, carrier: Carrier) -> None:
        assert isinstance(carrier, SessionCarrier)
        carrier.close()
        carrier.close()
        with pytest.raises(CarrierError):
            carrier.submit([self.submission(50)])
