"""Test how a dispatcher submits several batches at once for a carrier that can work on them at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from django.utils import timezone

from telephony.carriers import get_carrier
from telephony.carriers.base import Accepted, ConcurrentCarrier, Later, Result, Submission, Unknown
from telephony.carriers.errors import Misconfigured
from telephony.engine import dispatch
from telephony.engine.batches import Batches
from telephony.engine.lifecycle import Claimed
from telephony.engine.submission import Departure
from telephony.models import Channel, Delivery, DeliveryStatus, Trunk
from tests.cpu import cpu_at_most
from tests.factories import make_account, make_delivery, make_trunk

pytestmark = pytest.mark.django_db


class QueuingCarrier(ConcurrentCarrier):
    """Accepts when the test says so: `futures` are those of its batches."""

    channels: ClassVar = frozenset(Channel)
    batch_size: ClassVar = 10
    in_flight = 5

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.batches: list[list[Submission]] = []
        self.futures: list[Future[list[Result]]] = []
        self.error: Exception | None = None
        self.answers_at_once = False

    def max_in_flight(self) -> int:
        return self.in_flight

    def start(self, batch: Sequence[Submission]) -> Future[list[Result]]:
        if self.error is not None:
            raise self.error
        self.batches.append(list(batch))
        self.futures.append(Future())
        if self.answers_at_once:
            self.accept(-1)
        return self.futures[-1]

    def accept(self, place: int) -> None:
        self.futures[place].set_result(
            [Accepted(key=one.key, ref=f"r{one.key}") for one in self.batches[place]]
        )


def departing(key: int, **changes: Any) -> Departure:
    fields: dict[str, Any] = {
        "id": key, "channel": "sms", "to": "+9779841000001", "caller": "", "text": "Hi", "audio_name": "",
        "audio_seconds": None, "attempts": 1, "owner_id": 1, "priority": 1, "opted_out": False, "script": None,
        "cause": "",
    }  # fmt: skip
    return Departure(
        slot=0.0,
        delivery=Claimed(**{**fields, **changes}),
        valid_until=timezone.now() + timedelta(seconds=30),
        claimed_at=0.0,
    )


def test_room_shrinks_with_the_submissions_under_way() -> None:
    carrier = QueuingCarrier(alias="line")
    batches = Batches(carrier)
    assert batches.start([departing(1), departing(2)]) == []
    assert batches.start([departing(3)]) == []
    assert batches.room() == 2
    assert batches.collect() is None
    carrier.accept(0)
    finished = batches.collect()
    assert finished is not None
    assert [result.key for result in finished.results] == ["1", "2"]
    assert batches.room() == 4
    assert batches


def test_delivery_that_needs_no_carrier_is_refused_at_once() -> None:
    carrier = QueuingCarrier(alias="line")
    (refused,) = Batches(carrier).start([departing(1, opted_out=True)])
    assert refused.key == "1"
    assert carrier.batches == []


def test_error_of_one_batch_pauses_the_trunk_and_queues_only_that_batch_again() -> None:
    make_trunk("line")
    carrier = QueuingCarrier(alias="line")
    batches = Batches(carrier)
    batches.start([departing(1)])
    batches.start([departing(2)])
    carrier.futures[0].set_exception(Misconfigured("wrong token"))
    carrier.accept(1)
    finished = batches.collect()
    assert finished is not None
    assert finished.rests
    assert {result.key: type(result) for result in finished.results} == {"1": Later, "2": Accepted}
    assert Trunk.objects.get(alias="line").pause_reason == "wrong token"


def test_unexpected_error_makes_the_batch_unknown_and_missing_results_too() -> None:
    carrier = QueuingCarrier(alias="line")
    batches = Batches(carrier)
    carrier.error = ValueError("bug")
    batches.start([departing(1)])
    carrier.error = None
    batches.start([departing(2)])
    carrier.futures[0].set_result([])
    finished = batches.collect()
    assert finished is not None
    assert {result.key: type(result) for result in finished.results} == {"1": Unknown, "2": Unknown}


def test_dispatcher_never_has_more_under_way_than_the_carrier_can_take(settings: Any) -> None:
    settings.CARRIERS = {"line": {"BACKEND": f"{__name__}.QueuingCarrier", "CPS": None, "CHANNELS": None}}
    trunk, owner = make_trunk("line"), make_account()
    for _ in range(12):
        make_delivery(trunk=trunk, owner=owner)
    carrier = get_carrier("line")
    assert isinstance(carrier, QueuingCarrier)
    with cpu_at_most(2):  # it waits, and does not spin
        dispatch.run("line", budget=0.5)  # nothing is answered
    assert sum(map(len, carrier.batches)) == 5
    assert Delivery.objects.filter(status=DeliveryStatus.QUEUED).count() == 7
    carrier.answers_at_once = True
    for place in range(len(carrier.futures)):
        carrier.accept(place)
    dispatch.run("line", budget=5)
    assert Delivery.objects.filter(status=DeliveryStatus.SUBMITTED).count() == 7
    assert sorted(one.key for batch in carrier.batches for one in batch) == sorted(
        str(pk) for pk in Delivery.objects.values_list("pk", flat=True)
    )
