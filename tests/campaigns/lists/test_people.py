"""Contact lists and people's data: erased and exported on request, and emptied when the account no longer keeps them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Account
from accounts.models.people import RequestKind
from accounts.people import registry, retention
from campaigns.models import Contact, ContactList, ImportStatus, SheetImport
from campaigns.people.lists import HOLDER
from campaigns.recipients import lists
from telephony import people
from tests.accounts.people.erasing import NAME, NUMBER, OTHER, OTHER_NAME, erase, erased, tables_with, work
from tests.campaigns.lists.making import make_list
from tests.factories import make_account, make_empty_campaign

pytestmark = pytest.mark.django_db
ROWS: list[tuple[object, dict[str, Any]]] = [
    (NUMBER, {"tags_name": NAME, "tags_phone": "984-100 0012"}),
    (OTHER, {"tags_name": OTHER_NAME, "tags_phone": "call 9841000012"}),
]


@pytest.fixture
def account() -> Account:
    return make_account(credits=100)


def test_a_person_is_erased_from_all_lists_and_from_campaigns_that_used_them(account: Account) -> None:
    made = make_list(owner=account, rows=ROWS)
    lists.add_list(campaign=make_empty_campaign(owner=account), contact_list=made)
    stranger = make_list(owner=make_account(), rows=[("9851000077", {"tags_name": "Hari"})])
    SheetImport.objects.create(
        contact_list=made,
        file="x",
        after=0,
        status=ImportStatus.DONE,
        errors=[{"row": 4, "message": f"“{NUMBER} x” is not a phone number."}],
    )
    one = erased(account)
    assert (one.found["contacts"], one.found["recipients"]) == (1, 1)
    assert tables_with(NUMBER, NAME) <= {"accounts_personrequest"}
    made.refresh_from_db()
    assert (made.number_count, made.contacts.get().tags) == (1, {"tags_name": OTHER_NAME, "tags_phone": ""})
    assert stranger.contacts.count() == 1


def test_an_erasure_waits_for_a_sheet_that_is_being_imported(account: Account) -> None:
    made = make_list(owner=account, rows=ROWS)
    pending = SheetImport.objects.create(contact_list=made, file="x", after=0)
    one = erase(account)
    work()
    one.refresh_from_db()
    assert "being imported into a list" in one.waits_for
    SheetImport.objects.filter(pk=pending.pk).update(status=ImportStatus.DONE)
    work()
    one.refresh_from_db()
    assert one.finished_at is not None


def test_lists_are_read_before_campaigns(account: Account) -> None:
    names = [holder.name for holder in registry.holders()]
    assert names.index(HOLDER.name) < names.index("campaigns")


def test_a_person_is_exported_with_the_list(account: Account) -> None:
    made = make_list(owner=account, rows=ROWS)
    one = people.ask(account=account, kind=RequestKind.EXPORT, number=NUMBER)
    work()
    one.refresh_from_db()
    assert one.result is not None
    (contact,) = one.result["contacts"]
    assert contact["list"] == {"id": made.pk, "name": "Parents"}
    assert contact["tags"]["tags_name"] == NAME


@pytest.mark.parametrize(
    ("changed", "used", "left"), [(31, None, 0), (31, 31, 0), (31, 5, 2), (5, 31, 2), (5, None, 2)]
)
def test_lists_are_emptied_when_they_were_long_unused(
    account: Account, changed: int, used: int | None, left: int
) -> None:
    made = make_list(owner=account, rows=ROWS)
    Account.objects.filter(pk=account.pk).update(keep_recipients_days=30)
    now = timezone.now()
    ContactList.objects.filter(pk=made.pk).update(
        updated_at=now - timedelta(days=changed),
        used_at=None if used is None else now - timedelta(days=used),
    )
    retention.erase_expired(budget=60)
    made.refresh_from_db()
    assert (made.number_count, Contact.objects.count()) == (left, left)
    assert made.tags == ["tags_name", "tags_phone"]
