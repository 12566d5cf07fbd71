"""What the engine relies on, whatever the carrier. Every carrier has a test class that inherits from `CarrierContract`,
or from as many of its kinds as it is of: `Reports`, `Polled`, `LooksUp`, `LosesItsFarEnd`, `KeepsSession`.
docs/adding-a-carrier.md shows one whole.

The far end of each is a process of its own, or a table in the case of the sandbox. It is asked what it got: that a carrier
says so is no proof.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from itertools import count
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
from telephony.models import FINAL, Cause, Channel, DeliveryStatus
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
    refused: ClassVar[str]  # a number, in E.164, that does not exist as the far end says; it takes all others

    @pytest.fixture
    def heard(self) -> Heard:
        return Heard()

    @pytest.fixture
    def carrier(self, heard: Heard) -> Carrier:
        raise NotImplementedError("A carrier's contract begins with its `carrier` fixture.")

    def taken(self) -> list[str]:
        """The numbers, in E.164, of all that the far end got until now, doubles included."""
        raise NotImplementedError("A carrier's contract asks its far end what it got.")

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
        """Until `done`, asking it for its reports if it wants to be asked."""

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
        assert Counter(self.taken()) == {one.to: 1 for one in batch}

    def test_what_comes_too_late_is_not_sent(self, carrier: Carrier, heard: Heard) -> None:
        late = self.submission(10, valid_until=timezone.now() - timedelta(seconds=1))
        (result,) = self.settle(carrier, heard, [late]).values()
        assert isinstance(result, (Later, Rejected))
        # What was submitted after it has arrived, so it would have, too.
        self.settle(carrier, heard, [self.submission(11)])
        assert self.taken() == [self.submission(11).to]

    def test_a_number_that_the_far_end_refuses_is_refused_and_no_other_is(
        self, carrier: Carrier, heard: Heard
    ) -> None:
        somebody, nobody = self.submission(12), self.submission(13, to=self.refused)
        assert isinstance(self.settle(carrier, heard, [somebody])[somebody.key], Accepted)
        end: Result | CarrierEvent = self.settle(carrier, heard, [nobody])[nobody.key]
        if isinstance(end, Accepted):  # the answer to the submission came first, and a report says it
            names = {end.key, end.ref}
            ends: list[CarrierEvent] = []

            def is_over() -> bool:
                ends[:] = [e for e in heard.events() if (e.key or e.ref) in names and e.status >= FINAL]
                return bool(ends)

            self.listen(carrier, heard, is_over)
            end = ends[0]
            assert end.status == DeliveryStatus.FAILED
        assert isinstance(end, (Rejected, CarrierEvent))
        assert end.cause == Cause.INVALID
        assert end.text  # in the far end's own words


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
    """It can tell whether it has taken something. It may tell of fewer than it was asked about, never anything wrong.

    `knows_what_it_has`: it tells what it has taken, too, and not only what it has never got.
    """

    knows_what_it_has: ClassVar[bool] = True

    def leave_unknown(self, carrier: Carrier, heard: Heard, batch: Sequence[Submission]) -> None:
        """Make it so that the answer to each of these is lost, as the engine sees it; none where the far end is asked."""

    def test_it_tells_what_it_has_never_got_and_is_never_wrong(self, carrier: Carrier, heard: Heard) -> None:
        taken, never = self.submission(40), self.submission(41)
        self.settle(carrier, heard, [taken])
        self.leave_unknown(carrier, heard, [taken, never])
        found: dict[str, bool] = {}

        def tells() -> bool:
            found.update(carrier.look_up([taken.key, never.key]))
            return never.key in found

        self.listen(carrier, heard, tells)
        assert found == {never.key: False} | ({taken.key: True} if self.knows_what_it_has else {})
        assert self.taken() == [taken.to]


class LosesItsFarEnd(CarrierContract):
    """Its far end can be away. Then a submission fails as a whole (`CarrierError`), and is made again later."""

    def far_end_away(self) -> AbstractContextManager[object]:
        """The far end is gone while inside; then it is back, at the same place, and takes what it gets."""
        raise NotImplementedError("A carrier's contract takes its far end away.")

    def test_of_a_batch_that_fails_as_a_whole_nothing_was_sent(self, carrier: Carrier, heard: Heard) -> None:
        self.settle(carrier, heard, [self.submission(60)])
        numbers = count(61)
        failed: list[Submission] = []
        reasons: list[str] = []

        def fails() -> bool:
            """What was submitted before anybody has noticed may come to any end."""
            batch = [self.submission(next(numbers)) for _ in range(min(3, carrier.batch_size))]
            try:
                carrier.submit(batch)
            except CarrierError as error:
                failed.extend(batch)
                reasons.append(str(error))
            return bool(failed)

        def works() -> bool:
            one = self.submission(next(numbers))
            try:
                return isinstance(self.settle(carrier, heard, [one])[one.key], Accepted)
            except CarrierError:
                return False

        with self.far_end_away():
            self.listen(carrier, heard, fails)
        assert all(reasons)  # which the operator reads
        self.listen(carrier, heard, works)
        assert not {one.to for one in failed} & set(self.taken())


class KeepsSession(LosesItsFarEnd):
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
        assert self.taken() == []
