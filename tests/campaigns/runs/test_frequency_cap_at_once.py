"""The frequency cap of two runs at once: together they never contact a number more often than it allows."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, connections

from campaigns.models import Run, Service
from campaigns.runs import hopper
from telephony.models import Delivery, DeliveryStatus
from tests.campaigns.runs.trying import ONCE_A_WEEK, another, begun
from tests.live import wait_for


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    NUMBERS = tuple(range(9841000001, 9841000041))

    def test_two_runs_at_once_contact_each_number_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The second transaction begins while the first, which has counted, has not committed."""
        campaign, first = begun(numbers=self.NUMBERS, service=Service.SMS, frequency_cap=ONCE_A_WEEK)
        numbers = self.NUMBERS[::-1]
        second = another(campaign, numbers=numbers, service=Service.SMS, frequency_cap=ONCE_A_WEEK)
        seen: list[str] = []

        def waits_for_the_other(point: str) -> None:
            if point == "filling" and not seen:
                seen.append(point)
                wait_for(waits_for_a_lock, seconds=30)

        monkeypatch.setattr(hopper, "failpoint", waits_for_the_other)
        together(lambda: hopper.fill(first.pk), lambda: hopper.fill(second.pk))
        contacts = Counter(Delivery.objects.values_list("to", flat=True))
        assert contacts == {f"+977{number}": 1 for number in self.NUMBERS}
        first.refresh_from_db()
        second.refresh_from_db()
        assert sorted([first.over_cap_count, second.over_cap_count]) == [0, len(self.NUMBERS)]

    def test_many_runs_at_once_never_exceed_the_cap(self, settings: Any) -> None:
        settings.IRIS_HOPPER_SIZE = 20
        campaign, run = begun(
            numbers=self.NUMBERS, service=Service.SMS, frequency_cap={"contacts": 2, "days": 7}
        )
        found = [run] + [
            another(campaign, numbers=numbers, service=Service.SMS, frequency_cap={"contacts": 2, "days": 7})
            for numbers in (self.NUMBERS[::-1], self.NUMBERS[20:] + self.NUMBERS[:20], self.NUMBERS)
        ]

        def filler(pk: int) -> Any:
            def fill() -> None:
                for _ in range(6):
                    hopper.fill(pk)
                    # Empties the hopper, as a trunk does. What was submitted still counts.
                    Delivery.objects.filter(batch=pk, status=DeliveryStatus.QUEUED).update(
                        status=DeliveryStatus.SUBMITTED
                    )

            return fill

        together(*(filler(one.pk) for one in found))
        contacts = Counter(Delivery.objects.values_list("to", flat=True))
        assert contacts == {f"+977{number}": 2 for number in self.NUMBERS}
        assert sum(Run.objects.values_list("over_cap_count", flat=True)) == 2 * len(self.NUMBERS)


def together(*work: Callable[[], Any]) -> None:
    """Run each of these in a thread with a connection of its own."""
    errors: list[BaseException] = []
    barrier = threading.Barrier(len(work))

    def run(task: Callable[[], Any]) -> None:
        try:
            barrier.wait(timeout=30)
            task()
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(task,)) for task in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not errors, errors
    assert not any(thread.is_alive() for thread in threads)


def waits_for_a_lock() -> bool:
    """Return whether a transaction waits for an advisory lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT EXISTS (SELECT FROM pg_stat_activity
                               WHERE datname = current_database() AND wait_event = 'advisory')"""
        )
        return bool(cursor.fetchone()[0])
