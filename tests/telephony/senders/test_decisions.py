"""Operators approve and refuse senders, and queued SMS never leave with one whose approval has ended."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.actors import acting, operator
from accounts.audit_sentences import sentence_of
from accounts.models import Account, AuditEntry
from iris.errors import InvalidInput
from telephony.engine import routing
from telephony.engine.enqueue import DeliveryRequest, enqueue
from telephony.models import Cause, Channel, Delivery, Purpose, Sender, SenderOperator, SenderStatus, Trunk
from telephony.phone_numbers import release_number
from telephony.senders import decisions
from tests.factories import make_account, make_delivery, make_phone_number
from tests.live import wait_for
from tests.telephony.senders.making import NCELL, NTC, make_sender, use_trunks

pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> Account:
    return make_account()


@pytest.fixture(autouse=True)
def _trunks(settings: Any) -> None:
    use_trunks(settings, strict=True, other=False)


def queue(account: Account, *numbers: str, channel: Channel = Channel.SMS) -> list[int]:
    last = Delivery.objects.count()
    return enqueue(
        requests=[
            DeliveryRequest(
                owner_id=account.pk, channel=channel, to=to, purpose=Purpose.CAMPAIGN, batch=1, item=last + item,
                priority=10, text="Namaste",
            )
            for item, to in enumerate(numbers)
        ]
    )  # fmt: skip


def queued() -> list[tuple[str, str]]:
    return list(Delivery.objects.order_by("pk").values_list("sender", "cause"))


def test_sender_is_stored_on_the_delivery_when_it_is_queued(account: Account) -> None:
    make_sender("31001", owner=account, operator="ntc")
    make_sender("ACME", owner=account, operator="ncell")
    queue(account, NTC, NCELL)
    assert queued() == [("31001", ""), ("ACME", "")]


def test_calls_have_no_sender(account: Account) -> None:
    make_sender("ACME", owner=account)
    queue(account, NTC, channel=Channel.CALL)
    assert queued() == [("", "")]


def test_queued_sms_get_another_sender_when_theirs_is_refused(account: Account) -> None:
    ended = make_sender("ACME", owner=account, operator="ntc")
    make_sender("STANDIN", owner=account)
    queue(account, NTC, NCELL)
    assert queued() == [("ACME", ""), ("STANDIN", "")]
    assert decisions.refuse([ended.pk], reason="Not your brand.") == 1
    assert queued() == [("STANDIN", ""), ("STANDIN", "")]


def test_queued_sms_without_any_sender_fail_and_are_not_sent(account: Account) -> None:
    ended = make_sender("ACME", owner=account)
    queue(account, NTC)
    decisions.refuse([ended.pk], reason="Not your brand.")
    assert queued() == [("", Cause.NO_SENDER)]
    decisions.approve([ended.pk])
    assert queued() == [("", Cause.NO_SENDER)]  # it is about to fail, and a later run reaches the recipient


def test_other_causes_of_queued_sms_stay(account: Account) -> None:
    ended = make_sender("ACME", owner=account)
    delivery = make_delivery(
        owner=account, to=NTC, sender="ACME", cause=Cause.NO_PRICE, trunk=Trunk.objects.create(alias="strict")
    )
    decisions.refuse([ended.pk], reason="Not your brand.")
    delivery.refresh_from_db()
    assert (delivery.sender, delivery.cause) == ("", Cause.NO_PRICE)


def test_sms_that_waits_for_a_resend_keeps_its_sender(account: Account) -> None:
    ended = make_sender("ACME", owner=account)
    pinned = make_delivery(owner=account, to=NTC, sender="ACME", pinned_since=timezone.now())
    decisions.refuse([ended.pk], reason="Not your brand.")
    pinned.refresh_from_db()
    assert (pinned.sender, pinned.cause) == ("ACME", "")


def test_sms_of_other_accounts_with_the_same_sender_keep_it(account: Account) -> None:
    other = make_account()
    ended = make_sender("ACME", owner=account)
    make_sender("ACME", owner=other)
    queue(other, NTC)
    decisions.refuse([ended.pk], reason="Not your brand.")
    assert queued() == [("ACME", "")]


def test_sms_that_move_to_another_trunk_get_a_sender_of_that_trunk(account: Account) -> None:
    make_sender("FIRST", owner=account, trunk="strict")
    make_sender("SECOND", owner=account, trunk="other")
    queue(account, NTC)
    assert queued() == [("FIRST", "")]
    Trunk.objects.filter(alias="strict").update(pause_reason="wrong password", paused_until=None)
    assert routing.move_from_closed_trunks() == 1
    assert queued() == [("SECOND", "")]
    assert Delivery.objects.get().trunk.alias == "other"


def test_a_released_number_is_no_sender_any_more(account: Account) -> None:
    number = make_phone_number(number="9841000077", owner=account)
    sender = make_sender("+9779841000077", owner=account)
    queue(account, NTC)
    release_number(account=account, sid=number.sid)
    sender.refresh_from_db()
    assert (sender.status, sender.reason) == (SenderStatus.REFUSED, "The number was released.")
    assert queued() == [("", Cause.NO_SENDER)]


def test_refusing_needs_a_reason(account: Account) -> None:
    sender = make_sender("ACME", owner=account)
    with pytest.raises(InvalidInput, match="reason"):
        decisions.refuse([sender.pk], reason="  ")
    sender.refresh_from_db()
    assert sender.status == SenderStatus.APPROVED


def test_audit_log_says_who_requested_and_decided(account: Account) -> None:
    (requested,) = decisions.request_senders(account=account, address="ACME", operators=[SenderOperator.NTC])
    with acting(operator("sita@example.com")):
        decisions.approve([requested.pk])
        decisions.approve([requested.pk])  # again: nothing changes
        decisions.refuse([requested.pk], reason="Not your brand.")
    decisions.remove_sender(account=account, sender_id=requested.pk)
    entries = AuditEntry.objects.filter(account_id=account.pk, action__startswith="sender_").order_by("pk")
    assert [sentence_of(entry) for entry in entries] == [
        "The server requested the sender “ACME” for SMS to Nepal Telecom.",
        "The operator (sita@example.com) approved the sender “ACME” for SMS to Nepal Telecom.",
        "The operator (sita@example.com) refused the sender “ACME” for SMS to Nepal Telecom, because: Not your brand.",
        "The server removed the sender “ACME” for SMS to Nepal Telecom.",
    ]


@pytest.mark.django_db(transaction=True)
def test_sms_that_are_being_queued_while_their_sender_is_refused_do_not_keep_it() -> None:
    account = make_account()
    sender = make_sender("ACME", owner=account)
    done = threading.Event()

    def refuse() -> None:
        decisions.refuse([sender.pk], reason="Not your brand.")
        done.set()
        connection.close()

    with transaction.atomic():
        queue(account, NTC)
        other = threading.Thread(target=refuse)
        other.start()
        wait_for(_somebody_waits, seconds=20)
        assert not done.is_set()
    other.join()
    assert queued() == [("", Cause.NO_SENDER)]
    assert Sender.objects.get().status == SenderStatus.REFUSED


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])
