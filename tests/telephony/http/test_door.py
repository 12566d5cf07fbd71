"""Test the door for callbacks: who is let in, what is stored, and that repetitions change nothing."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import OperationalError, connection
from django.test import Client

from accounts.models import Account
from telephony.carriers import get_carrier
from telephony.carriers.base import Accepted
from telephony.carriers.twilio.callbacks import Addresses, signature
from telephony.engine import callback_sets, delivery_reports
from telephony.models import (
    Cause,
    Channel,
    Delivery,
    DeliveryStatus,
    InboundMessage,
    OptOut,
    Trunk,
    UnmatchedReport,
)
from tests.factories import make_account, make_delivery, make_hold, make_trunk
from tests.scale import at_scale
from tests.telephony.http.far_end import OPTIONS
from tests.telephony.http.server import TOKEN

NEXT_TOKEN = "the-next-token-of-the-account"
SECRET = "n3vZ8tQk0yRb5LmX-secret"
PUBLIC = "https://iris.example.com"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _carriers(settings: Any) -> None:
    settings.IRIS_PUBLIC_URL = PUBLIC
    settings.CARRIERS = {
        "twilio": {
            "BACKEND": "telephony.carriers.twilio.TwilioCarrier",
            "OPTIONS": {**OPTIONS["twilio"], "signature_keys": [NEXT_TOKEN]},
        },
        "sparrow": {
            "BACKEND": "telephony.carriers.sparrow.SparrowCarrier",
            "OPTIONS": {
                **OPTIONS["sparrow"],
                "callback_secret": SECRET,
                "callback_addresses": ["203.0.113.0/24"],
                "reply": "Thank you.",
            },
        },
        "sandbox": {"BACKEND": "telephony.carriers.sandbox.SandboxCarrier"},
    }


@pytest.fixture
def twilio() -> Trunk:
    return make_trunk("twilio")


def address_of(delivery: Delivery, **fields: str) -> str:
    """Return path and query of the status callback of a delivery."""
    return Addresses("twilio").of("status", str(delivery.pk), **fields).removeprefix(PUBLIC)


def post(path: str, fields: Any, *, key: str = TOKEN, signed: str | None = None) -> Any:
    """Send a request to the door, signed as Twilio does."""
    pairs = list(fields.items()) if isinstance(fields, dict) else list(fields)
    given = signature(key, PUBLIC + path, pairs) if signed is None else signed
    return Client().post(
        path,
        urlencode(pairs),
        content_type="application/x-www-form-urlencoded",
        headers={"X-Twilio-Signature": given},
    )


def get_sms(
    path: str = f"/carriers/sparrow/inbox/{SECRET}", *, sender: str = "203.0.113.9", **query: str
) -> Any:
    fields = {"from": "9841000001", "to": "31001", "keyword": "IRIS", "text": "Namaste", **query}
    return Client(REMOTE_ADDR=sender).get(path, fields)


def message(status: str, sid: str = "SM1", **fields: str) -> dict[str, str]:
    return {"MessageSid": sid, "MessageStatus": status, **fields}


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


# Who is let in ----------------------------------------------------------------------------------------------


def test_every_configured_key_may_have_signed(twilio: Trunk) -> None:
    sms = make_delivery(trunk=twilio, status=DeliveryStatus.SUBMITTED)
    assert post(address_of(sms), message("sent"), key=NEXT_TOKEN).status_code == 200
    assert post(address_of(sms), message("sent"), key=TOKEN).status_code == 200
    assert post(address_of(sms), message("sent"), key="an-old-token-of-the-account").status_code == 403


@pytest.mark.parametrize("signed", ["", "AAAA", "ü", "=" * 5000])
def test_wrong_signature_gets_403_without_detail_and_changes_nothing(twilio: Trunk, signed: str) -> None:
    sms = make_delivery(trunk=twilio, status=DeliveryStatus.SUBMITTED)
    response = post(address_of(sms), message("delivered"), signed=signed.encode().decode("latin-1"))
    assert (response.status_code, response.content) == (403, b"")
    sms.refresh_from_db()
    assert sms.status == DeliveryStatus.SUBMITTED


def test_changed_parameter_or_address_breaks_the_signature(twilio: Trunk) -> None:
    sms = make_delivery(trunk=twilio, status=DeliveryStatus.SUBMITTED)
    path = address_of(sms)
    signed = signature(TOKEN, PUBLIC + path, message("sent").items())
    assert post(path, message("sent"), signed=signed).status_code == 200
    assert post(path, message("delivered"), signed=signed).status_code == 403
    assert post(path, message("sent", More="1"), signed=signed).status_code == 403
    assert post(f"{path}&s=1", message("sent"), signed=signed).status_code == 403
    # The signature covers the public address, not that of the proxy.
    proxied = signature(TOKEN, "http://testserver" + path, message("sent").items())
    assert post(path, message("sent"), signed=proxied).status_code == 403


def test_repeated_and_empty_parameters_are_part_of_the_signature(twilio: Trunk) -> None:
    pairs = [
        ("MessageStatus", "sent"),
        ("MessageSid", "SM1"),
        ("Tag", "b"),
        ("Tag", "a"),
        ("Empty", ""),
        ("N", "ने"),
    ]
    assert post("/carriers/twilio/status", pairs).status_code == 200


def test_unsigned_get_is_refused_and_a_signed_one_accepted(twilio: Trunk) -> None:
    path = "/carriers/twilio/status?MessageSid=SM1&MessageStatus=sent"
    assert Client().get(path).status_code == 403
    signed = signature(TOKEN, PUBLIC + path, [])
    assert Client().get(path, headers={"X-Twilio-Signature": signed}).status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/carriers/nobody/status", 404),
        ("/carriers/sandbox/status", 404),
        ("/carriers/twilio/other", 404),
        ("/carriers/twilio/", 404),
        (f"/carriers/sparrow/status/{SECRET}", 404),
        ("/carriers/twilio/status/secret", 403),
        ("/carriers/sparrow/inbox", 403),
        ("/carriers/sparrow/inbox/wrong-secret-of-this-length", 403),
    ],
)
def test_other_addresses_have_nothing(path: str, status: int) -> None:
    response = Client(REMOTE_ADDR="203.0.113.9").post(path)
    assert response.status_code == status


def test_other_methods_are_not_allowed() -> None:
    response = Client().delete("/carriers/twilio/status")
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, POST"


def test_large_bodies_and_queries_and_many_fields_are_refused(twilio: Trunk) -> None:
    assert post("/carriers/twilio/status", message("sent", More="x" * 70_000)).status_code == 413
    assert Client().get(f"/carriers/twilio/status?{'x' * 9000}").status_code == 414
    many = [*message("sent").items(), *((f"f{place}", "") for place in range(500))]
    assert post("/carriers/twilio/status", many).status_code == 403


@pytest.mark.parametrize(
    "body", [b"\xff\xfe", b"%ff%00=%ff", b"{}", b"=", b"&&&", b"MessageSid=SM1;MessageStatus=sent"]
)
def test_bodies_that_are_no_form_never_cause_a_server_error(body: bytes) -> None:
    for content_type in (
        "application/x-www-form-urlencoded",
        "application/json",
        "multipart/form-data; boundary=x",
    ):
        response = Client().post("/carriers/twilio/status", body, content_type=content_type)
        assert response.status_code == 403


def test_database_that_is_away_gets_503_so_that_the_carrier_repeats(
    twilio: Trunk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(delivery_reports, "apply_events", fail)
    response = post("/carriers/twilio/status", message("sent"))
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")


# Incoming SMS -----------------------------------------------------------------------------------------------


def answered(trunk: str, owner: Account) -> None:
    """Let this account have sent an SMS to the sender of the incoming ones."""
    make_delivery(trunk=make_trunk(trunk), owner=owner, to="+9779841000001", status=DeliveryStatus.COMPLETED)


def test_sparrow_sms_is_stored_with_a_short_reply_and_repeats_change_nothing() -> None:
    owner = make_account()
    answered("sparrow", owner)
    for _ in range(3):
        response = get_sms()
        assert (response.status_code, response.content) == (200, b"Thank you.")
    get_sms(text="Something else")
    stored = InboundMessage.objects.order_by("id").values_list("sender", "to", "text", "owner")
    assert list(stored) == [
        ("+9779841000001", "31001", "Namaste", owner.pk),
        ("+9779841000001", "31001", "Something else", owner.pk),
    ]


def test_sparrow_stop_opts_out_and_a_repeated_stop_does_not_undo_a_start() -> None:
    owner = make_account()
    answered("sparrow", owner)
    get_sms(text="STOP")
    assert OptOut.objects.get().number == "+9779841000001"
    get_sms(text="START")
    assert not OptOut.objects.exists()
    get_sms(text="STOP")
    assert not OptOut.objects.exists()


def test_the_same_sms_is_new_after_ten_minutes() -> None:
    get_sms()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE telephony_inboundmessage SET received_at = received_at - interval '11 min', ref = ref || '-old'"
        )
    get_sms()
    assert InboundMessage.objects.count() == 2


@pytest.mark.parametrize("sender", ["198.51.100.1", "::1", "", "203.0.114.1"])
def test_sparrow_sms_from_another_network_is_refused(sender: str) -> None:
    assert get_sms(sender=sender).status_code == 403
    assert not InboundMessage.objects.exists()


def test_address_behind_a_trusted_proxy_is_the_one_that_the_proxy_reports(settings: Any) -> None:
    path, query = f"/carriers/sparrow/inbox/{SECRET}", {"from": "9841000001", "text": "Hi"}
    client = Client(REMOTE_ADDR="10.0.0.1")
    forwarded = {"X-Forwarded-For": "203.0.113.7"}
    assert client.get(path, query, headers=forwarded).status_code == 403
    settings.IRIS_TRUST_PROXY = True
    assert client.get(path, query, headers=forwarded).status_code == 200
    spoofed = {"X-Forwarded-For": "203.0.113.7, 198.51.100.1"}
    assert client.get(path, query, headers=spoofed).status_code == 403


def test_sparrow_sms_without_a_sender_is_refused() -> None:
    assert get_sms(**{"from": " "}).status_code == 400


def test_sparrow_sms_with_unstorable_characters_is_stored() -> None:
    assert (
        get_sms(text="a\x00b\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace")).status_code
        == 200
    )
    assert InboundMessage.objects.count() == 1


def test_twilio_sms_with_the_same_id_is_stored_once_and_equal_texts_twice(twilio: Trunk) -> None:
    answered("twilio", make_account())
    for sid in ("SM1", "SM2", "SM1"):
        fields = {"MessageSid": sid, "From": "+9779841000001", "To": "+15005550006", "Body": "1"}
        response = post("/carriers/twilio/sms", fields)
        assert response.status_code == 200
        assert response.content.endswith(b"<Response/>")
    assert list(InboundMessage.objects.order_by("id").values_list("ref", flat=True)) == ["SM1", "SM2"]


def test_unusable_options_close_the_door_but_break_nothing(settings: Any) -> None:
    settings.CARRIERS = {"twilio": {"BACKEND": "telephony.carriers.twilio.TwilioCarrier", "OPTIONS": {}}}
    assert post("/carriers/twilio/status", message("sent")).status_code == 404


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
    begun = time.process_time()
    assert {post(path, fields).status_code for path, fields in callbacks} == {200}
    assert time.process_time() - begun < 0.02 * len(callbacks)
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
