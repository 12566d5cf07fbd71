"""Test callbacks about calls and SMS: which status they set, and that repetitions change nothing."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from telephony.carriers import get_carrier
from telephony.carriers.base import Accepted
from telephony.carriers.twilio.callbacks import Addresses
from telephony.engine import callback_sets, delivery_reports
from telephony.models import Cause, Channel, Delivery, DeliveryStatus, Trunk, UnmatchedReport
from tests.cpu import cpu_at_most
from tests.factories import make_account, make_delivery, make_hold
from tests.scale import at_scale
from tests.telephony.http.door.callbacks import address_of, message, post

pytestmark = pytest.mark.django_db


# Twilio's statuses ------------------------------------------------------------------------------------------


def test_signed_status_completes_the_sms(twilio: Trunk) -> None:
    sms = make_delivery(trunk=twilio, status=DeliveryStatus.SUBMITTED, ref="SM1")
    response = post(address_of(sms), message("delivered"))
    assert (response.status_code, response.content) == (200, b"")
    sms.refresh_from_db()
    assert sms.status == DeliveryStatus.COMPLETED
    assert sms.delivered_at is not None


def test_status_resolves_an_sms_whose_response_was_lost(twilio: Trunk) -> None:
    sms = make_delivery(trunk=twilio, status=DeliveryStatus.UNKNOWN)
    assert post(address_of(sms), message("sent")).status_code == 200
    sms.refresh_from_db()
    assert sms.status == DeliveryStatus.SUBMITTED


def test_undelivered_sms_fails_with_the_cause_of_its_code(twilio: Trunk) -> None:
    sms = make_delivery(trunk=twilio, status=DeliveryStatus.SUBMITTED, ref="SM1")
    post(address_of(sms), message("undelivered", ErrorCode="30005"))
    sms.refresh_from_db()
    assert (sms.status, sms.cause, sms.carrier_text) == (
        DeliveryStatus.FAILED,
        Cause.INVALID,
        "undelivered 30005",
    )


@pytest.mark.parametrize(
    ("fields", "status", "cause", "playback"),
    [
        ({"CallStatus": "ringing"}, DeliveryStatus.RINGING, "", None),
        ({"CallStatus": "busy"}, DeliveryStatus.UNANSWERED, Cause.BUSY, None),
        ({"CallStatus": "no-answer"}, DeliveryStatus.UNANSWERED, Cause.NO_ANSWER, None),
        ({"CallStatus": "failed", "SipResponseCode": "404"}, DeliveryStatus.FAILED, Cause.INVALID, None),
        ({"CallStatus": "failed", "SipResponseCode": "503"}, DeliveryStatus.FAILED, Cause.REFUSED, None),
        ({"CallStatus": "canceled"}, DeliveryStatus.FAILED, Cause.REFUSED, None),
        ({"CallStatus": "completed", "CallDuration": "20"}, DeliveryStatus.COMPLETED, "", 100),
        ({"CallStatus": "completed", "CallDuration": "19"}, DeliveryStatus.COMPLETED, "", 100),
        ({"CallStatus": "completed", "CallDuration": "5"}, DeliveryStatus.HUNGUP, Cause.CUT_OFF, 25),
        ({"CallStatus": "completed", "CallDuration": "0"}, DeliveryStatus.HUNGUP, Cause.CUT_OFF, 0),
        ({"CallStatus": "completed", "CallDuration": "NaN"}, DeliveryStatus.HUNGUP, Cause.CUT_OFF, 0),
        ({"CallStatus": "completed", "Timestamp": "never"}, DeliveryStatus.HUNGUP, Cause.CUT_OFF, 0),
    ],
)
def test_call_status_decides_status_and_playback(
    twilio: Trunk, fields: dict[str, str], status: DeliveryStatus, cause: str, playback: int | None
) -> None:
    call = make_delivery(trunk=twilio, channel=Channel.CALL, status=DeliveryStatus.SUBMITTED)
    assert post(address_of(call, s="20.00"), {"CallSid": "CA1", **fields}).status_code == 200
    call.refresh_from_db()
    assert (call.status, call.cause, call.playback) == (status, cause, playback)


def test_every_documented_status_of_a_message_is_known(twilio: Trunk) -> None:
    sms = make_delivery(trunk=twilio, status=DeliveryStatus.SUBMITTED)
    for status in (
        "accepted",
        "scheduled",
        "queued",
        "sending",
        "sent",
        "delivered",
        "undelivered",
        "failed",
        "canceled",
    ):
        assert post(address_of(sms), message(status)).status_code == 200


def test_status_of_an_unknown_id_is_parked_and_applied_once_the_id_is_known(twilio: Trunk) -> None:
    path = "/carriers/twilio/status"
    for _ in range(2):
        assert post(path, message("delivered", "SM77")).status_code == 200
    assert UnmatchedReport.objects.count() == 1
    sms = make_delivery(trunk=twilio, status=DeliveryStatus.SUBMITTING, attempts=1)
    delivery_reports.apply_results(get_carrier("twilio"), [Accepted(key=str(sms.pk), ref="SM77")])
    sms.refresh_from_db()
    assert sms.status == DeliveryStatus.COMPLETED
    assert not UnmatchedReport.objects.exists()


def test_address_with_a_forged_delivery_only_counts_by_its_id(twilio: Trunk) -> None:
    sms = make_delivery(trunk=twilio, status=DeliveryStatus.SUBMITTED, ref="SM1")
    for forged in (f"d={sms.pk}", f"d={sms.pk}.AAAA", f"d={Addresses('other')._signer.sign(str(sms.pk))}"):
        assert post(f"/carriers/twilio/status?{forged}", message("delivered", "SM2")).status_code == 200
    sms.refresh_from_db()
    assert sms.status == DeliveryStatus.SUBMITTED


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"MessageSid": "SM1"},
        message("new word"),
        {"CallSid": "CA1"},
        {"CallSid": "CA1", "CallStatus": "x"},
    ],
)
def test_signed_status_that_cannot_be_read_is_refused_without_detail(
    twilio: Trunk, fields: dict[str, str]
) -> None:
    response = post("/carriers/twilio/status", fields)
    assert (response.status_code, response.content) == (400, b"")


# Many callbacks ---------------------------------------------------------------------------------------------


@pytest.mark.field
def test_many_callbacks_doubled_and_shuffled_end_each_sms_once(twilio: Trunk) -> None:
    count = at_scale(40, 3334)  # with three statuses each, doubled: 20,000 callbacks
    owner = make_account(credits=count)
    hold = make_hold(account=owner, amount=count)
    many = [
        make_delivery(trunk=twilio, owner=owner, hold=hold, status=DeliveryStatus.SUBMITTED, ref=f"SM{place}")
        for place in range(count)
    ]
    callbacks = [
        (address_of(sms), message(status, sms.ref))
        for sms in many
        for status in ("queued", "sent", "delivered" if sms.pk % 3 else "undelivered")
        for _ in range(2)
    ]
    random.Random(7).shuffle(callbacks)
    with cpu_at_most(0.02 * len(callbacks)):
        assert {post(path, fields).status_code for path, fields in callbacks} == {200}
    expected = {sms.pk: DeliveryStatus.COMPLETED if sms.pk % 3 else DeliveryStatus.FAILED for sms in many}
    assert dict(Delivery.objects.values_list("pk", "status")) == expected
    hold.refresh_from_db()
    assert hold.captured == sum(status == DeliveryStatus.COMPLETED for status in expected.values())
    assert not UnmatchedReport.objects.exists()


def test_callbacks_that_arrive_at_the_same_time_share_a_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    sets: list[int] = []
    first_stores, others_wait = threading.Event(), threading.Event()

    def apply(alias: str, items: Sequence[Any]) -> int:
        sets.append(len(items))
        first_stores.set()
        assert others_wait.wait(30)
        return 0

    monkeypatch.setattr(delivery_reports, "apply_events", apply)
    threads = [threading.Thread(target=callback_sets.store, args=("t", [place])) for place in range(20)]
    threads[0].start()
    assert first_stores.wait(30)
    for thread in threads[1:]:
        thread.start()
    while len(callback_sets._lines["t"].entries) < 19:
        time.sleep(0.01)
    others_wait.set()
    for thread in threads:
        thread.join(30)
    assert sets == [1, 19]
