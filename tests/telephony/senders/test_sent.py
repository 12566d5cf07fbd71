"""The far end of each kind of carrier sees the approved sender: an SMSC over SMPP, and carriers over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from campaigns import runs
from telephony.carriers import get_carrier
from telephony.carriers.http import ApiRequest
from telephony.engine import trunk_worker
from telephony.models import Delivery, DeliveryStatus
from tests.engine import run_to_the_end
from tests.factories import make_account, make_campaign, make_phone_number
from tests.telephony.http.creating import create, submission
from tests.telephony.http.far_end import OPTIONS
from tests.telephony.http.processes import far_end
from tests.telephony.senders.making import NCELL, NTC, SMART, make_sender
from tests.telephony.smpp.processes import smsc

SENDERS = {NTC: ("ntc", "31001"), NCELL: ("ncell", "ACME"), SMART: ("smart", "+9779841000099")}
# Type and plan of each sender's address: short code, name, number with its country code.
ADDRESSES = {NTC: [3, 0], NCELL: [5, 0], SMART: [1, 1]}


def connect(settings: Any, backend: str, options: dict[str, Any], *, needs: bool = True) -> None:
    settings.CARRIERS = {
        "line": {"BACKEND": backend, "OPTIONS": options, "CPS": None, "CHANNELS": None, "NEEDS_SENDER": needs}
    }
    settings.ROUTES = {"call": [], "sms": ["line"]}
    get_carrier.cache_clear()


def begin_with_senders() -> None:
    account = make_account(credits=100)
    make_phone_number(number="9841000055", owner=account)
    for operator, address in SENDERS.values():
        make_sender(address, owner=account, operator=operator)
    runs.begin(campaign=make_campaign(owner=account, numbers=list(SENDERS), message="Namaste"))


@pytest.mark.django_db(transaction=True)
def test_sms_to_each_operator_arrives_at_an_smsc_with_its_sender(settings: Any, tmp_path: Path) -> None:
    with smsc(tmp_path) as far:
        options = {
            "host": "127.0.0.1",
            "port": far.port,
            "system_id": "iris",
            "password": "secret",
            "source": "TRUNK",
        }
        connect(settings, "telephony.carriers.smpp.SmppCarrier", options)
        begin_with_senders()
        try:
            trunk_worker.open_carrier("line")
            run_to_the_end()
        finally:
            trunk_worker.close_all()
            get_carrier.cache_clear()
        arrived = {f"+{entry['to']}": entry for entry in far.entries}
    assert {to: entry["from"] for to, entry in arrived.items()} == {
        to: address.removeprefix("+") for to, (_, address) in SENDERS.items()
    }
    assert {to: entry["addresses"][:2] for to, entry in arrived.items()} == ADDRESSES
    assert set(Delivery.objects.values_list("status", flat=True)) == {DeliveryStatus.COMPLETED}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("with_senders", [True, False])
def test_sms_to_each_operator_arrives_at_an_http_carrier_with_its_sender(
    settings: Any, tmp_path: Path, with_senders: bool
) -> None:
    with far_end(tmp_path) as far:
        options = {**OPTIONS["sparrow"], "base_url": far.url}
        connect(settings, "telephony.carriers.sparrow.SparrowCarrier", options, needs=with_senders)
        if with_senders:
            begin_with_senders()
        else:
            account = make_account(credits=100)
            runs.begin(campaign=make_campaign(owner=account, numbers=list(SENDERS), message="Namaste"))
        try:
            run_to_the_end()
        finally:
            get_carrier("line").close()  # type: ignore[attr-defined]
        shown = {entry["to"]: entry["sender"] for entry in far.entries("taken")}
    expected = {to: address for to, (_, address) in SENDERS.items()}
    assert shown == (expected if with_senders else dict.fromkeys(SENDERS, "InfoSMS"))


def test_twilio_sends_an_approved_sender_instead_of_its_messaging_service() -> None:
    carrier = create("twilio", messaging_service_sid="MG" + "0" * 32)
    form: dict[str, Any] = {}
    for sender in ("ACME", ""):
        request = carrier.request_of(submission(sender=sender))
        assert isinstance(request, ApiRequest)
        assert isinstance(request.form, dict)
        form[sender] = request.form
    assert form["ACME"]["From"] == "ACME"
    assert "MessagingServiceSid" not in form["ACME"]
    assert "From" not in form[""]
    assert form[""]["MessagingServiceSid"]
