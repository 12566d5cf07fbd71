"""Opt-out lists: channels, evidence, blocked numbers, and what claims make of them."""

from __future__ import annotations

from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from iris.errors import InvalidInput
from telephony import optouts
from telephony.engine import dispatch
from telephony.models import (
    BlockedNumber,
    Cause,
    Channel,
    Delivery,
    DeliveryStatus,
    OptOut,
    OptOutWay,
    Purpose,
)
from telephony.optouts import NewOptOut
from telephony.optouts.blocked import import_blocked
from telephony.optouts.claimed import withdrawn_since_claim
from tests.factories import make_account, make_delivery, make_user, opt_out

pytestmark = pytest.mark.django_db

TO = "+9779841000001"
CALL, SMS = Channel.CALL, Channel.SMS


def new(owner_id: int, *, channel: Channel | None = None, source: str = "", to: str = TO) -> NewOptOut:
    return NewOptOut(owner_id=owner_id, number=to, way=OptOutWay.PERSON, channel=channel, source=source)


def ended(delivery: Delivery) -> tuple[Any, ...]:
    delivery.refresh_from_db()
    return delivery.status, delivery.cause


@pytest.mark.parametrize(("listed", "refused"), [(CALL, [CALL]), (SMS, [SMS]), (None, [CALL, SMS])])
def test_opt_out_of_a_channel_refuses_only_this_channel(
    listed: Channel | None, refused: list[Channel]
) -> None:
    owner = make_account()
    optouts.add([new(owner.pk, channel=listed)])
    deliveries = {channel: make_delivery(owner=owner, to=TO, channel=channel) for channel in Channel}
    dispatch.run("sandbox", budget=2)
    assert [
        channel
        for channel, one in deliveries.items()
        if ended(one) == (DeliveryStatus.FAILED, Cause.OPTED_OUT)
    ] == sorted(refused)


def test_opt_out_of_the_other_channel_makes_it_one_of_both() -> None:
    owner = make_account()
    assert optouts.add([new(owner.pk, channel=CALL, source="first")]) == 1
    assert optouts.add([new(owner.pk, channel=CALL, source="again")]) == 0
    assert OptOut.objects.get().source == "first"
    assert optouts.add([new(owner.pk, channel=SMS, source="second")]) == 1
    one = OptOut.objects.get()
    assert (one.channel, one.source) == ("", "second")
    assert optouts.add([new(owner.pk, channel=CALL, source="third")]) == 0
    assert OptOut.objects.get().source == "second"


def test_both_channels_of_a_number_in_one_request_are_one_opt_out() -> None:
    owner = make_account()
    assert optouts.add([new(owner.pk, channel=CALL), new(owner.pk, channel=SMS)]) == 1
    assert OptOut.objects.get().channel == ""


def test_text_that_cannot_be_stored_is_cleaned() -> None:
    optouts.add([new(make_account().pk, source="\0STOP" + "x" * 300)])
    source = OptOut.objects.get().source
    assert len(source) == 200
    assert "\0" not in source


class TestBlockedNumbers:
    def test_no_account_reaches_a_blocked_number(self) -> None:
        BlockedNumber.objects.create(number=TO)
        deliveries = [make_delivery(to=TO), make_delivery(to=TO, channel=CALL)]
        dispatch.run("sandbox", budget=2)
        assert {ended(one) for one in deliveries} == {(DeliveryStatus.FAILED, Cause.BLOCKED)}
        assert {one.credits for one in deliveries} == {0}

    @pytest.mark.parametrize("also_otps", [False, True])
    def test_otps_are_blocked_only_if_the_operator_says_so(self, also_otps: bool) -> None:
        BlockedNumber.objects.create(number=TO, also_otps=also_otps)
        otp = make_delivery(to=TO, purpose=Purpose.OTP, priority=0)
        dispatch.run("sandbox", budget=2)
        assert (ended(otp) == (DeliveryStatus.FAILED, Cause.BLOCKED)) is also_otps

    def test_file_blocks_numbers_and_changes_those_that_are_blocked(self, tmp_path: Path) -> None:
        BlockedNumber.objects.create(number=TO, reason="before")
        file = tmp_path / "blocked.csv"
        file.write_text("number;also_otps;reason\n9841000001;yes;fraud\n+977 984-1000002;;\n")
        out = StringIO()
        call_command("blocknumbers", str(file), stdout=out)
        assert "2 numbers are blocked" in out.getvalue()
        assert list(
            BlockedNumber.objects.order_by("number").values_list("number", "also_otps", "reason")
        ) == [
            (TO, True, "fraud"),
            ("+9779841000002", False, ""),
        ]
        call_command("blocknumbers", "--remove", "9841000001", stdout=out)
        call_command("blocknumbers", "--remove", "9841000001", stdout=out)
        assert "no longer blocked" in out.getvalue()
        assert "was not blocked" in out.getvalue()
        assert BlockedNumber.objects.count() == 1

    @pytest.mark.parametrize(
        ("rows", "said"),
        [
            ("number\n123\n", "Row 2"),
            ("number,also_otps\n9841000001,perhaps\n", "neither yes nor no"),
            ("number\n", "no numbers"),
            ("phone\n9841000001\n", "no column number"),
        ],
    )
    def test_wrong_file_blocks_nothing(self, rows: str, said: str) -> None:
        with pytest.raises(InvalidInput, match=said):
            import_blocked(file=BytesIO(rows.encode()))
        assert not BlockedNumber.objects.exists()

    def test_command_names_a_file_that_is_missing(self, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match="cannot be read"):
            call_command("blocknumbers", str(tmp_path / "none.csv"))

    def test_operator_blocks_a_number_in_the_admin(self) -> None:
        client = Client()
        client.force_login(make_user(is_staff=True, is_superuser=True))
        page = reverse("admin:telephony_blockednumber_add")
        for number, count in (("984", 0), ("9841000001", 1), ("+977 9841000001", 1)):
            client.post(page, {"number": number, "reason": "complaint"})
            assert BlockedNumber.objects.count() == count
        assert client.get(reverse("admin:telephony_blockednumber_changelist")).status_code == 200


def test_claimed_deliveries_are_withdrawn_for_each_reason() -> None:
    owner = make_account()
    numbers = [f"+97798410000{n:02}" for n in range(5)]
    deliveries = [make_delivery(owner=owner, to=to, status=DeliveryStatus.SUBMITTING) for to in numbers]
    otp = make_delivery(owner=owner, to=numbers[1], purpose=Purpose.OTP, status=DeliveryStatus.SUBMITTING)
    assert withdrawn_since_claim([one.pk for one in deliveries]) == {}
    Delivery.objects.filter(pk=deliveries[0].pk).update(stopped=True)
    opt_out(owner.pk, numbers[1])
    BlockedNumber.objects.create(number=numbers[2])
    optouts.add([new(owner.pk, channel=CALL, to=numbers[3])])  # these are SMS
    assert withdrawn_since_claim([*(one.pk for one in deliveries), otp.pk]) == {
        deliveries[0].pk: Cause.STOPPED,
        deliveries[1].pk: Cause.OPTED_OUT,
        deliveries[2].pk: Cause.BLOCKED,
    }
