"""Hoppers are filled concurrently: slow speech of one run does not delay the others."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest
from django.db import connection

from campaigns import runs, tasks
from campaigns.models import Run, Service
from campaigns.runs import delivery_requests, hopper
from telephony.engine import time_slices
from telephony.engine.enqueue import DeliveryRequest
from telephony.models import Channel, Delivery, DeliveryStatus
from tests.factories import make_account, make_campaign
from tests.live import wait_for


def begin(service: Service = Service.SMS, **options: Any) -> Run:
    campaign = make_campaign(service=service, **options)
    return runs.begin(campaign=campaign, message="Namaste")


class SlowRun:
    """Makes the speech of one run take until `release`. `begun` is set when its synthesis starts."""

    def __init__(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.release = threading.Event(), threading.Event()
        really = delivery_requests.requests_for

        def orders(of: Run, recipients: Sequence[Any]) -> list[DeliveryRequest]:
            if of.pk == run.pk:
                self.begun.set()
                assert self.release.wait(120)
            return really(of, recipients)

        monkeypatch.setattr(delivery_requests, "requests_for", orders)


@pytest.fixture
def quick(settings: Any) -> None:
    settings.IRIS_TASK_SECONDS = 1


@pytest.mark.django_db(transaction=True)
def test_slow_speech_of_one_run_delays_no_other_run(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, other = begin(), begin()
    speech = SlowRun(slow, monkeypatch)

    def fill() -> None:
        tasks.fill()
        connection.close()

    first = threading.Thread(target=fill)
    first.start()
    try:
        assert speech.begun.wait(60)
        tasks.fill()
        assert Delivery.objects.filter(batch=other.pk).count() == 3
        assert not Delivery.objects.filter(batch=slow.pk).exists()
    finally:
        speech.release.set()
        first.join()
    assert Delivery.objects.filter(batch=slow.pk).count() == 3


@pytest.mark.django_db(transaction=True)
def test_one_process_at_a_time_fills_a_run_and_the_others_do_not_wait(
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
        assert speech.begun.wait(60)
        speech.begun.clear()
        tasks.fill()
        assert first.is_alive()  # it holds the run's lock until `release` is set below
        assert not speech.begun.is_set()
    finally:
        speech.release.set()
        first.join()


@pytest.mark.django_db(transaction=True)
def test_the_number_of_processes_that_fill_hoppers_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, release = [], threading.Event()

    def fill_all(**options: Any) -> bool:
        inside.append(1)
        assert release.wait(120)
        return False

    monkeypatch.setattr(hopper, "fill_all", fill_all)

    def fill() -> None:
        tasks.fill()
        connection.close()

    threads = [threading.Thread(target=fill) for _ in range(5)]
    for thread in threads:
        thread.start()
    wait_for(lambda: sum(thread.is_alive() for thread in threads) == time_slices.FILLERS, seconds=10)
    release.set()
    for thread in threads:
        thread.join()
    assert len(inside) == time_slices.FILLERS


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("seconds", "next_chunk"), [(0.1, 100), (1.0, 50), (4.0, 12), (600.0, hopper.MIN_SPEECH_CHUNK)]
)
def test_the_speech_chunk_adapts_to_about_a_second(seconds: float, next_chunk: int) -> None:
    hopper._adapt_speech_chunk(run_id := make_account().pk, spoken=50, seconds=seconds)
    assert hopper._speech_chunks.pop(run_id) == next_chunk


@pytest.mark.django_db
def test_imports_and_speech_of_scheduled_runs_share_one_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from campaigns.recipients import background_imports
    from campaigns.runs import prerender
    from iris.locks import locked

    def never(*args: Any, **options: Any) -> bool:
        raise AssertionError("a second process was taken")

    monkeypatch.setattr(prerender, "prepare_all", never)
    monkeypatch.setattr(background_imports, "import_all", never)
    taken, left = threading.Event(), threading.Event()

    def hold() -> None:
        with locked(tasks.BACKGROUND) as ours:
            assert ours
            taken.set()
            assert left.wait(120)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert taken.wait(60)
        tasks.prepare()
        tasks.import_sheet()
    finally:
        left.set()
        holder.join()


@pytest.mark.django_db(transaction=True)
def test_time_slices_too_short_for_all_runs_reach_them_in_rotation(monkeypatch: pytest.MonkeyPatch) -> None:
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


def slow_calls_and_fast_sms(recipients: int = 200) -> Run:
    numbers = [9841000001 + n for n in range(recipients)]
    return begin(Service.BOTH, owner=make_account(credits=10_000), numbers=numbers)


def sms_leave() -> None:
    Delivery.objects.filter(channel=Channel.SMS).update(status=DeliveryStatus.COMPLETED)


def waiting() -> int:
    return Delivery.objects.filter(status=DeliveryStatus.QUEUED).count()


@pytest.mark.django_db
def test_the_hopper_of_a_run_with_a_slow_and_a_fast_channel_is_bounded(settings: Any) -> None:
    settings.IRIS_HOPPER_SIZE = 10
    run = slow_calls_and_fast_sms()
    seen = []
    for _ in range(30):
        hopper.fill(run.pk)
        sms_leave()
        seen.append(waiting())
    assert max(seen) <= settings.IRIS_HOPPER_SIZE


@pytest.mark.django_db
def test_all_queued_deliveries_are_counted_at_most_once_a_second_while_the_hopper_is_full(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.IRIS_HOPPER_SIZE = 10
    run = slow_calls_and_fast_sms()
    hopper.fill(run.pk)
    sms_leave()
    counted = []
    really = hopper._count_queued

    def count(of: Run) -> int:
        counted.append(of.pk)
        return really(of)

    monkeypatch.setattr(hopper, "_count_queued", count)
    assert [hopper.fill(run.pk) for _ in range(5)] == [0] * 5
    assert counted == [run.pk]
    Delivery.objects.update(status=DeliveryStatus.COMPLETED)
    wait_for(lambda: hopper.fill(run.pk), seconds=hopper.OLDER_QUEUED_SECONDS + 5)
    assert counted == [run.pk] * 2


@pytest.mark.django_db
def test_refilling_a_run_with_one_trunk_and_channel_examines_only_its_latest_deliveries(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.IRIS_HOPPER_SIZE = 10
    run = begin(owner=make_account(credits=1000), numbers=[9841000001 + n for n in range(100)])
    assert hopper.fill(run.pk) == 10

    def never(of: Run) -> int:
        raise AssertionError("all was counted")

    monkeypatch.setattr(hopper, "_count_queued", never)
    monkeypatch.setattr(hopper, "OLDER_QUEUED_SECONDS", 3600)
    for _ in range(3):
        Delivery.objects.update(status=DeliveryStatus.COMPLETED)
        assert hopper.fill(run.pk) == 10


@pytest.mark.django_db
def test_older_deliveries_that_returned_to_the_queue_are_counted(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.IRIS_HOPPER_SIZE = 10
    monkeypatch.setattr(hopper, "OLDER_QUEUED_SECONDS", 0)
    run = begin(owner=make_account(credits=1000), numbers=[9841000001 + n for n in range(100)])
    hopper.fill(run.pk)
    first = list(Delivery.objects.values_list("pk", flat=True))
    Delivery.objects.update(status=DeliveryStatus.SUBMITTING)
    assert hopper.fill(run.pk) == 10
    Delivery.objects.exclude(pk__in=first).update(status=DeliveryStatus.COMPLETED)
    Delivery.objects.filter(pk__in=first).update(status=DeliveryStatus.QUEUED)
    assert hopper.fill(run.pk) == 0
