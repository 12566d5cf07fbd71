"""A trunk that rests or is paused costs no SMS: those without a sender for the other trunks wait for it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Account
from telephony.engine import canaries, lifecycle, routing
from telephony.engine.enqueue import DeliveryRequest, enqueue
from telephony.models import Channel, Delivery, PauseCause, Purpose, Trunk
from tests.factories import make_account, make_delivery, make_trunk
from tests.telephony.senders.making import NCELL, NTC, make_sender, use_trunks

pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> Account:
    return make_account()


@pytest.fixture(autouse=True)
def _trunks(settings: Any) -> None:
    use_trunks(settings, lenient=False, strict=True)
    make_trunk("lenient")
    make_trunk("strict")


def pause(alias: str, *, seconds: float | None = None, **values: Any) -> None:
    until = None if seconds is None else timezone.now() + timedelta(seconds=seconds)
    Trunk.objects.filter(alias=alias).update(pause_reason="wrong password", paused_until=until, **values)


def queue(account: Account, *numbers: str) -> None:
    last = Delivery.objects.count()
    enqueue(
        requests=[
            DeliveryRequest(
                owner_id=account.pk, channel=Channel.SMS, to=to, purpose=Purpose.CAMPAIGN, batch=1,
                item=last + item, priority=10, text="Namaste",
            )
            for item, to in enumerate(numbers)
        ]
    )  # fmt: skip


def queued() -> list[tuple[str, str, str]]:
    return list(Delivery.objects.order_by("pk").values_list("trunk__alias", "sender", "cause"))


@pytest.mark.parametrize("seconds", [None, 5])
def test_new_sms_wait_for_the_trunk_that_accepts_their_sender(
    account: Account, seconds: float | None
) -> None:
    pause("lenient", seconds=seconds)
    make_sender("ACME", owner=account, operator="ncell")
    queue(account, NTC, NCELL)
    assert queued() == [("lenient", "", ""), ("strict", "ACME", "")]


def test_new_sms_to_an_invalid_number_need_no_sender(account: Account) -> None:
    queue(account, "")
    queue(account, "", NTC)
    assert [alias for alias, _, _ in queued()] == ["lenient"] * 3


def test_queued_sms_stay_on_a_paused_trunk_when_no_other_accepts_their_sender(account: Account) -> None:
    other = make_account()
    make_sender("ACME", owner=account, operator="ncell")
    make_sender("OTHER", owner=other)
    queue(account, NTC, NCELL)
    queue(other, NTC)
    pause("lenient")
    assert routing.move_from_closed_trunks() == 2
    assert queued() == [("lenient", "", ""), ("strict", "ACME", ""), ("strict", "OTHER", "")]
    assert routing.move_from_closed_trunks() == 0
    make_sender("ACME", owner=account)
    assert routing.move_from_closed_trunks() == 1
    assert queued()[0] == ("strict", "ACME", "")


def test_a_third_trunk_gets_the_sms_that_the_second_would_refuse(account: Account, settings: Any) -> None:
    use_trunks(settings, lenient=False, strict=True, third=False)
    queue(account, NTC)
    pause("lenient")
    assert routing.move_from_closed_trunks() == 1
    queue(account, NTC)
    assert queued() == [("third", "", "")] * 2


def test_sms_of_a_removed_trunk_do_not_wait_for_it(account: Account, settings: Any) -> None:
    queue(account, NTC)
    use_trunks(settings, strict=True)
    assert routing.move_from_closed_trunks() == 1
    assert queued() == [("strict", "", "no_sender")]


def test_a_canary_has_a_sender_for_the_paused_trunk(account: Account, settings: Any) -> None:
    use_trunks(settings, strict=True, lenient=False)
    due = timezone.now() - timedelta(seconds=1)
    pause("strict", pause_cause=PauseCause.ERRORS, probe_at=due)
    other = make_account()
    make_sender("OTHER", owner=other)
    queue(account, NTC)
    queue(other, NTC)
    assert [alias for alias, _, _ in queued()] == ["lenient", "lenient"]
    canaries.tend()
    assert queued() == [("lenient", "", ""), ("strict", "OTHER", "")]
    assert Trunk.objects.get(alias="strict").canary == Delivery.objects.get(owner=other).pk


def test_a_new_sms_is_the_canary_only_with_a_sender_for_the_paused_trunk(
    account: Account, settings: Any
) -> None:
    use_trunks(settings, strict=True, lenient=False)
    long_ago = timezone.now() - 2 * routing.CANARY_PATIENCE
    pause("strict", pause_cause=PauseCause.ERRORS, probe_at=long_ago)
    queue(account, NTC)
    make_sender("ACME", owner=account)
    queue(account, NTC, NTC)
    assert [(alias, cause) for alias, _, cause in queued()] == [
        ("lenient", ""), ("strict", ""), ("lenient", ""),
    ]  # fmt: skip


def test_moving_a_delivery_chooses_its_sender_again(account: Account) -> None:
    make_sender("LENIENT", owner=account, trunk="lenient")
    make_sender("STRICT", owner=account, trunk="strict")
    delivery = make_delivery(owner=account, to=NTC, trunk=Trunk.objects.get(alias="lenient"))
    lifecycle.move(delivery.pk, trunk_id=Trunk.objects.get(alias="strict").pk)
    assert queued() == [("strict", "STRICT", "")]
