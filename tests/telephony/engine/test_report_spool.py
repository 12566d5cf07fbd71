"""Reports of a session are stored and acknowledged at once, and applied afterwards in larger sets."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from django.db import DataError, OperationalError
from django.utils import timezone

from telephony.carriers.base import Accepted, CarrierEvent, Store
from telephony.engine import delivery_reports, report_spool, unmatched_reports
from telephony.engine.event_writer import EventWriter
from telephony.models import Channel, Delivery, DeliveryStatus, UnmatchedReport
from tests.factories import make_delivery, make_trunk
from tests.live import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

S = DeliveryStatus
SECONDS = 20


def sms(ref: str, *, status: DeliveryStatus = S.SUBMITTED) -> Delivery:
    return make_delivery(
        channel=Channel.SMS,
        trunk=make_trunk("sandbox"),
        ref=ref,
        status=status,
        attempts=1,
        to=number_of(ref),
    )


def number_of(ref: str) -> str:
    return f"+97798410{ref:0>5}"


def receipt(ref: str, status: DeliveryStatus = S.COMPLETED) -> CarrierEvent:
    return CarrierEvent(ref=ref, number=number_of(ref), status=status, at=timezone.now())


def status_of(delivery: Delivery) -> int:
    return Delivery.objects.values_list("status", flat=True).get(pk=delivery.pk)


class Applying:
    """Replaces `delivery_reports.apply_all` by one that waits until the test allows it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.allowed = threading.Event()
        self.sizes: list[int] = []
        self._apply = delivery_reports.apply_all
        monkeypatch.setattr(delivery_reports, "apply_all", self)

    def __call__(self, carrier: Any, items: Sequence[Any]) -> int:
        assert self.allowed.wait(6 * SECONDS)
        self.sizes.append(len(items))
        return self._apply(carrier, items)


class Acknowledged(list[str]):
    def of(self, ref: str) -> Any:
        def done(store: Store) -> None:
            self.append(ref)

        return done

    def has(self, count: int) -> bool:
        return len(self) == count


@contextmanager
def writing() -> Iterator[EventWriter]:
    writer = EventWriter("sandbox")
    try:
        yield writer
    finally:
        writer.close()


def test_a_report_is_acknowledged_once_it_is_stored_and_before_it_is_applied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    applying, acknowledged, delivery = Applying(monkeypatch), Acknowledged(), sms("1")
    with writing() as writer:
        writer.put([receipt("1")], acknowledged.of("1"))
        wait_for(lambda: acknowledged, seconds=SECONDS)
        assert (UnmatchedReport.objects.get().ref, status_of(delivery)) == ("1", S.SUBMITTED)
        applying.allowed.set()
    assert (UnmatchedReport.objects.count(), status_of(delivery)) == (0, S.COMPLETED)


def test_reports_that_come_while_others_are_applied_are_applied_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    applying, acknowledged = Applying(monkeypatch), Acknowledged()
    deliveries = [sms(str(n)) for n in range(1, 6)]
    with writing() as writer:
        for n, _ in enumerate(deliveries, start=1):
            writer.put([receipt(str(n))], acknowledged.of(str(n)))
            wait_for(partial(acknowledged.has, n), seconds=SECONDS)
        applying.allowed.set()
    assert acknowledged == ["1", "2", "3", "4", "5"]
    assert sum(applying.sizes) == 5
    assert len(applying.sizes) <= 2  # the first ones, and all others
    assert {status_of(delivery) for delivery in deliveries} == {S.COMPLETED}


def test_the_next_tick_applies_what_a_dead_worker_has_acknowledged() -> None:
    delivery = sms("1")
    unmatched_reports.spool("sandbox", [receipt("1")])
    delivery_reports.match_again("sandbox", min_age=60)
    assert status_of(delivery) == S.SUBMITTED  # its worker may be about to apply it
    delivery_reports.match_again("sandbox")
    assert (UnmatchedReport.objects.count(), status_of(delivery)) == (0, S.COMPLETED)


def test_a_report_that_another_process_has_applied_is_not_applied_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    applying, acknowledged, delivery = Applying(monkeypatch), Acknowledged(), sms("1")
    applied: list[str] = []
    apply = delivery_reports._apply_events

    def noted(alias: str, items: Sequence[CarrierEvent]) -> int:
        applied.extend(item.ref for item in items)
        return apply(alias, items)

    monkeypatch.setattr(delivery_reports, "_apply_events", noted)
    with writing() as writer:
        writer.put([receipt("1")], acknowledged.of("1"))
        wait_for(lambda: acknowledged, seconds=SECONDS)
        delivery_reports.match_again("sandbox")
        applying.allowed.set()
    assert (applied, status_of(delivery)) == (["1"], S.COMPLETED)


def test_a_report_is_not_acknowledged_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    acknowledged, delivery = Acknowledged(), sms("1")
    spool, attempts = unmatched_reports.spool, []

    def spool_at_third_attempt(alias: str, events: Sequence[CarrierEvent]) -> object:
        attempts.append(list(acknowledged))
        if len(attempts) < 3:
            raise OperationalError("the database is away")
        return spool(alias, events)

    monkeypatch.setattr(unmatched_reports, "spool", spool_at_third_attempt)
    monkeypatch.setattr(report_spool, "RETRY_SECONDS", 0.01)
    with writing() as writer:
        writer.put([receipt("1")], acknowledged.of("1"))
    assert (attempts, acknowledged, status_of(delivery)) == ([[], [], []], ["1"], S.COMPLETED)


def test_reports_that_cannot_be_stored_first_are_applied_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(alias: str, events: Sequence[CarrierEvent]) -> object:
        raise DataError("a value is out of range")

    monkeypatch.setattr(unmatched_reports, "spool", refuse)
    acknowledged, delivery = Acknowledged(), sms("1")
    with writing() as writer:
        writer.put([receipt("1")], acknowledged.of("1"))
    assert (acknowledged, status_of(delivery)) == (["1"], S.COMPLETED)


def test_a_repeated_report_is_stored_once_and_acknowledged_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    applying, acknowledged, delivery = Applying(monkeypatch), Acknowledged(), sms("1")
    with writing() as writer:
        writer.put([receipt("1"), receipt("1")], acknowledged.of("first"))
        wait_for(lambda: len(acknowledged) == 1, seconds=SECONDS)
        writer.put([receipt("1")], acknowledged.of("second"))
        wait_for(lambda: len(acknowledged) == 2, seconds=SECONDS)
        assert UnmatchedReport.objects.count() == 1
        applying.allowed.set()
    assert (acknowledged, status_of(delivery)) == (["first", "second"], S.COMPLETED)
    assert not UnmatchedReport.objects.exists()


def test_a_report_that_is_stored_before_its_submit_response_is_applied_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    applying, acknowledged, delivery = Applying(monkeypatch), Acknowledged(), sms("", status=S.SUBMITTING)
    with writing() as writer:
        writer.put([receipt("7")], acknowledged.of("7"))
        wait_for(lambda: acknowledged, seconds=SECONDS)
        writer.put([Accepted(key=str(delivery.pk), ref="7")])
        applying.allowed.set()
        wait_for(lambda: status_of(delivery) == S.COMPLETED, seconds=SECONDS)
    assert not UnmatchedReport.objects.exists()


def test_a_report_on_an_unknown_id_stays_stored() -> None:
    acknowledged = Acknowledged()
    make_trunk("sandbox")
    with writing() as writer:
        writer.put([receipt("8")], acknowledged.of("8"))
    assert (acknowledged, UnmatchedReport.objects.get().ref) == (["8"], "8")


def test_no_more_reports_are_acknowledged_while_too_many_wait_to_be_applied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(report_spool, "MAX_UNAPPLIED", 1)
    applying, acknowledged = Applying(monkeypatch), Acknowledged()
    first, second = sms("1"), sms("2")
    with writing() as writer:
        writer.put([receipt("1")], acknowledged.of("1"))
        wait_for(lambda: acknowledged, seconds=SECONDS)
        writer.put([receipt("2")], acknowledged.of("2"))
        wait_for(lambda: writer._spool._queue.empty(), seconds=SECONDS)
        assert acknowledged == ["1"]
        applying.allowed.set()
    assert acknowledged == ["1", "2"]
    assert (status_of(first), status_of(second)) == (S.COMPLETED, S.COMPLETED)


def test_a_callback_without_reports_comes_after_all_earlier_reports_are_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    acknowledged = Acknowledged()
    stored: list[int] = []
    sms("1")
    with writing() as writer:
        writer.put([receipt("1")], acknowledged.of("1"))
        writer.put([], lambda store: stored.append(len(acknowledged)))
    assert stored == [1]


def test_results_wait_for_others_until_the_worker_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    sets: list[int] = []
    monkeypatch.setattr(delivery_reports, "apply_all", lambda carrier, items: sets.append(len(items)))
    writer = EventWriter("sandbox")
    writer._gather = 6 * SECONDS
    writer.put([Accepted(key="1", ref="1")])
    wait_for(writer._queue.empty, seconds=SECONDS)
    writer.put([Accepted(key="2", ref="2")])
    writer.close()
    assert sets == [2]
