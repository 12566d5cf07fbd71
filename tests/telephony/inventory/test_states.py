"""Numbers are available, reserved, sold or retired; what an account has bought stays consistent."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import twins
from accounts.audit_sentences import sentence_of
from accounts.models import Account, AuditEntry
from iris.errors import Conflict, IrisError, NotFound
from telephony import phone_numbers
from telephony.inventory import states
from telephony.models import Delivery, PhoneNumber, SenderStatus
from tests.factories import make_account, make_delivery, make_phone_number
from tests.telephony.senders.making import make_sender
from tests.v0 import Caller

pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> Account:
    return make_account(email="sita@example.com", credits=1000)


def for_sale(account: Account) -> list[str]:
    rows = Caller(account).get("/api/system/phone_numbers/")["data"]["number_lists"]
    return [row["phone_number"] for row in rows]


def test_reserved_numbers_are_offered_only_to_their_account(account: Account) -> None:
    other = make_account(credits=1000)
    free, reserved, taken = (make_phone_number(number=f"98410000{n:02}") for n in range(3))
    assert states.reserve([reserved.pk], account=account) == 1
    assert states.reserve([taken.pk]) == 1
    assert (for_sale(account), for_sale(other)) == ([free.number, reserved.number], [free.number])
    for sid, buyer in ((reserved.sid, other), (taken.sid, account)):
        with pytest.raises(NotFound):
            phone_numbers.buy_number(account=buyer, sid=sid)
    phone_numbers.buy_number(account=account, sid=reserved.sid)
    reserved.refresh_from_db()
    assert (reserved.state, reserved.is_reserved, reserved.reserved_for) == ("sold", False, None)
    assert states.offer([taken.pk]) == 1
    assert for_sale(other) == [free.number, taken.number]


def test_assigned_number_costs_nothing(account: Account) -> None:
    number = make_phone_number()
    assert states.assign([number.pk], account=account) == 1
    assert states.assign([number.pk], account=account) == 0  # it has it already
    number.refresh_from_db()
    account.refresh_from_db()
    assert (number.owner, number.state, account.balance) == (account, "sold", 1000)


def test_retired_number_is_taken_back_and_nothing_queued_comes_from_it(account: Account) -> None:
    old, new = (
        make_phone_number(number="9841000001", owner=account),
        make_phone_number(number="9841000002", owner=account),
    )
    sender = make_sender("+9779841000001", owner=account)
    queued = make_delivery(owner=account, caller=old.number)
    assert states.retire([old.pk]) == 1
    assert states.retire([old.pk]) == 0
    queued.refresh_from_db()
    sender.refresh_from_db()
    old.refresh_from_db()
    assert (old.owner, old.state) == (None, "retired")
    assert queued.caller == new.number
    assert (sender.status, sender.reason) == (SenderStatus.REFUSED, "The operator has withdrawn the number.")
    assert for_sale(account) == []
    with pytest.raises(NotFound):
        phone_numbers.buy_number(account=account, sid=old.sid)
    entry = AuditEntry.objects.filter(account_id=account.pk, action__startswith="number_").latest("pk")
    assert sentence_of(entry) == "The server withdrew the phone number “9841000001”."
    assert states.offer([old.pk]) == 1
    assert for_sale(account) == [old.number]


@pytest.mark.parametrize(
    ("prepare", "change"),
    [
        (lambda n, a: None, lambda n, a: states.offer(n)),
        (lambda n, a: None, lambda n, a: states.reserve(n)),
        (lambda n, a: None, lambda n, a: states.assign(n, account=make_account())),
        (lambda n, a: states.retire(n), lambda n, a: states.reserve(n)),
        (lambda n, a: states.retire(n), lambda n, a: states.assign(n, account=a)),
        (lambda n, a: None, lambda n, a: states.assign(n, account=twins.open_twin(account=a))),
    ],
)
def test_impossible_change_names_the_number_and_changes_no_other(
    account: Account,
    prepare: Callable[[list[int], Account], object],
    change: Callable[[list[int], Account], object],
) -> None:
    sold, free = make_phone_number(number="9841000001", owner=account), make_phone_number(number="9841000002")
    prepare([sold.pk], account)
    before = list(PhoneNumber.objects.filter(invented_for=None).order_by("pk").values())
    with pytest.raises(Conflict, match=r"9841000001|test twin|Test twin|test twins"):
        change([free.pk, sold.pk], account)
    assert list(PhoneNumber.objects.filter(invented_for=None).order_by("pk").values()) == before


def test_database_refuses_to_sell_reserved_and_retired_numbers_whoever_writes(account: Account) -> None:
    # As a process of the previous release does, which knows no states.
    reserved, retired = make_phone_number(number="9841000001"), make_phone_number(number="9841000002")
    states.reserve([reserved.pk])
    states.retire([retired.pk])
    for number in (reserved, retired):
        with pytest.raises(IntegrityError), transaction.atomic():
            PhoneNumber.objects.filter(pk=number.pk, owner=None).update(
                owner=account, bought_at=timezone.now()
            )


def test_number_that_no_routed_trunk_shows_is_not_offered(account: Account) -> None:
    PhoneNumber.objects.create(number="9841000001", sid="1" * 32, rate=1, trunks=["gone"])
    shown = PhoneNumber.objects.create(number="9841000002", sid="2" * 32, rate=1, trunks=["gone", "sandbox"])
    assert for_sale(account) == [shown.number]
    with pytest.raises(NotFound):
        phone_numbers.buy_number(account=account, sid="1" * 32)


def test_command_changes_numbers_in_any_spelling(account: Account) -> None:
    make_phone_number(number="9841000001")
    make_phone_number(number="+9779841000002")

    def run(*words: str, **options: str) -> str:
        output = StringIO()
        call_command("phonenumbers", *words, stdout=output, **options)
        return output.getvalue()

    assert run("reserve", "+977 984-1000001", account="sita@example.com") == "1 numbers reserved.\n"
    assert run("assign", "9841000002", account=str(account.pk)) == "1 numbers assigned.\n"
    assert run() == "available: 0\nreserved: 1\nsold: 1\nretired: 0\n"
    assert run("retire", "9841000001", "9841000002") == "2 numbers retired.\n"
    assert run("offer", "9841000001") == "1 numbers offered for sale.\n"
    for words, options in [
        (["retire"], {}),
        (["retire", "9841000009"], {}),
        (["assign", "9841000001"], {}),
        (["assign", "9841000001"], {"account": "nobody@example.com"}),
        (["offer", "9841000001"], {"account": "sita@example.com"}),
    ]:
        with pytest.raises(CommandError):
            run(*words, **options)


def test_admin_actions_change_several_numbers(admin_client: Client, account: Account) -> None:
    page = reverse("admin:telephony_phonenumber_changelist")
    numbers = [make_phone_number(number=f"98410000{n:02}") for n in range(2)]

    def act(action: str, **fields: str) -> str:
        body = {"action": action, "_selected_action": [one.pk for one in numbers], **fields}
        return admin_client.post(page, body, follow=True).content.decode()

    assert "Write the account" in act("assign")
    assert "2 numbers reserved" in act("reserve", account="sita@example.com")
    assert "2 numbers assigned" in act("assign", account=str(account.pk))
    assert "are sold" in act("offer")
    assert "2 numbers retired" in act("retire")
    for state, shown in (("retired", 2), ("sold", 0), ("available", 0), ("reserved", 0), ("x", 2)):
        listed = admin_client.get(page, {"state": state}).content.decode()
        assert listed.count('name="_selected_action"') == shown
    change = reverse("admin:telephony_phonenumber_change", args=[numbers[0].pk])
    body = {
        "number": numbers[0].number,
        "sid": numbers[0].sid,
        "rate": "1",
        "capabilities": "SMS",
        "trunks": "gone",
    }
    assert "is no trunk of the carriers file" in admin_client.post(change, body).content.decode()
    body = {**body, "trunks": "", "owner": str(account.pk)}
    assert "is retired. Offer it again first." in admin_client.post(change, body).content.decode()


def test_operator_who_takes_a_number_back_leaves_nothing_queued_from_it(
    admin_client: Client, account: Account
) -> None:
    number = make_phone_number(owner=account)
    make_delivery(owner=account, caller=number.number)
    change = reverse("admin:telephony_phonenumber_change", args=[number.pk])
    body = {
        "number": number.number,
        "sid": number.sid,
        "rate": "40",
        "capabilities": "Voice, SMS",
        "owner": "",
    }
    admin_client.post(change, body)
    assert Delivery.objects.get().caller == ""


def test_unknown_numbers_are_named() -> None:
    with pytest.raises(IrisError, match="9841000001, 9841000002"):
        states.find_numbers(["9841000001", "9841000002"])
