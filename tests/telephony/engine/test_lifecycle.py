"""Statuses of deliveries only rise, for any reports in any order."""

from __future__ import annotations

import itertools
import random
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import CreditEntry
from telephony.carriers.base import Accepted, Later, Rejected, Unknown
from telephony.engine import lifecycle
from telephony.engine.lifecycle import Report
from telephony.models import Cause, Channel, Delivery, DeliveryStatus, Purpose
from telephony.pricing import call_credits
from tests.factories import make_account, make_audio, make_delivery, make_hold, make_trunk
from tests.scale import at_scale

pytestmark = pytest.mark.django_db

S = DeliveryStatus


def submitted(**fields: object) -> Delivery:
    owner = make_account(credits=100)
    hold = make_hold(account=owner, amount=10)
    return make_delivery(owner=owner, hold=hold, credit_limit=Decimal(2), status=S.SUBMITTED, **fields)


def report(delivery: Delivery, status: DeliveryStatus, **fields: object) -> Report:
    return Report(id=delivery.pk, status=status, at=timezone.now(), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("order", list(itertools.permutations([S.RINGING, S.ANSWERED, S.COMPLETED])))
def test_shuffled_and_doubled_reports_end_in_one_status_and_one_capture(
    order: tuple[DeliveryStatus, ...],
) -> None:
    delivery = submitted(channel=Channel.CALL)
    for status in order * 2:
        lifecycle.apply_reports([report(delivery, status, seconds=30.0, playback=100)])
    delivery.refresh_from_db()
    assert delivery.status == S.COMPLETED
    assert delivery.credits == Decimal(2)
    assert CreditEntry.objects.filter(kind="capture").count() == 1
    assert delivery.hold is not None
    delivery.hold.refresh_from_db()
    assert delivery.hold.captured == Decimal(2)


def test_highest_status_counts_among_reports_in_one_set() -> None:
    delivery = submitted(channel=Channel.CALL)
    lifecycle.apply_reports(
        [report(delivery, status, seconds=3.0) for status in (S.COMPLETED, S.RINGING, S.ANSWERED)]
    )
    delivery.refresh_from_db()
    assert delivery.status == S.COMPLETED


def test_first_of_two_reported_final_statuses_counts() -> None:
    delivery = submitted(channel=Channel.CALL)
    lifecycle.apply_reports(
        [report(delivery, S.UNANSWERED, cause="busy"), report(delivery, S.COMPLETED, seconds=3.0)]
    )
    lifecycle.apply_reports([report(delivery, S.COMPLETED, seconds=3.0)])
    delivery.refresh_from_db()
    assert (delivery.status, delivery.cause, delivery.credits) == (S.UNANSWERED, "busy", 0)


def test_call_costs_its_pulses_up_to_its_credit_limit(settings: Any) -> None:
    settings.IRIS_CALL_CREDITS, settings.IRIS_CALL_PULSE_SECONDS = Decimal("0.75"), 60
    short, long = submitted(channel=Channel.CALL), submitted(channel=Channel.CALL)
    lifecycle.apply_reports([report(short, S.HUNGUP, seconds=61.0), report(long, S.COMPLETED, seconds=600.0)])
    short.refresh_from_db()
    long.refresh_from_db()
    assert (short.credits, long.credits) == (Decimal("1.50"), Decimal("2.00"))


@pytest.mark.field
@pytest.mark.parametrize(("rate", "pulse"), [("2", 60), ("0.335", 60), ("0.125", 1), ("1.005", 30)])
def test_call_of_any_length_captures_its_price(settings: Any, rate: str, pulse: int) -> None:
    settings.IRIS_CALL_CREDITS, settings.IRIS_CALL_PULSE_SECONDS = Decimal(rate), pulse
    chance = random.Random(rate)
    lengths = [0.0, 0.0004, 0.0005, pulse + 0.000499, pulse * 1e6]
    for pulses in (1, 2, 7, 1000):
        lengths += [
            pulses * pulse + more for more in (-0.001, -0.0005, -0.0004, 0, 0.0004, 0.0005, 0.0006, 0.001)
        ]
    lengths += [round(chance.uniform(0, 1000 * pulse), 4) for _ in range(at_scale(50, 200))]
    same = {"owner": make_account(), "trunk": make_trunk(), "audio": make_audio(), "channel": Channel.CALL}
    calls = [
        make_delivery(**same, status=S.SUBMITTED, item=item, credit_limit=Decimal(10**7))
        for item in range(len(lengths))
    ]
    lifecycle.apply_reports(
        [report(call, S.COMPLETED, seconds=seconds) for call, seconds in zip(calls, lengths, strict=True)]
    )
    captured = dict(Delivery.objects.values_list("seconds", "credits"))
    assert captured == {seconds: call_credits(seconds) for seconds in lengths}


@pytest.mark.parametrize("seconds", [None, -1.0, 1e9, 1e300, float("inf"), float("-inf"), float("nan")])
def test_call_with_an_impossible_length_completes_and_costs_one_pulse(
    settings: Any, seconds: float | None
) -> None:
    settings.IRIS_CALL_CREDITS, settings.IRIS_CALL_PULSE_SECONDS = Decimal(2), 60
    call = make_delivery(channel=Channel.CALL, status=S.SUBMITTED, credit_limit=Decimal(6))
    lifecycle.apply_reports([report(call, S.COMPLETED, seconds=seconds)])
    call.refresh_from_db()
    assert (call.status, call.credits, call.seconds) == (S.COMPLETED, 2, None)


def test_whole_fractional_and_missing_seconds_are_stored_in_one_set() -> None:
    calls = [submitted(channel=Channel.CALL) for _ in range(3)]
    seconds = [3, 2.5, None]
    lifecycle.apply_reports(
        [report(call, S.HUNGUP, seconds=one) for call, one in zip(calls, seconds, strict=True)]
    )
    assert list(Delivery.objects.order_by("pk").values_list("seconds", flat=True)) == [3.0, 2.5, None]


@pytest.mark.parametrize("status", [S.UNANSWERED, S.FAILED])
def test_unanswered_and_failed_deliveries_cost_nothing(status: DeliveryStatus) -> None:
    delivery = submitted(channel=Channel.CALL)
    lifecycle.apply_reports([report(delivery, status)])
    delivery.refresh_from_db()
    assert delivery.credits == 0


def test_report_before_the_submit_response_stands() -> None:
    delivery = make_delivery(status=S.SUBMITTING)
    lifecycle.apply_reports([report(delivery, S.COMPLETED)])
    lifecycle.apply_results([Accepted(key=str(delivery.pk), ref="abc")], report_timeout=60)
    delivery.refresh_from_db()
    assert (delivery.status, delivery.ref, delivery.expires_at) == (S.COMPLETED, "abc", None)


def test_each_kind_of_result_sets_its_status() -> None:
    accepted, rejected, later, unknown = (make_delivery(status=S.SUBMITTING) for _ in range(4))
    lifecycle.apply_results(
        [
            Accepted(key=str(accepted.pk), ref="r1"),
            Rejected(key=str(rejected.pk), cause=Cause.INVALID, text="no such\0 number"),
            Later(key=str(later.pk), seconds=60, text="slow down"),
            Unknown(key=str(unknown.pk), text="timeout"),
        ],
        report_timeout=60,
    )
    for delivery in (accepted, rejected, later, unknown):
        delivery.refresh_from_db()
    assert (accepted.status, accepted.ref) == (S.SUBMITTED, "r1")
    assert (rejected.status, rejected.cause, rejected.carrier_text) == (S.FAILED, "invalid", "no such number")
    assert later.status == S.QUEUED
    assert later.not_before > timezone.now() + timedelta(seconds=50)
    assert unknown.status == S.UNKNOWN


def test_delivery_stopped_during_submission_is_not_queued_again() -> None:
    delivery = make_delivery(status=S.SUBMITTING, batch=7)
    lifecycle.terminate(purpose=Purpose.CAMPAIGN, batch=7)
    lifecycle.apply_results([Later(key=str(delivery.pk), seconds=0)], report_timeout=60)
    delivery.refresh_from_db()
    assert (delivery.status, delivery.cause) == (S.TERMINATED, "stopped")


def test_delivery_paused_during_submission_waits_for_resume() -> None:
    delivery = make_delivery(status=S.SUBMITTING, batch=7)
    lifecycle.pause(purpose=Purpose.CAMPAIGN, batch=7)
    lifecycle.apply_results([Later(key=str(delivery.pk), seconds=0)], report_timeout=60)
    assert claim_all(delivery.trunk_id) == []
    lifecycle.resume(purpose=Purpose.CAMPAIGN, batch=7)
    assert claim_all(delivery.trunk_id) == [delivery.pk]


def test_expired_lease_makes_a_delivery_unknown_and_unclaimable() -> None:
    delivery = make_delivery(status=S.SUBMITTING, expires_at=timezone.now() - timedelta(seconds=1))
    assert lifecycle.expire_leases() == 1
    delivery.refresh_from_db()
    assert delivery.status == S.UNKNOWN
    assert claim_all(delivery.trunk_id) == []


def test_delivery_without_a_report_ends_as_lost_and_costs_nothing() -> None:
    delivery = submitted(expires_at=timezone.now() - timedelta(seconds=1))
    assert lifecycle.lose_unreported() == 1
    delivery.refresh_from_db()
    assert (delivery.status, delivery.cause, delivery.credits) == (S.FAILED, "lost", 0)


def test_outdated_otp_expires_unsent() -> None:
    delivery = make_delivery(status=S.QUEUED, useful_until=timezone.now() - timedelta(seconds=1))
    lifecycle.lose_unreported()
    delivery.refresh_from_db()
    assert (delivery.status, delivery.cause) == (S.FAILED, "expired")


def claim_all(
    trunk_id: int, limit: int = 100, call_limit: int | None = None, last_owner: int = 0
) -> list[int]:
    claimed = lifecycle.claim(trunk_id=trunk_id, limit=limit, call_limit=call_limit, last_owner=last_owner)
    return [delivery.id for delivery in claimed]


def test_claim_takes_otps_first_and_then_alternates_between_owners() -> None:
    big, small = make_account(), make_account()
    bigs = [make_delivery(owner=big).pk for _ in range(5)]
    smalls = [make_delivery(owner=small).pk for _ in range(2)]
    otp = make_delivery(owner=big, priority=0)
    assert claim_all(otp.trunk_id, limit=5) == [otp.pk, bigs[0], smalls[0], bigs[1], smalls[1]]
    assert claim_all(otp.trunk_id) == bigs[2:]


def test_claim_of_one_delivery_goes_to_the_next_owner_of_the_round() -> None:
    first, second = make_account(), make_account()
    deliveries = {owner.pk: [make_delivery(owner=owner) for _ in range(3)] for owner in (first, second)}
    trunk = deliveries[first.pk][0].trunk_id
    assert claim_all(trunk, limit=1, last_owner=first.pk) == [deliveries[second.pk][0].pk]
    assert claim_all(trunk, limit=1, last_owner=second.pk) == [deliveries[first.pk][0].pk]


def test_busy_channels_delay_calls_but_not_sms() -> None:
    calls = [make_delivery(channel=Channel.CALL) for _ in range(3)]
    sms = make_delivery(channel=Channel.SMS, owner=calls[0].owner)
    assert sorted(claim_all(sms.trunk_id, call_limit=1)) == [calls[0].pk, sms.pk]


def test_delayed_delivery_is_not_claimed_before_its_time() -> None:
    delivery = make_delivery(not_before=timezone.now() + timedelta(seconds=30))
    assert claim_all(delivery.trunk_id) == []
