"""Export and erasure of a person in stored events."""

from __future__ import annotations

import pytest
from django.utils import timezone

from accounts.models import Account
from accounts.people.persons import Person
from telephony import inbox, optouts
from telephony.carriers.base import InboundSms
from telephony.models import OptOutWay
from tests.factories import make_account, make_phone_number
from tests.webhooks.making import bodies, make_endpoint
from webhooks import endpoints
from webhooks.models import OutboxMessage
from webhooks.people import HOLDER

NUMBER, OTHER = "+9779841000001", "+9779841000002"


@pytest.fixture
def person(account: Account) -> Person:
    return Person(owner_ids=[account.pk], number=NUMBER)


def opted_out(owner: Account, *numbers: str) -> None:
    for number in numbers:
        optouts.add([optouts.NewOptOut(owner_id=owner.pk, number=number, way=OptOutWay.API)])


def naming(number: str) -> int:
    return OutboxMessage.objects.filter(body__contains=number).count()


def test_number_is_erased_in_the_events_of_the_account_only(account: Account, person: Person) -> None:
    other = make_account()
    make_endpoint(other)
    make_endpoint(account)
    for owner in (account, other):
        opted_out(owner, NUMBER, OTHER)
    assert HOLDER.finish(person) == {"webhooks": 1}
    assert (naming(NUMBER), naming(OTHER)) == (1, 2)
    assert OutboxMessage.objects.filter(endpoint__owner=other, body__contains=NUMBER).exists()
    assert HOLDER.finish(person) == {"webhooks": 0}


def test_what_a_person_wrote_is_erased(account: Account, person: Person) -> None:
    make_endpoint(account)
    make_phone_number(number="9800000101", owner=account)
    sms = InboundSms(sender=NUMBER, to="9800000101", text="STOP Sita", at=timezone.now(), ref="1")
    inbox.receive("sandbox", [sms])
    HOLDER.finish(person)
    received, added = (body["data"] for body in bodies(account))
    assert (received["from"], received["text"], received["to"]) == ("erased", "erased", "9800000101")
    assert (added["number"], added["reason"], added["way"]) == ("erased", "erased", "keyword")


def test_events_of_a_deleted_endpoint_are_erased_too(account: Account, person: Person) -> None:
    endpoint = make_endpoint(account)
    opted_out(account, NUMBER)
    endpoints.delete(account=account, endpoint_id=endpoint.pk)
    assert HOLDER.finish(person) == {"webhooks": 1}


def test_export_names_the_events_about_the_person(account: Account, person: Person) -> None:
    make_endpoint(account)
    opted_out(account, NUMBER, OTHER)
    (row,) = HOLDER.export(person, most=10)["webhooks"]
    assert (row["event"], row["url"]) == ("optout.added", "https://hooks.example.com/in")
