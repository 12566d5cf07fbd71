"""Inbound SMS: stored, and applied to the opt-out list."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account
from telephony.carriers.base import CarrierEvent, InboundSms
from telephony.engine import delivery_reports, dispatch
from telephony.models import Cause, Channel, Delivery, DeliveryStatus, InboundMessage, OptOut, Purpose
from telephony.optouts import Keyword, keyword_in
from tests.factories import make_account, make_delivery, make_phone_number, make_trunk, make_user, opt_out

SENDER = "+9779841000001"


def inbound_sms(text: str, *, sender: str = SENDER, to: str = "31001") -> InboundSms:
    return InboundSms(sender=sender, to=to, text=text, at=timezone.now())


@pytest.mark.parametrize(
    ("text", "keyword"),
    [
        ("STOP", Keyword.STOP),
        (" stop. ", Keyword.STOP),
        ("Stop please!", Keyword.STOP),
        ("STOP 31001", Keyword.STOP),
        ("Unsubscribe", Keyword.STOP),
        ("रोक्नुहोस्", Keyword.STOP),
        ("रोक्नुहोस्।", Keyword.STOP),
        ("रोक्\u200dनुहोस्", Keyword.STOP),
        ("रोक", Keyword.STOP),
        ("opt out", Keyword.STOP),
        ("OPT-OUT", Keyword.STOP),
        ("S.T.O.P", Keyword.STOP),
        ("S T O P", Keyword.STOP),
        ("ＳＴＯＰ", Keyword.STOP),
        ("please stop", Keyword.STOP),
        ("Unsub", Keyword.STOP),
        ("CANCEL", Keyword.STOP),
        ("Quit all", Keyword.STOP),
        ("End.", Keyword.STOP),
        ("कृपया बन्द गर्नुहोस्", Keyword.STOP),
        ("नपठाउनुहोस्", Keyword.STOP),
        ("banda gara", Keyword.STOP),
        ("roknuhos", Keyword.STOP),
        ("cancel my order", None),
        ("end of month", None),
        ("please call me", None),
        ("start", Keyword.START),
        ("सुरु", Keyword.START),
        ("शुरू गर्नुहोस्", Keyword.START),
        ("stop by my shop tomorrow", None),
        ("do not stop", None),
        ("धन्यवाद", None),
        ("stopping", None),
        ("", None),
        ("\0", None),
    ],
)
def test_first_word_of_a_short_sms_is_the_keyword(text: str, keyword: Keyword | None) -> None:
    assert keyword_in(text) is keyword


@pytest.mark.django_db
class TestReceiving:
    def test_stop_applies_to_the_account_that_sent_last(self) -> None:
        make_delivery(to=SENDER)
        last = make_delivery(to=SENDER)
        make_delivery(to=SENDER, trunk=make_trunk("another"))
        delivery_reports.apply_events("sandbox", [inbound_sms("STOP")])
        (message,) = InboundMessage.objects.all()
        assert (message.owner, message.sender, message.to, message.text) == (
            last.owner,
            SENDER,
            "31001",
            "STOP",
        )
        (entry,) = OptOut.objects.all()
        assert (entry.owner, entry.number, entry.source) == (last.owner, SENDER, "STOP")

    @pytest.mark.parametrize("written", ["9801000000", "+9779801000000", "9779801000000"])
    def test_stop_to_an_owned_number_applies_to_its_owner(self, written: str) -> None:
        make_delivery(to=SENDER)
        number = make_phone_number(number=written, owner=make_account())
        delivery_reports.apply_events("sandbox", [inbound_sms("रोक्नुहोस्", to="+9779801000000")])
        assert [entry.owner for entry in OptOut.objects.all()] == [number.owner]

    def test_start_cancels_stop_and_the_last_keyword_wins(self) -> None:
        make_delivery(to=SENDER)
        delivery_reports.apply_events("sandbox", [inbound_sms("STOP"), inbound_sms("START")])
        assert not OptOut.objects.exists()
        delivery_reports.apply_events("sandbox", [inbound_sms("stop"), inbound_sms("stop")])
        delivery_reports.apply_events("sandbox", [inbound_sms("stop")])
        assert OptOut.objects.count() == 1
        delivery_reports.apply_events("sandbox", [inbound_sms("सुरु")])
        assert not OptOut.objects.exists()
        assert InboundMessage.objects.count() == 6

    def test_sms_without_an_earlier_message_is_stored_and_ignored(self) -> None:
        delivery_reports.apply_events(
            "sandbox", [inbound_sms("STOP"), inbound_sms("Namaste\0", sender="NTC\0")]
        )
        assert [(one.owner, one.text) for one in InboundMessage.objects.order_by("pk")] == [
            (None, "STOP"),
            (None, "Namaste"),
        ]
        assert not OptOut.objects.exists()

    def test_number_of_statements_does_not_grow_with_the_sms(self) -> None:
        costs = []
        for count in (1, 30):
            senders = [make_delivery().to for _ in range(count)]
            with CaptureQueriesContext(connection) as queries:
                delivery_reports.apply_events(
                    "sandbox", [inbound_sms("STOP", sender=sender) for sender in senders]
                )
            costs.append(len(queries))
        assert costs[0] == costs[1]
        assert OptOut.objects.count() == 31


@pytest.mark.django_db
class TestDispatch:
    def run(self) -> None:
        dispatch.run("sandbox", budget=2)

    def status(self, delivery: Delivery) -> tuple[Any, ...]:
        delivery.refresh_from_db()
        return delivery.status, delivery.cause

    @pytest.mark.parametrize("channel", Channel)
    def test_opted_out_recipient_is_not_contacted_and_costs_nothing(self, channel: Channel) -> None:
        stopped, other = make_delivery(channel=channel, to=SENDER), make_delivery(channel=channel, to=SENDER)
        opt_out(stopped.owner_id, SENDER, "by hand")
        self.run()
        assert self.status(stopped) == (DeliveryStatus.FAILED, Cause.OPTED_OUT)
        assert stopped.credits == Decimal(0)
        assert self.status(other)[0] > DeliveryStatus.SUBMITTING, "another account's list applied"

    def test_otp_ignores_the_opt_out_list(self) -> None:
        otp = make_delivery(to=SENDER, purpose=Purpose.OTP, priority=0)
        opt_out(otp.owner_id, SENDER, "")
        self.run()
        assert self.status(otp)[0] > DeliveryStatus.SUBMITTING


@pytest.mark.django_db
class TestAdmin:
    @pytest.fixture
    def operator(self) -> Client:
        client = Client()
        client.force_login(make_user(is_staff=True, is_superuser=True))
        return client

    def test_operator_adds_a_number_to_the_opt_out_list(self, operator: Client) -> None:
        owner = make_account()
        page = reverse("admin:telephony_optout_add")
        for number, count in (("984", 0), ("9841000001", 1), ("+977 9841000001", 1)):
            operator.post(page, {"owner": owner.pk, "number": number, "source": "called us"})
            assert OptOut.objects.count() == count
        assert [entry.number for entry in OptOut.objects.all()] == [SENDER]

    def test_inbound_messages_are_read_only_in_the_admin(self, operator: Client) -> None:
        delivery_reports.apply_events(
            "sandbox",
            [
                inbound_sms("Namaste"),
                CarrierEvent(ref="?", status=DeliveryStatus.COMPLETED, at=timezone.now()),
            ],
        )
        for model in ("inboundmessage", "unmatchedreport", "optout"):
            assert operator.get(reverse(f"admin:telephony_{model}_changelist")).status_code == 200
        assert operator.get(reverse("admin:telephony_inboundmessage_add")).status_code == 403


@pytest.mark.django_db
def test_deleting_an_account_deletes_its_opt_outs() -> None:
    owner: Account = make_account()
    opt_out(owner.pk, SENDER, "")
    owner.delete()
    assert not OptOut.objects.exists()
