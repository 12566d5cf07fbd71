"""What people send back: recorded, and obeyed when it says stop."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from telephony import optouts
from telephony.carriers.base import CarrierEvent, InboundSms
from telephony.engine import delivery_reports, dispatch
from telephony.models import Cause, Channel, Delivery, DeliveryStatus, InboundMessage, OptOut, Purpose
from telephony.optouts import Keyword, keyword_in
from tests.factories import make_delivery, make_phone_number, make_trunk, make_user

SENDER = "+9779841000001"


def sent(text: str, *, sender: str = SENDER, to: str = "31001") -> InboundSms:
    return InboundSms(sender=sender, to=to, text=text, at=timezone.now())


@pytest.mark.parametrize(
    ("text", "wish"),
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
def test_what_somebody_wants(text: str, wish: Keyword | None) -> None:
    assert keyword_in(text) is wish


@pytest.mark.django_db
class TestReceiving:
    def test_a_stop_is_for_the_account_that_texted_last(self) -> None:
        make_delivery(to=SENDER)
        last = make_delivery(to=SENDER)
        make_delivery(to=SENDER, trunk=make_trunk("another"))
        delivery_reports.record("sandbox", [sent("STOP")])
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
    def test_a_stop_is_first_of_all_for_the_owner_of_the_number_it_was_sent_to(self, written: str) -> None:
        make_delivery(to=SENDER)
        number = make_phone_number(number=written, owner=make_user())
        delivery_reports.record("sandbox", [sent("रोक्नुहोस्", to="+9779801000000")])
        assert [entry.owner for entry in OptOut.objects.all()] == [number.owner]

    def test_a_start_takes_it_back_and_the_last_word_counts(self) -> None:
        make_delivery(to=SENDER)
        delivery_reports.record("sandbox", [sent("STOP"), sent("START")])
        assert not OptOut.objects.exists()
        delivery_reports.record("sandbox", [sent("stop"), sent("stop")])
        delivery_reports.record("sandbox", [sent("stop")])
        assert OptOut.objects.count() == 1
        delivery_reports.record("sandbox", [sent("सुरु")])
        assert not OptOut.objects.exists()
        assert InboundMessage.objects.count() == 6

    def test_a_stranger_is_recorded_and_stops_nothing(self) -> None:
        delivery_reports.record("sandbox", [sent("STOP"), sent("Namaste\0", sender="NTC\0")])
        assert [(one.owner, one.text) for one in InboundMessage.objects.order_by("pk")] == [
            (None, "STOP"),
            (None, "Namaste"),
        ]
        assert not OptOut.objects.exists()

    def test_many_cost_no_more_statements_than_one(self) -> None:
        costs = []
        for count in (1, 30):
            senders = [make_delivery().to for _ in range(count)]
            with CaptureQueriesContext(connection) as queries:
                delivery_reports.record("sandbox", [sent("STOP", sender=sender) for sender in senders])
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
    def test_who_wants_no_more_is_not_reached_and_costs_nothing(self, channel: Channel) -> None:
        stopped, other = make_delivery(channel=channel, to=SENDER), make_delivery(channel=channel, to=SENDER)
        optouts.update_list({(stopped.owner_id, SENDER): "by hand"})
        self.run()
        assert self.status(stopped) == (DeliveryStatus.FAILED, Cause.OPTED_OUT)
        assert stopped.credits == Decimal(0)
        assert self.status(other)[0] > DeliveryStatus.SUBMITTING, "somebody else's list"

    def test_an_otp_is_sent_all_the_same(self) -> None:
        otp = make_delivery(to=SENDER, purpose=Purpose.OTP, priority=0)
        optouts.update_list({(otp.owner_id, SENDER): ""})
        self.run()
        assert self.status(otp)[0] > DeliveryStatus.SUBMITTING


@pytest.mark.django_db
class TestAdmin:
    @pytest.fixture
    def operator(self) -> Client:
        client = Client()
        client.force_login(make_user(is_staff=True, is_superuser=True))
        return client

    def test_whoever_asks_by_telephone_is_put_on_the_list(self, operator: Client) -> None:
        owner = make_user()
        page = reverse("admin:telephony_optout_add")
        for number, count in (("984", 0), ("9841000001", 1), ("+977 9841000001", 1)):
            operator.post(page, {"owner": owner.pk, "number": number, "source": "called us"})
            assert OptOut.objects.count() == count
        assert [entry.number for entry in OptOut.objects.all()] == [SENDER]

    def test_what_came_in_is_only_to_be_looked_at(self, operator: Client) -> None:
        delivery_reports.record(
            "sandbox",
            [sent("Namaste"), CarrierEvent(ref="?", status=DeliveryStatus.COMPLETED, at=timezone.now())],
        )
        for model in ("inboundmessage", "unmatchedreport", "optout"):
            assert operator.get(reverse(f"admin:telephony_{model}_changelist")).status_code == 200
        assert operator.get(reverse("admin:telephony_inboundmessage_add")).status_code == 403


@pytest.mark.django_db
def test_an_account_can_be_deleted_with_its_list() -> None:
    owner: User = make_user()
    optouts.update_list({(owner.pk, SENDER): ""})
    owner.delete()
    assert not OptOut.objects.exists()
