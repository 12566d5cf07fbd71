"""Test the door for callbacks: who is let in, and what is refused without detail."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from telephony.carriers.twilio.callbacks import signature
from telephony.engine import delivery_reports
from telephony.models import DeliveryStatus, Trunk
from tests.factories import make_delivery
from tests.telephony.http.door.callbacks import NEXT_TOKEN, PUBLIC, SECRET, address_of, message, post
from tests.telephony.http.faults import TOKEN

pytestmark = pytest.mark.django_db


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
