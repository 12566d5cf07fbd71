"""Operators learn which numbers and senders no trunk can show, and deliveries come from numbers their trunk can show."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import call_command

from accounts.models import Account
from telephony import caller_id
from telephony.engine.enqueue import DeliveryRequest, enqueue
from telephony.inventory import consistency, states
from telephony.models import Channel, Delivery, PhoneNumber, Purpose
from tests.factories import make_account
from tests.telephony.senders.making import SANDBOX, make_sender, use_trunks

pytestmark = pytest.mark.django_db


def number(text: str, *, owner: Account | None = None, **fields: Any) -> PhoneNumber:
    return PhoneNumber.objects.create(number=text, sid=text.rjust(32, "0"), rate=1, owner=owner, **fields)


def queue(account: Account, channel: Channel, caller: str, *, batch: int = 1) -> str:
    request = DeliveryRequest(
        owner_id=account.pk, channel=channel, to="+9779841000001", purpose=Purpose.CAMPAIGN, batch=batch, item=1,
        priority=10, text="Namaste", caller=caller,
    )  # fmt: skip
    (pk,) = enqueue(requests=[request])
    return Delivery.objects.get(pk=pk).caller


def test_delivery_comes_from_a_number_that_its_trunk_and_its_channel_can_show(settings: Any) -> None:
    use_trunks(settings, line=False)
    account = make_account()
    number("9841000001", owner=account, trunks=["elsewhere"])
    number("9841000002", owner=account, trunks=["line"], capabilities="SMS")
    number("9841000003", owner=account, capabilities="voice")
    number("9841000004", owner=account, capabilities="whatever the operator wrote")
    shown = {
        (caller, channel): queue(account, channel, caller, batch=int(caller[-2:]))
        for caller in ("9841000001", "9841000002", "9841000003", "9841000004")
        for channel in Channel
    }
    call, sms = Channel.CALL, Channel.SMS
    assert shown == {
        ("9841000001", call): "9841000003", ("9841000001", sms): "9841000002",
        ("9841000002", call): "9841000003", ("9841000002", sms): "9841000002",
        ("9841000003", call): "9841000003", ("9841000003", sms): "9841000002",
        ("9841000004", call): "9841000004", ("9841000004", sms): "9841000004",
    }  # fmt: skip


def test_without_a_number_that_fits_the_carrier_decides(settings: Any) -> None:
    use_trunks(settings, line=False)
    account = make_account()
    number("9841000001", owner=account, trunks=["elsewhere"])
    number("9841000002", owner=make_account())
    assert queue(account, Channel.CALL, "9841000001") == ""
    assert caller_id.showable_callers([]) == []


def test_sentences_name_what_does_not_fit(settings: Any) -> None:
    use_trunks(settings, strict=True, line=False)
    settings.CARRIERS["aakash"] = {
        **SANDBOX, "BACKEND": "telephony.carriers.aakash.AakashCarrier", "OPTIONS": {"auth_token": "x" * 20},
    }  # fmt: skip
    settings.ROUTES = {"call": ["line"], "sms": ["strict", "line"]}
    account = make_account()
    assert consistency.sentences() == [
        "The trunk strict needs an approved sender for each SMS, and no sender is approved for it."
    ]
    make_sender("ACME", owner=account, trunk="strict")
    assert consistency.sentences() == []
    number("9841000001", owner=account, trunks=["gone"])
    number("9841000002", trunks=["gone"])
    number("9841000003", owner=account, trunks=["strict"], capabilities="Voice")
    number("9841000004", owner=account, trunks=["strict"], capabilities="SMS")
    make_sender("LOST", trunk="gone")
    make_sender("USELESS", trunk="aakash")
    said = consistency.sentences()
    assert len(said) == 5
    for words, sentence in zip(
        ("1 sold number: 9841000001", "1 number cannot be bought", "9841000003", "LOST", "USELESS"),
        said,
        strict=True,
    ):
        assert words in sentence
    checked = [one.msg for one in run_checks(databases=["default"]) if one.id == "iris.W003"]
    assert checked == said
    output = StringIO()
    call_command("trunk_status", stdout=output)
    assert all(f"WARNING: {sentence}" in output.getvalue() for sentence in said)
    assert "senders:     approved ones only: 1 approved, 0 requested" in output.getvalue()
    number("9841000005", owner=make_account())
    make_sender("+9779841000005", owner=account)
    assert consistency.sentences()[-1] == "Approved senders that are numbers of others (1): +9779841000005."
    states.retire(list(PhoneNumber.objects.values_list("pk", flat=True)))
    assert len(consistency.sentences()) == 3


@pytest.mark.parametrize(
    ("backend", "needs", "words"),
    [
        ("aakash.AakashCarrier", True, "takes none"),
        ("sandbox.SandboxCarrier", "yes", "has NEEDS_SENDER = 'yes'"),
        ("sandbox.SandboxCarrier", True, ""),
    ],
)
def test_checks_find_trunks_that_cannot_need_senders(
    settings: Any, backend: str, needs: Any, words: str
) -> None:
    options = {"auth_token": "x" * 20} if "aakash" in backend else {}
    settings.CARRIERS = {
        "line": {
            **SANDBOX,
            "BACKEND": f"telephony.carriers.{backend}",
            "OPTIONS": options,
            "NEEDS_SENDER": needs,
        }
    }
    found = [one.msg for one in run_checks() if one.id == "iris.E005"]
    assert len(found) == bool(words)
    assert all(words in message for message in found)
