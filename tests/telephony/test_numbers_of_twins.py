"""Test the phone numbers of test twins: they are invented, and real ones stay with ordinary accounts."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from accounts import twins
from accounts.models import Account, User
from iris.errors import NotFound
from telephony import caller_id, inbox, phone_numbers
from telephony.carriers.base import InboundSms
from telephony.models import InboundMessage, PhoneNumber
from tests.accounts.test_twins import new_test_key, with_key
from tests.factories import make_account, make_delivery, make_phone_number, make_trunk
from tests.v0 import Caller

pytestmark = pytest.mark.django_db

NUMBERS, OWNED = "/api/system/phone_numbers/", "/api/system/owned/phone_numbers/"


@pytest.fixture
def sita() -> Account:
    return make_account(email="sita@example.com", credits=100)


def listed(caller: Caller, path: str = NUMBERS) -> dict[str, str]:
    (numbers,) = caller.get(path)["data"].values()
    return {one["phone_number"]: one["phone_number_sid"] for one in numbers}


def test_a_twin_buys_and_releases_only_invented_numbers(sita: Account) -> None:
    real = make_phone_number(number="9800000101")
    mine = make_phone_number(number="9800000102", owner=sita)
    tests = with_key(new_test_key(sita)["token"])
    other = with_key(new_test_key(make_account())["token"])
    for_sale, owned = listed(tests), listed(tests, OWNED)
    assert (len(for_sale), len(owned)) == (phone_numbers.INVENTED_FOR_SALE, phone_numbers.INVENTED_OWNED)
    assert all(number.startswith("99") and len(number) == 10 for number in for_sale | owned)
    for sid in (real.sid, mine.sid, *listed(other).values(), *listed(other, OWNED).values()):
        tests.fails("POST", NUMBERS, {"phone_sid": sid}, status=404)
        tests.fails("DELETE", NUMBERS, {"phone_sid": sid}, status=404)
    bought = next(iter(for_sale.values()))
    tests.post(NUMBERS, {"phone_sid": bought})
    assert bought in listed(tests, OWNED).values()
    assert Account.objects.get(twin_of=sita).balance == 10_000 - 40
    tests.delete(NUMBERS, {"phone_sid": bought})
    assert listed(tests) == for_sale
    assert bought not in listed(other).values()


def test_the_account_never_sees_or_buys_invented_numbers(sita: Account) -> None:
    make_phone_number(number="9800000101")
    tests = with_key(new_test_key(sita)["token"])
    caller = Caller(sita)
    assert list(listed(caller)) == ["9800000101"]
    assert listed(caller, OWNED) == {}
    for sid in (*listed(tests).values(), *listed(tests, OWNED).values()):
        caller.fails("POST", NUMBERS, {"phone_sid": sid}, status=404)
        caller.fails("DELETE", NUMBERS, {"phone_sid": sid}, status=404)
    assert caller_id.choose_caller(owner_id=sita.pk) == ""
    twin = Account.objects.get(twin_of=sita)
    assert caller_id.choose_caller(owner_id=twin.pk) in listed(tests, OWNED)


def test_the_database_keeps_real_and_invented_numbers_apart(sita: Account) -> None:
    twin, other = twins.open_twin(account=sita), twins.open_twin(account=make_account())
    real = make_phone_number()
    invented = PhoneNumber.objects.filter(invented_for=twin)
    for rows, changed in (
        (PhoneNumber.objects.filter(pk=real.pk), {"owner": twin}),
        (invented, {"owner": sita}),
        (invented, {"owner": other}),
        (invented.filter(owner=twin), {"invented_for": None}),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            rows.update(**changed)
    with pytest.raises(IntegrityError), transaction.atomic():
        make_phone_number(number="9800000199", owner=twin)
    with pytest.raises(NotFound):
        phone_numbers.buy_number(account=twin, sid=real.sid)


def test_a_real_sms_never_belongs_to_the_twin_with_the_number(sita: Account) -> None:
    twin = twins.open_twin(account=sita)
    number = twin.phone_numbers.get().number
    trunk = make_trunk("sandbox")
    make_delivery(owner=sita, trunk=trunk, to="+9779841000001")
    message: Any = InboundSms(
        ref="1",
        sender="+9779841000001",
        to=number,
        text="Hello",
        at="2026-01-01T00:00Z",  # type: ignore[arg-type]
    )
    inbox.receive("sandbox", [message])
    assert InboundMessage.objects.get().owner == sita


def test_numbers_that_exist_already_are_not_invented_again(
    sita: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = iter([1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    make_phone_number(number="9900000002")
    monkeypatch.setattr("telephony.phone_numbers.secrets.randbelow", lambda _: next(drawn))
    twin = twins.open_twin(account=sita)
    assert twin.invented_numbers.count() == phone_numbers.INVENTED_OWNED + phone_numbers.INVENTED_FOR_SALE
    assert not twin.invented_numbers.filter(number="9900000002").exists()


def test_operators_cannot_mix_real_and_invented_numbers(sita: Account, client: Client) -> None:
    client.force_login(User.objects.create_superuser("operator@example.com", "secret-password"))
    twin = twins.open_twin(account=sita)
    real, invented = make_phone_number(), twin.invented_numbers.filter(owner=None)[0]
    for number, owner, refused in (
        (real, twin, True),
        (invented, sita, True),
        (invented, twin, False),
        (real, sita, False),
    ):
        sent = {
            "number": number.number,
            "sid": number.sid,
            "rate": "40",
            "capabilities": "Voice",
            "owner": owner.pk,
        }
        answer = client.post(reverse("admin:telephony_phonenumber_change", args=[number.pk]), sent)
        assert answer.status_code == (200 if refused else 302)
        number.refresh_from_db()
        assert number.owner == (None if refused else owner)
