"""Test what the engine relies on in every carrier.

Each carrier has a test class that inherits from `CarrierContract` through the kinds that apply: `Reports`, `Polled`,
`LooksUp`, `LosesItsFarEnd`, `KeepsSession`. docs/adding-a-carrier.md shows a complete one.

The far end of each carrier is a process of its own; that of the sandbox is a table. The tests ask the far end what it
received, because the carrier's own word would be no proof.
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
    Done,
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

# Keys are ids of deliveries that no test creates.
FIRST_KEY = 900_000_001


class ReportLog:
    """Collects everything a carrier reports. It serves as `record` of a session carrier and of a poll."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items: list[Any] = []

    def __call__(self, items: Sequence[Any], done: Done | None = None) -> None:
        with self._lock:
            self._items += items
        if done is not None:
            done(self)

    def results(self) -> list[Result]:
        with self._lock:
            return [item for item in self._items if isinstance(item, Result)]

    def events(self) -> list[CarrierEvent]:
        with self._lock:
            return [item for item in self._items if isinstance(item, CarrierEvent)]


class CarrierContract:
    channel: ClassVar[Channel]
    seconds: ClassVar[float] = 20  # timeout of each wait
    refused_number: ClassVar[str]  # the only number that the far end refuses as invalid (E.164)
    gives_refs: ClassVar[bool] = True  # whether the far end gives each submission an id

    @pytest.fixture
    def report_log(self) -> ReportLog:
        return ReportLog()

    @pytest.fixture
    def carrier(self, report_log: ReportLog) -> Carrier:
        raise NotImplementedError("Define the fixture `carrier`.")

    def received_numbers(self) -> list[str]:
        """Return the numbers (E.164) of everything the far end has received, duplicates included."""
        raise NotImplementedError("Define `received_numbers`.")

    def submission(self, number: int, **changes: Any) -> Submission:
        """Create the n-th submission, each to another recipient."""
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

    def wait_until(self, carrier: Carrier, report_log: ReportLog, done: Callable[[], bool]) -> None:
        """Wait until `done` returns true. Poll the carrier meanwhile if it is a polled one."""

        def poll_and_check() -> bool:
            if carrier.polls:
                carrier.poll(report_log)
            return done()

        wait_for(poll_and_check, seconds=self.seconds)

    def submit_and_wait(
        self, carrier: Carrier, report_log: ReportLog, batch: Sequence[Submission]
    ) -> dict[str, Result]:
        """Submit a batch and wait for all results. Return them by key."""
        answers = carrier.submit(batch)
        assert sorted(answer.key for answer in answers) == sorted(one.key for one in batch)
        pending = {answer.key for answer in answers if isinstance(answer, Pending)}
        self.wait_until(
            carrier, report_log, lambda: pending <= {result.key for result in report_log.results()}
        )
        results: dict[str, Result] = {a.key: a for a in answers if not isinstance(a, Pending)}
        results |= {result.key: result for result in report_log.results() if result.key in pending}
        return results

    # What it says of itself ---------------------------------------------------------------------------------

    def test_carrier_declares_its_channels_and_limits(self, carrier: Carrier) -> None:
        assert carrier.channels
        assert carrier.channels <= frozenset(Channel)
        assert self.channel in carrier.channels
        assert carrier.batch_size >= 1
        assert carrier.report_timeout() > 0

    def test_every_declared_capability_has_its_contract_tests(self, carrier: Carrier) -> None:
        assert isinstance(self, Polled) == carrier.polls
        assert isinstance(self, LooksUp) == carrier.looks_up
        assert isinstance(self, KeepsSession) == isinstance(carrier, SessionCarrier)

    def test_unknown_option_raises_improperly_configured(self, carrier: Carrier) -> None:
        with pytest.raises(ImproperlyConfigured, match="no_such_option"):
            type(carrier)(alias=carrier.alias, no_such_option=1)

    # Submissions --------------------------------------------------------------------------------------------

    def test_each_submission_is_accepted_with_a_distinct_ref(
        self, carrier: Carrier, report_log: ReportLog
    ) -> None:
        batch = [self.submission(number) for number in range(min(3, carrier.batch_size))]
        results = self.submit_and_wait(carrier, report_log, batch)
        assert {type(result) for result in results.values()} == {Accepted}
        refs = [result.ref for result in results.values() if isinstance(result, Accepted)]
        assert [bool(ref) for ref in refs] == [self.gives_refs] * len(batch)
        assert len(set(refs)) == len(batch) or not self.gives_refs
        assert max(map(len, refs)) <= 100
        assert Counter(self.received_numbers()) == {one.to: 1 for one in batch}

    def test_submission_past_its_validity_is_not_sent(self, carrier: Carrier, report_log: ReportLog) -> None:
        late = self.submission(10, valid_until=timezone.now() - timedelta(seconds=1))
        (result,) = self.submit_and_wait(carrier, report_log, [late]).values()
        assert isinstance(result, (Later, Rejected))
        # A later submission has arrived, so the late one would have arrived by now.
        self.submit_and_wait(carrier, report_log, [self.submission(11)])
        assert self.received_numbers() == [self.submission(11).to]

    def test_invalid_number_is_rejected_and_a_valid_one_accepted(
        self, carrier: Carrier, report_log: ReportLog
    ) -> None:
        somebody, nobody = self.submission(12), self.submission(13, to=self.refused_number)
        assert isinstance(self.submit_and_wait(carrier, report_log, [somebody])[somebody.key], Accepted)
        end: Result | CarrierEvent = self.submit_and_wait(carrier, report_log, [nobody])[nobody.key]
        if isinstance(end, Accepted):  # the carrier accepts first, and refuses by a report
            names = {end.key, end.ref}
            ends: list[CarrierEvent] = []

            def is_over() -> bool:
                ends[:] = [e for e in report_log.events() if (e.key or e.ref) in names and e.status >= FINAL]
                return bool(ends)

            self.wait_until(carrier, report_log, is_over)
            end = ends[0]
            assert end.status == DeliveryStatus.FAILED
        assert isinstance(end, (Rejected, CarrierEvent))
        assert end.cause == Cause.INVALID
        assert end.text  # the far end's own text


class Reports(CarrierContract):
    """For carriers that report on accepted submissions."""

    def test_each_accepted_submission_gets_one_final_report(
        self, carrier: Carrier, report_log: ReportLog
    ) -> None:
        batch = [self.submission(number) for number in range(20, 20 + min(3, carrier.batch_size))]
        results = self.submit_and_wait(carrier, report_log, batch)
        names = {one.key: one.key for one in batch}
        for result in results.values():
            assert isinstance(result, (Accepted, Unknown))
            if isinstance(result, Accepted):
                names |= dict.fromkeys(result.parts or (result.ref,), result.key)

        def of(key: str) -> list[CarrierEvent]:
            return [event for event in report_log.events() if names.get(event.key or event.ref) == key]

        self.wait_until(
            carrier,
            report_log,
            lambda: all(any(event.status >= FINAL for event in of(one.key)) for one in batch),
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
    """For carriers that are polled for reports."""

    def test_reports_are_polled_again_if_recording_them_failed(
        self, carrier: Carrier, report_log: ReportLog
    ) -> None:
        self.submit_and_wait(carrier, report_log, [self.submission(30)])

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
        self.wait_until(carrier, report_log, lambda: bool(report_log.events()))


class LooksUp(CarrierContract):
    """For carriers that can be asked about a submission. They may omit keys, but must never be wrong.

    `confirms_accepted` says that the carrier also confirms what it accepted, and not only denies what it never received.
    """

    confirms_accepted: ClassVar[bool] = True

    def make_unknown(self, carrier: Carrier, report_log: ReportLog, batch: Sequence[Submission]) -> None:
        """Make these deliveries unknown for the engine. Does nothing if the carrier asks its far end."""

    def test_look_up_denies_what_never_arrived_and_is_never_wrong(
        self, carrier: Carrier, report_log: ReportLog
    ) -> None:
        accepted, never = self.submission(40), self.submission(41)
        self.submit_and_wait(carrier, report_log, [accepted])
        self.make_unknown(carrier, report_log, [accepted, never])
        found: dict[str, bool] = {}

        def tells() -> bool:
            found.update(carrier.look_up([accepted.key, never.key]))
            return never.key in found

        self.wait_until(carrier, report_log, tells)
        assert found == {never.key: False} | ({accepted.key: True} if self.confirms_accepted else {})
        assert self.received_numbers() == [accepted.to]


class LosesItsFarEnd(CarrierContract):
    """For carriers whose far end can be unreachable. Then `submit` raises a `CarrierError`, and the batch is retried."""

    def far_end_away(self) -> AbstractContextManager[object]:
        """Return a context in which the far end is stopped. Afterwards it runs again at the same address."""
        raise NotImplementedError("Define `far_end_away`.")

    def test_nothing_of_a_batch_that_raises_carrier_error_is_sent(
        self, carrier: Carrier, report_log: ReportLog
    ) -> None:
        self.submit_and_wait(carrier, report_log, [self.submission(60)])
        numbers = count(61)
        failed: list[Submission] = []
        reasons: list[str] = []

        def fails() -> bool:
            """Submit until a batch fails. Batches before the carrier notices the outage may have any result."""
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
                return isinstance(self.submit_and_wait(carrier, report_log, [one])[one.key], Accepted)
            except CarrierError:
                return False

        with self.far_end_away():
            self.wait_until(carrier, report_log, fails)
        assert all(reasons)  # the operator reads them
        self.wait_until(carrier, report_log, works)
        assert not {one.to for one in failed} & set(self.received_numbers())


class KeepsSession(LosesItsFarEnd):
    """For session carriers, which keep a connection in the worker of their trunk's queue."""

    def test_status_is_one_line(self, carrier: Carrier) -> None:
        assert isinstance(carrier, SessionCarrier)
        assert carrier.status()
        assert "\n" not in carrier.status()

    def test_closed_session_accepts_nothing_and_can_be_closed_again(self, carrier: Carrier) -> None:
        assert isinstance(carrier, SessionCarrier)
        carrier.close()
        carrier.close()
        with pytest.raises(CarrierError):
            carrier.submit([self.submission(50)])
        assert self.received_numbers() == []
