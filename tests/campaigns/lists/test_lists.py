"""Contact lists: filled from numbers and sheets, and copied into campaigns in one statement."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Account, AuditEntry
from campaigns import runs, services
from campaigns.models import (
    Campaign,
    Contact,
    ContactList,
    ImportStatus,
    ListUse,
    Recipient,
    RunStatus,
    Service,
    SheetImport,
)
from campaigns.recipients import background_imports, clearing, editing, lists
from iris.errors import Conflict, InvalidInput, NotFound
from tests.campaigns.lists.making import ROWS, make_list
from tests.cpu import cpu_at_most
from tests.factories import make_account, make_empty_campaign, make_sheet, opt_out

pytestmark = pytest.mark.django_db


@pytest.fixture
def sita() -> Account:
    return make_account(credits=100)


@pytest.fixture
def campaign(sita: Account) -> Campaign:
    return make_empty_campaign(owner=sita, service=Service.SMS, message="Namaste {name}", voice="np_rija")


def rows_of(campaign: Campaign) -> list[tuple[Any, ...]]:
    return list(campaign.recipients.order_by("pk").values_list("number", "to", "tags"))


def fill(contact_list: ContactList, count: int) -> None:
    """Add many contacts, each with a name."""
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO campaigns_contact (contact_list_id, number, "to", tags)
               SELECT %s, n::text, '+977' || n, jsonb_build_object('tags_name', 'Person ' || n)
                 FROM generate_series(9841000000, 9841000000 + %s - 1) n""",
            [contact_list.pk, count],
        )
    ContactList.objects.filter(pk=contact_list.pk).update(number_count=count)


def test_a_list_is_made_from_numbers_and_names_its_wrong_rows(sita: Account) -> None:
    filled = lists.create_list(account=sita, name="Parents", rows=[*ROWS, ("12", {}), ("", {})])
    made = filled.contact_list
    assert (filled.added, made.number_count, made.tags) == (2, 2, ["tags_name", "tags_ward"])
    assert [error["row"] for error in filled.skipped] == [3, 4]
    assert made.tag_sizes["tags_name"]["units"] == len("सीता")
    with pytest.raises(InvalidInput):
        lists.create_list(account=sita, name="Nobody", rows=[("abc", {})])
    assert ContactList.objects.count() == 1


def test_a_list_from_a_sheet_has_its_tags_and_the_problems_that_a_campaign_would_name(sita: Account) -> None:
    def sheet() -> Any:
        return make_sheet(["name", "phone"], ["सीता", 9841000001], ["Ram", "12"], ["Hari", 9851000003])

    filled = lists.create_list(account=sita, name="Parents", sheet=sheet())
    created = services.create_campaign(account=sita, name="Same", service=Service.SMS, sheet=sheet())
    assert filled.skipped == created.skipped
    assert filled.skipped
    assert filled.columns == ["phone", "tags_name"]
    assert [(one.number, one.to, one.tags) for one in Contact.objects.order_by("pk")] == rows_of(
        created.campaign
    )


def test_a_large_sheet_is_imported_in_the_background(
    sita: Account, settings: Any, tmp_path: Any, campaign: Campaign
) -> None:
    settings.MEDIA_ROOT = tmp_path
    settings.IRIS_BACKGROUND_IMPORT_BYTES = 0
    sheet = make_sheet(["number", "name"], [9841000001, "सीता"], ["12", "Ram"], [9841000003, "Hari"])
    filled = lists.create_list(account=sita, name="Parents", sheet=sheet)
    made = filled.contact_list
    assert (filled.in_background, filled.added) == (True, 0)
    for refused in (
        lambda: lists.add_contacts(contact_list=made, rows=ROWS),
        lambda: lists.delete_list(contact_list=made),
        lambda: lists.import_sheet(contact_list=made, sheet=make_sheet(["number"], [9841000001])),
    ):
        with pytest.raises(Conflict, match="this list"):
            refused()
    background_imports.import_all()
    made.refresh_from_db()
    pending = SheetImport.objects.get()
    assert (pending.status, pending.imported, made.number_count) == (ImportStatus.DONE, 2, 2)
    assert [error["row"] for error in pending.errors] == [3]
    assert lists.add_list(campaign=campaign, contact_list=made) == 2
    actions = list(AuditEntry.objects.filter(kind="list").order_by("pk").values_list("action", flat=True))
    assert actions == ["list_created", "list_sheet_uploaded", "contacts_added"]


def test_a_background_import_that_fails_leaves_nothing(sita: Account, settings: Any, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = tmp_path
    settings.IRIS_BACKGROUND_IMPORT_BYTES = 0
    made = make_list(owner=sita)
    lists.import_sheet(contact_list=made, sheet=make_sheet(["number"], ["12"], ["abc"]))
    background_imports.import_all()
    made.refresh_from_db()
    pending = SheetImport.objects.get()
    assert pending.status == ImportStatus.FAILED
    assert "no row with a valid phone number" in pending.message
    assert (made.number_count, made.contacts.count()) == (2, 2)


def test_imports_of_lists_and_campaigns_take_turns_by_account(
    sita: Account, settings: Any, tmp_path: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path
    settings.IRIS_BACKGROUND_IMPORT_BYTES = 0
    for owner in (sita, make_account()):
        lists.create_list(account=owner, name="Parents", sheet=make_sheet(["number"], [9841000001]))
        services.create_campaign(
            account=owner, name="Water", service=Service.SMS, sheet=make_sheet(["number"], [9841000001])
        )
    background_imports.import_all()
    assert set(SheetImport.objects.values_list("status", flat=True)) == {ImportStatus.DONE}
    assert (Contact.objects.count(), Recipient.objects.count()) == (2, 2)


def test_a_campaign_gets_the_contacts_with_their_tags_and_sizes(sita: Account, campaign: Campaign) -> None:
    made = make_list(owner=sita)
    assert lists.add_list(campaign=campaign, contact_list=made) == 2
    campaign.refresh_from_db()
    assert [(number, tags) for number, _, tags in rows_of(campaign)] == [tuple(row) for row in ROWS]
    assert (campaign.number_count, campaign.tags) == (2, made.tags)
    by_hand = make_empty_campaign(owner=sita, service=Service.SMS)
    editing.add_recipients(campaign=by_hand, rows=ROWS)
    by_hand.refresh_from_db()
    assert (campaign.tag_sizes, campaign.spoken_sizes) == (by_hand.tag_sizes, by_hand.spoken_sizes)
    assert campaign.measured_to == campaign.recipients.latest("pk").pk
    run = runs.begin(campaign=campaign)
    assert (run.status, run.recipient_count) == (RunStatus.RUNNING, 2)


def test_a_repeated_request_adds_only_contacts_that_are_new(sita: Account, campaign: Campaign) -> None:
    made = make_list(owner=sita)
    assert lists.add_list(campaign=campaign, contact_list=made) == 2
    assert lists.add_list(campaign=campaign, contact_list=made) == 0
    lists.add_contacts(contact_list=made, rows=[("9841000003", {"tags_fee": 100})])
    assert lists.add_list(campaign=campaign, contact_list=made) == 1
    campaign.refresh_from_db()
    assert (campaign.number_count, campaign.recipients.count()) == (3, 3)
    assert campaign.tags == ["tags_name", "tags_ward", "tags_fee"]
    assert ListUse.objects.get().recipients == 3
    clearing.remove_all_recipients(campaign=campaign)
    assert lists.add_list(campaign=campaign, contact_list=made) == 3


def test_two_lists_with_the_same_person_make_a_marked_duplicate(sita: Account, campaign: Campaign) -> None:
    lists.add_list(campaign=campaign, contact_list=make_list(owner=sita))
    lists.add_list(campaign=campaign, contact_list=make_list(owner=sita, name="Others"))
    assert list(campaign.recipients.order_by("pk").values_list("duplicate", flat=True)) == [
        False,
        False,
        True,
        True,
    ]


def test_opted_out_contacts_are_left_to_the_run(sita: Account, campaign: Campaign) -> None:
    opt_out(sita.pk, "+9779841000001")
    assert lists.add_list(campaign=campaign, contact_list=make_list(owner=sita)) == 2


def test_a_scheduled_run_includes_the_contacts_of_a_list(sita: Account, campaign: Campaign) -> None:
    lists.add_list(campaign=campaign, contact_list=make_list(owner=sita))
    later = timezone.now() + timedelta(days=1)
    services.update_campaign(campaign=campaign, schedule_at=later)
    campaign.refresh_from_db()
    runs.begin(campaign=campaign, starts_at=later)
    more = make_list(owner=sita, name="Others", rows=[("9851000009", {})])
    lists.add_list(campaign=campaign, contact_list=more)
    assert campaign.runs.get(status=RunStatus.SCHEDULED).recipient_count == 3


def test_a_list_that_cannot_be_used_changes_nothing(sita: Account, campaign: Campaign) -> None:
    empty = make_list(owner=sita, rows=None)
    with pytest.raises(InvalidInput, match="no contacts"):
        lists.add_list(campaign=campaign, contact_list=empty)
    many = make_list(owner=sita, rows=[("9841000001", {f"tags_a{n}": 1 for n in range(200)})])
    other = make_list(owner=sita, rows=[("9841000001", {f"tags_b{n}": 1 for n in range(200)})])
    lists.add_list(campaign=campaign, contact_list=many)
    with pytest.raises(InvalidInput, match="256 tags"):
        lists.add_list(campaign=campaign, contact_list=other)
    campaign.refresh_from_db()
    assert (campaign.number_count, ListUse.objects.count()) == (1, 1)
    gone = make_list(owner=sita)
    lists.delete_list(contact_list=gone)
    with pytest.raises(NotFound):
        lists.add_list(campaign=campaign, contact_list=gone)


def test_the_recipients_of_a_campaign_outlive_the_list(sita: Account, campaign: Campaign) -> None:
    made = make_list(owner=sita)
    lists.add_list(campaign=campaign, contact_list=made)
    lists.remove_contact(contact_list=made, pk=made.contacts.latest("pk").pk)
    made.refresh_from_db()
    assert (made.number_count, made.contacts.count()) == (1, 1)
    lists.delete_list(contact_list=made)
    assert (Contact.objects.count(), ListUse.objects.count(), campaign.recipients.count()) == (0, 0, 2)
    entry = AuditEntry.objects.get(action="list_deleted")
    assert entry.details == {"contacts": 1}


def test_a_hundred_thousand_contacts_are_copied_by_a_few_statements(sita: Account) -> None:
    made = make_list(owner=sita, rows=None)
    fill(made, 100_000)
    short = make_list(owner=sita, name="Few")
    with CaptureQueriesContext(connection) as few:
        small = services.create_campaign(account=sita, name="Small", service=Service.SMS, contact_list=short)
    with cpu_at_most(1), CaptureQueriesContext(connection) as many:
        large = services.create_campaign(account=sita, name="Large", service=Service.SMS, contact_list=made)
    assert (small.campaign.number_count, large.campaign.number_count) == (2, 100_000)
    assert len(many) == len(few)
