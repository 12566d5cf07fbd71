"""Dispatching: carriers' results, pauses, and the pace of a trunk."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, ClassVar

import pytest
from django.db import OperationalError
from django.utils import timezone

from telephony.carriers import get_carrier
from telephony.carriers.base import Accepted, Carrier, CarrierEvent, Later, Result, Submission, Unknown
from telephony.carriers.errors import Misconfigured, OutOfFunds, Throttled, Unreachable
from telephony.engine import delivery_reports, dispatch, lifecycle, pace_meter, pacing, shutdown
from telephony.models import Channel, Delivery, DeliveryStatus, Trunk
from tests.factories import make_account, make_delivery

pytestmark = pytest.mark.django_db(transaction=True)  # a separate thread claims for a paced trunk

S = DeliveryStatus


class ScriptedCarrier(Carrier):
    """Return the results that the test chooses."""

    channels: ClassVar = frozenset(Channel)
    batch_size: ClassVar = 3
    answer: ClassVar[Callable[[Sequence[Submission]], list[Result]]]
    seen: ClassVar[list[list[Submission]]] = []

    def submit(self, batch: Sequence[Submission]) -> list[Result]:
        self.seen.append(list(batch))
        return type(self).answer(batch)


def accept(batch: Sequence[Submission]) -> list[Result]:
    return [Accepted(key=one.key, ref=f"ref-{one.key}") for one in batch]


def raising(error: Exception) -> Callable[[Sequence[Submission]], list[Result]]:
    def answer(batch: Sequence[Submission]) -> list[Result]:
        raise error

    return answer


@pytest.fixture
def carrier(settings: Any, monkeypatch: pytest.MonkeyPatch) -> type[ScriptedCarrier]:
    monkeypatch.setattr(pace_meter, "_meters", {})
    settings.CARRIERS = {
        "sandbox": {
            "BACKEND": "tests.telephony.engine.test_dispatch.ScriptedCarrier",
            "CPS": None,
            "CHANNELS": None,
        }
    }
    kind = type(get_carrier("sandbox"))
    assert issubclass(kind, ScriptedCarrier)
    kind.answer, kind.seen = staticmethod(accept), []
    return kind


def statuses() -> list[DeliveryStatus]:
    return [
        DeliveryStatus(status) for status in Delivery.objects.order_by("pk").values_list("status", flat=True)
    ]


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


def next_slot() -> datetime:
    slot = Trunk.objects.get().next_slot_at
    assert slot is not None
    return slot


def test_slots_of_claims_follow_the_trunks_pace(carrier: type[ScriptedCarrier], settings: Any) -> None:
    settings.CARRIERS["sandbox"]["CPS"] = 50
    for _ in range(30):
        make_delivery()
    begun = time.monotonic()
    claim = pacing.claim("sandbox")
    assert len(claim.deliveries) == pytest.approx(pacing.HORIZON * 50, abs=1.01)
    gaps = [later - earlier for earlier, later in zip(claim.slots, claim.slots[1:], strict=False)]
    assert gaps == pytest.approx([0.02] * len(gaps))
    claimed_to = next_slot()
    again = pacing.claim("sandbox")
    assert len(again.deliveries) <= 50 * (time.monotonic() - begun) + 2
    # By the database's clock: the monotonic slots of a claim are inaccurate by the duration of the query.
    moved = next_slot() - claimed_to
    assert moved.total_seconds() == pytest.approx(0.02 * len(again.deliveries), abs=1e-5)


def test_claim_takes_only_as_many_calls_as_channels_are_free(
    carrier: type[ScriptedCarrier], settings: Any
) -> None:
    settings.CARRIERS["sandbox"]["CHANNELS"] = 3
    make_delivery(channel=Channel.CALL, status=S.ANSWERED, claimed_at=timezone.now())
    for _ in range(5):
        make_delivery(channel=Channel.CALL)
    assert len(pacing.claim("sandbox").deliveries) == 2
    assert pacing.claim("sandbox").deliveries == []
    Delivery.objects.filter(status=S.ANSWERED).update(status=S.COMPLETED)
    assert len(pacing.claim("sandbox").deliveries) == 1


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


def moments_of(carrier: type[ScriptedCarrier], monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a list to which the carrier adds the time of each delivery from now on."""
    moments: list[float] = []

    def accept_and_note(batch: Sequence[Submission]) -> list[Result]:
        moments.extend([time.monotonic()] * len(batch))
        return accept(batch)

    monkeypatch.setattr(carrier, "batch_size", 1000)
    carrier.answer = staticmethod(accept_and_note)
    return moments


def fullest_second(moments: Sequence[float]) -> int:
    return max(sum(begin <= moment < begin + 1 for moment in moments) for begin in moments)


def test_missed_slots_are_caught_up_without_exceeding_the_limit(
    carrier: type[ScriptedCarrier], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CARRIERS["sandbox"]["CPS"] = 50
    moments = moments_of(carrier, monkeypatch)
    for _ in range(60):
        make_delivery()
    claim = pacing.claim

    def slow(*arguments: Any, **options: Any) -> pacing.Claim:
        """Claim as slowly as if each commit took longer than the slots of the claimed deliveries."""
        claimed = claim(*arguments, **options)
        time.sleep(0.05)
        return claimed

    monkeypatch.setattr(pacing, "claim", slow)
    dispatch.run("sandbox", budget=5)
    assert statuses() == [S.SUBMITTED] * 60
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {1}, "nothing was given back"
    assert fullest_second(moments) <= 51


def test_no_second_exceeds_the_limit_after_the_process_was_suspended(
    carrier: type[ScriptedCarrier], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CARRIERS["sandbox"]["CPS"] = 50
    moments = moments_of(carrier, monkeypatch)
    for _ in range(90):
        make_delivery()
    claim, claims = pacing.claim, []

    def suspended(*arguments: Any, **options: Any) -> pacing.Claim:
        """Sleep after the fourth claim, as if the process had been suspended."""
        claimed = claim(*arguments, **options)
        claims.append(claimed)
        if len(claims) == 4:
            time.sleep(0.3)
        return claimed

    monkeypatch.setattr(pacing, "claim", suspended)
    dispatch.run("sandbox", budget=5)
    assert statuses() == [S.SUBMITTED] * 90
    assert fullest_second(moments) <= 51


@pytest.mark.parametrize("gap", [0.0, 0.05, 0.2])  # seconds until the next process begins
def test_no_second_exceeds_the_limit_across_a_handover_to_another_process(
    carrier: type[ScriptedCarrier], settings: Any, monkeypatch: pytest.MonkeyPatch, gap: float
) -> None:
    settings.CARRIERS["sandbox"]["CPS"] = 50
    moments = moments_of(carrier, monkeypatch)
    for _ in range(100):
        make_delivery()
    claim = pacing.claim

    def late(*arguments: Any, **options: Any) -> pacing.Claim:
        """Sleep after each claim, so that the last departures are a burst."""
        claimed = claim(*arguments, **options)
        time.sleep(0.2)
        return claimed

    monkeypatch.setattr(pacing, "claim", late)
    assert dispatch.run("sandbox", budget=0.3) is True
    time.sleep(gap)
    monkeypatch.setattr(pacing, "claim", claim)
    dispatch.run("sandbox", budget=5)
    assert statuses() == [S.SUBMITTED] * 100
    assert fullest_second(moments) <= 51


def test_pace_note_of_a_slow_trunk_names_the_reason(
    carrier: type[ScriptedCarrier], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CARRIERS["sandbox"]["CPS"] = 200
    monkeypatch.setattr(pace_meter, "INTERVAL", 0.1)
    monkeypatch.setattr(carrier, "batch_size", 2)
    for _ in range(120):
        make_delivery()

    def slow(batch: Sequence[Submission]) -> list[Result]:
        time.sleep(0.05)
        return accept(batch)

    carrier.answer = staticmethod(slow)
    dispatch.run("sandbox", budget=5)
    trunk = Trunk.objects.get()
    # Which reason is named depends on the machine; test_pace_meter.py tests each of them.
    assert re.fullmatch(
        r"[\d.]+ a second: the (carrier is slow|database is slow|machine is busy), .*", trunk.pace_note
    )
    assert trunk.pace_noted_at is not None


def test_claims_are_limited_to_what_a_slow_carrier_can_accept(
    carrier: type[ScriptedCarrier], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CARRIERS["sandbox"]["CPS"] = 200
    monkeypatch.setattr(carrier, "batch_size", 1)
    for _ in range(8):
        make_delivery()
    claim, counts = pacing.claim, []

    def counting(*arguments: Any, **options: Any) -> pacing.Claim:
        claimed = claim(*arguments, **options)
        counts.append(len(claimed.deliveries))
        return claimed

    def slow(batch: Sequence[Submission]) -> list[Result]:
        time.sleep(0.1)
        return accept(batch)

    monkeypatch.setattr(pacing, "claim", counting)
    carrier.answer = staticmethod(slow)
    dispatch.run("sandbox", budget=5)
    assert statuses() == [S.SUBMITTED] * 8
    assert counts[0] == 1
    assert max(counts) <= int(pacing.HORIZON / 0.1) + 1
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {1}


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


def test_otp_does_not_use_up_its_owners_place_in_the_round(
    carrier: type[ScriptedCarrier], settings: Any
) -> None:
    settings.IRIS_CLAIM_SIZE = 2
    first, second = make_account(), make_account()
    for owner in (first, second, first, second):
        make_delivery(owner=owner)
    make_delivery(owner=second, priority=0)
    assert [one.owner_id for one in pacing.claim("sandbox").deliveries] == [second.pk, first.pk]
    assert [one.owner_id for one in pacing.claim("sandbox").deliveries] == [second.pk, first.pk]
