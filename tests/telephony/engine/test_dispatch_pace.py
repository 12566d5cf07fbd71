"""Dispatching keeps to the pace of a trunk and to its free channels."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from django.utils import timezone

from telephony.carriers.base import Result, Submission
from telephony.engine import dispatch, pace_meter, pacing
from telephony.models import Channel, Delivery, DeliveryStatus, Trunk
from tests.factories import make_account, make_delivery
from tests.telephony.engine.scripted_carrier import ScriptedCarrier, accept, statuses

pytestmark = pytest.mark.django_db(transaction=True)  # a separate thread claims for a paced trunk

S = DeliveryStatus


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
