"""Dispatching: carriers' results and pauses."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from telephony.carriers.base import CarrierEvent, Later, Result, Submission, Unknown
from telephony.carriers.errors import Misconfigured, OutOfFunds, Throttled, Unreachable
from telephony.engine import delivery_reports, dispatch, lifecycle, pacing, shutdown
from telephony.models import Delivery, DeliveryStatus, Trunk
from tests.factories import make_account, make_delivery
from tests.telephony.engine.scripted_carrier import ScriptedCarrier, accept, raising, statuses

pytestmark = pytest.mark.django_db(transaction=True)  # a separate thread claims for a paced trunk

S = DeliveryStatus


def test_queued_deliveries_are_submitted_in_batches_of_the_carriers_size(
    carrier: type[ScriptedCarrier],
) -> None:
    for _ in range(7):
        make_delivery()
    assert dispatch.run("sandbox", budget=5) is False
    assert statuses() == [S.SUBMITTED] * 7
    assert [len(batch) for batch in carrier.seen] == [3, 3, 1]


def test_delivery_is_not_retried_after_an_unexpected_error_of_the_carrier(
    carrier: type[ScriptedCarrier],
) -> None:
    make_delivery()
    carrier.answer = staticmethod(raising(TimeoutError("no answer")))
    dispatch.run("sandbox", budget=5)
    dispatch.run("sandbox", budget=5)
    assert statuses() == [S.UNKNOWN]
    assert len(carrier.seen) == 1


def test_delivery_without_a_result_is_unknown(carrier: type[ScriptedCarrier]) -> None:
    make_delivery(), make_delivery()
    carrier.answer = staticmethod(lambda batch: accept(batch)[:1])
    dispatch.run("sandbox", budget=5)
    assert statuses() == [S.SUBMITTED, S.UNKNOWN]


@pytest.mark.parametrize(
    "error", [Misconfigured("wrong password"), Throttled("too fast"), Unreachable("refused")]
)
def test_unsent_delivery_is_queued_again_and_the_trunk_pauses(
    carrier: type[ScriptedCarrier], error: Exception
) -> None:
    make_delivery()
    carrier.answer = staticmethod(raising(error))
    dispatch.run("sandbox", budget=5)
    assert statuses() == [S.QUEUED]
    trunk = Trunk.objects.get()
    assert trunk.pause_reason == str(error)
    assert (trunk.paused_until is None) == isinstance(error, Misconfigured)
    assert len(carrier.seen) == 1


def test_trunk_resumes_after_the_operator_clears_the_pause_reason(carrier: type[ScriptedCarrier]) -> None:
    make_delivery()
    carrier.answer = staticmethod(raising(Misconfigured("wrong password")))
    dispatch.run("sandbox", budget=5)
    carrier.answer = staticmethod(accept)
    Trunk.objects.update(pause_reason="")
    Delivery.objects.update(not_before="2020-01-01T00:00:00Z")
    dispatch.run("sandbox", budget=5)
    assert statuses() == [S.SUBMITTED]


def test_invalid_number_fails_without_a_submission(carrier: type[ScriptedCarrier]) -> None:
    make_delivery(to="")
    dispatch.run("sandbox", budget=5)
    assert carrier.seen == []
    assert Delivery.objects.values_list("status", "cause").get() == (S.FAILED, "invalid")


def test_stopping_worker_submits_claimed_deliveries_and_ends_its_time_slice(
    carrier: type[ScriptedCarrier], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CARRIERS["sandbox"]["CPS"] = 50
    monkeypatch.setattr(shutdown, "_flag", bytearray(1))

    def accept_and_stop(batch: Sequence[Submission]) -> list[Result]:
        shutdown.end()
        return accept(batch)

    carrier.answer = staticmethod(accept_and_stop)
    for _ in range(100):
        make_delivery()
    assert dispatch.run("sandbox", budget=60) is True
    submitted = sum(len(batch) for batch in carrier.seen)
    assert 0 < submitted <= pacing.HORIZON * 50 + 1
    assert statuses() == [S.SUBMITTED] * submitted + [S.QUEUED] * (100 - submitted)


def test_delivery_stopped_after_its_claim_is_not_submitted(
    carrier: type[ScriptedCarrier], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CARRIERS["sandbox"]["CPS"] = 2
    monkeypatch.setattr(dispatch, "MAX_CLAIM_AGE", 60)
    claim = pacing.claim

    def far_ahead(alias: str, **options: Any) -> pacing.Claim:
        return claim(alias, **options | {"horizon": 20, "max_count": 40})

    monkeypatch.setattr(pacing, "claim", far_ahead)

    def accept_and_stop(batch: Sequence[Submission]) -> list[Result]:
        Delivery.objects.update(stopped=True)
        return accept(batch)

    carrier.answer = staticmethod(accept_and_stop)
    for _ in range(40):
        make_delivery()
    assert dispatch.run("sandbox", budget=60) is False
    submitted = sum(len(batch) for batch in carrier.seen)
    assert 0 < submitted < 30
    assert statuses() == [S.SUBMITTED] * submitted + [S.TERMINATED] * (40 - submitted)


@pytest.mark.parametrize("error", [Throttled("slower", retry_after=0.5), Unreachable("away")])
def test_claimed_deliveries_are_queued_again_when_the_carrier_refuses_the_batch_before(
    carrier: type[ScriptedCarrier], settings: Any, error: Exception
) -> None:
    settings.CARRIERS["sandbox"]["CPS"] = 50
    make_delivery()
    dispatch.run("sandbox", budget=5)  # measures how fast the carrier is
    for _ in range(10):
        make_delivery()
    carrier.answer = staticmethod(raising(error))
    dispatch.run("sandbox", budget=5)
    assert statuses() == [S.SUBMITTED] + [S.QUEUED] * 10
    assert Delivery.objects.filter(attempts__gt=0).count() > 2, "several were claimed"


def test_unsubmitted_deliveries_are_queued_again_after_a_database_error(
    carrier: type[ScriptedCarrier], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CARRIERS["sandbox"]["CPS"] = 50
    for _ in range(40):
        make_delivery()

    claim, claims = pacing.claim, []

    def broken(*arguments: Any, **options: Any) -> pacing.Claim:
        if len(claims) == 2:
            raise OperationalError("the connection is closed")
        claims.append(claim(*arguments, **options))
        return claims[-1]

    monkeypatch.setattr(pacing, "claim", broken)

    def slow(batch: Sequence[Submission]) -> list[Result]:
        time.sleep(0.1)
        return accept(batch)

    carrier.answer = staticmethod(slow)
    with pytest.raises(OperationalError):
        dispatch.run("sandbox", budget=5)
    submitted = sum(len(batch) for batch in carrier.seen)
    assert 0 < submitted < 40
    assert sorted(statuses()) == [S.QUEUED] * (40 - submitted) + [S.SUBMITTED] * submitted


def test_result_of_an_earlier_attempt_changes_nothing(carrier: type[ScriptedCarrier]) -> None:
    delivery = make_delivery(status=S.SUBMITTING, attempts=2)
    for stale in (Later(key=str(delivery.pk), seconds=0), Unknown(key=str(delivery.pk))):
        lifecycle.apply_results([stale], report_timeout=60, attempts={delivery.pk: 1})
    assert statuses() == [S.SUBMITTING]
    lifecycle.apply_results(
        [Later(key=str(delivery.pk), seconds=0)], report_timeout=60, attempts={delivery.pk: 2}
    )
    assert statuses() == [S.QUEUED]


def test_carrier_is_not_called_again_after_it_refused_a_batch(carrier: type[ScriptedCarrier]) -> None:
    for _ in range(9):
        make_delivery()
    carrier.answer = staticmethod(raising(Misconfigured("wrong password")))
    dispatch.run("sandbox", budget=5)
    assert len(carrier.seen) == 1
    assert statuses() == [S.QUEUED] * 9


@pytest.mark.parametrize("error", [Misconfigured("wrong sender"), OutOfFunds("empty")])
def test_after_a_pause_other_deliveries_are_tried_before_the_refused_one(
    carrier: type[ScriptedCarrier], settings: Any, error: Exception
) -> None:
    settings.IRIS_CLAIM_SIZE = 1
    owner = make_account()
    first, second = (make_delivery(owner=owner) for _ in range(2))
    carrier.answer = staticmethod(raising(error))
    dispatch.run("sandbox", budget=5)
    Trunk.objects.update(pause_reason="", paused_until=None)
    now = timezone.now()
    Delivery.objects.filter(not_before__gt=now).update(not_before=now)
    dispatch.run("sandbox", budget=5)
    assert [[one.key for one in batch] for batch in carrier.seen] == [[str(first.pk)], [str(second.pk)]]


def test_event_that_cannot_be_stored_does_not_block_the_others(
    carrier: type[ScriptedCarrier],
) -> None:
    first, second = make_delivery(status=S.SUBMITTED), make_delivery(status=S.SUBMITTED)
    now = timezone.now()
    bad = CarrierEvent(key=str(first.pk), status=S.COMPLETED, at=now, playback=10**6)
    good = CarrierEvent(key=str(second.pk), status=S.COMPLETED, at=now)
    assert delivery_reports.apply_events("sandbox", [bad, good]) == 1
    assert statuses() == [S.SUBMITTED, S.COMPLETED]
