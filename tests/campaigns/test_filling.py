"""Runs are filled side by side: one whose speech takes long stops no other."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest
from django.db import connection

from campaigns import contents, hopper, runs, tasks
from campaigns.models import Run, Service
from telephony import turns
from telephony.models import Delivery
from telephony.orders import Order
from tests.factories import make_campaign, make_user
from tests.live import wait_for


def begin(service: Service = Service.SMS, **options: Any) -> Run:
    campaign = make_campaign(service=service, **options)
    return runs.begin(campaign=campaign, message="Namaste")


class SlowRun:
    """What one run says takes until `release`; `begun` is set once it is being made."""

    def __init__(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.release = threading.Event(), threading.Event()
        really = contents.orders

        def orders(of: Run, recipients: Sequence[Any]) -> list[Order]:
            if of.pk == run.pk:
                self.begun.set()
                assert self.release.wait(30)
            return really(of, recipients)

        monkeypatch.setattr(contents, "orders", orders)


@pytest.fixture
def quick(settings: Any) -> None:
    settings.IRIS_TASK_SECONDS = 1


@pytest.mark.django_db(transaction=True)
def test_a_run_whose_speech_takes_long_stops_no_other(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, other = begin(), begin()
    speech = SlowRun(slow, monkeypatch)

    def fill() -> None:
        tasks.fill()
        connection.close()

    first = threading.Thread(target=fill)
    first.start()
    try:
        assert speech.begun.wait(10)
        tasks.fill()
        assert Delivery.objects.filter(batch=other.pk).count() == 3
        assert not Delivery.objects.filter(batch=slow.pk).exists()
    finally:
        speech.release.set()
        first.join()
    assert Delivery.objects.filter(batch=slow.pk).count() == 3


@pytest.mark.django_db(transaction=True)
def test_a_run_is_filled_by_one_process_at_a_time_and_the_others_do_not_wait_for_it(
    quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = begin()
    speech = SlowRun(slow, monkeypatch)

    def fill() -> None:
        tasks.fill()
        connection.close()

    first = threading.Thread(target=fill)
    first.start()
    try:
        assert speech.begun.wait(10)
        speech.begun.clear()
        begun_at = time.monotonic()
        tasks.fill()
        assert time.monotonic() - begun_at < 1
        assert not speech.begun.is_set()
    finally:
        speech.release.set()
        first.join()


@pytest.mark.django_db(transaction=True)
def test_so_many_processes_fill_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, release = [], threading.Event()

    def fill_all(**options: Any) -> bool:
        inside.append(1)
        assert release.wait(30)
        return False

    monkeypatch.setattr(hopper, "fill_all", fill_all)

    def fill() -> None:
        tasks.fill()
        connection.close()

    threads = [threading.Thread(target=fill) for _ in range(5)]
    for thread in threads:
        thread.start()
    wait_for(lambda: sum(thread.is_alive() for thread in threads) == turns.FILLERS, seconds=10)
    release.set()
    for thread in threads:
        thread.join()
    assert len(inside) == turns.FILLERS


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("seconds", "next_chunk"), [(0.1, 100), (1.0, 50), (4.0, 12), (600.0, hopper.FEWEST)]
)
def test_as_many_are_spoken_for_at_once_as_take_about_a_second(seconds: float, next_chunk: int) -> None:
    hopper._learn(run_id := make_user().pk, spoken=50, seconds=seconds)
    assert hopper._chunks.pop(run_id) == next_chunk


@pytest.mark.django_db
def test_a_sheet_and_the_speech_of_scheduled_runs_take_one_process_between_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from campaigns import imports, preparing
    from telephony.locks import locked

    def never(*args: Any, **options: Any) -> bool:
        raise AssertionError("a second process was taken")

    monkeypatch.setattr(preparing, "prepare_all", never)
    monkeypatch.setattr(imports, "go_on", never)
    taken, left = threading.Event(), threading.Event()

    def hold() -> None:
        with locked(tasks.BACKGROUND) as ours:
            assert ours
            taken.set()
            assert left.wait(30)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert taken.wait(10)
        tasks.prepare()
        tasks.import_sheet(1)
    finally:
        left.set()
        holder.join()


@pytest.mark.django_db(transaction=True)
def test_turns_too_short_for_all_runs_reach_them_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    order = [begin().pk, begin().pk, begin().pk]
    filled: list[int] = []

    def fill(run_id: int) -> int:
        filled.append(run_id)
        return 1

    monkeypatch.setattr(hopper, "fill", fill)
    for _ in range(6):
        hopper.fill_all(budget=0)
    first = order.index(filled[0])
    assert filled == 2 * (order[first:] + order[:first])
