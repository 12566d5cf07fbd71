"""Test incoming SMS over HTTP: they are stored once, and STOP opts out."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client

from accounts.models import Account
from telephony.models import DeliveryStatus, InboundMessage, OptOut, Trunk
from tests.factories import make_account, make_delivery, make_trunk
from tests.telephony.http.door.callbacks import SECRET, get_sms, message, post

pytestmark = pytest.mark.django_db


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
