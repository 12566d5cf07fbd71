"""Contact lists: create and change them, and give their contacts to campaigns.

A campaign copies the contacts by one INSERT … SELECT, together with the sizes of their tags. Nothing is read row by row, so
100,000 contacts take about a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from accounts import audit
from accounts.models import Account
from campaigns import duplicates
from campaigns.guards import refuse_while_importing
from campaigns.models import Campaign, Contact, ContactList, ListUse
from campaigns.recipients import editing, imports
from campaigns.runs.reschedule import include_added_recipients
from campaigns.tag_sizes import FIELDS, TagMeasurer, note_measured, tag_sizes_of
from iris.errors import InvalidInput, NotFound

Rows = Sequence[tuple[object, Mapping[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class Filled:
    """A list that got contacts. `added` is how many so far, `skipped` are the wrong rows.

    `columns` are the headings of the sheet, the one of the numbers first.
    """

    contact_list: ContactList
    added: int = 0
    skipped: list[dict[str, Any]] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    in_background: bool = False


def create_list(
    *,
    account: Account,
    name: str,
    description: str = "",
    rows: Rows | None = None,
    sheet: BinaryIO | None = None,
    number_column: str = "",
) -> Filled:
    """Create a list: empty, from numbers with tags, or from a sheet. A large sheet is imported in the background.

    Raises the errors of `add_contacts` and `import_sheet`, and then creates nothing.
    """
    reading = nullcontext() if sheet is None else imports.read_sheet(sheet, number_column=number_column)
    with reading as read, transaction.atomic():
        made = ContactList.objects.create(owner=account, name=name, description=description)
        _note(made, "list_created")
        if read is not None:
            return _fill(made, read)
        if rows is not None:
            added, skipped = editing.copy_valid_rows(made, rows)
            note_added(made, added)
            return Filled(contact_list=made, added=added, skipped=skipped)
    return Filled(contact_list=made)


def find_list(*, account: Account, pk: int) -> ContactList:
    """Return a list of the account, with its uses. Raises NotFound."""
    found = ContactList.objects.owned_by(account).with_uses().filter(pk=pk).first() if pk < 2**63 else None
    if found is None:
        raise NotFound(
            "You have no list with this id. The list of lists has all that you have.", code="no_such_list"
        )
    return found


def update_list(
    *, contact_list: ContactList, name: str | None = None, description: str | None = None
) -> ContactList:
    """Change the given fields. Raises NotFound if the list was deleted in the meantime."""
    with transaction.atomic():
        locked = _lock(contact_list)
        before = locked.name, locked.description
        locked.name = locked.name if name is None else name
        locked.description = locked.description if description is None else description
        if before != (locked.name, locked.description):
            locked.save(update_fields=["name", "description", "updated_at"])
            _note(locked, "list_changed")
    contact_list.name, contact_list.description = locked.name, locked.description
    contact_list.updated_at = locked.updated_at
    return contact_list


def add_contacts(*, contact_list: ContactList, rows: Rows) -> Filled:
    """Add numbers with their tags. The list gets the tags that it does not have yet. Invalid numbers are skipped.

    Raises InvalidInput if no number is valid or a tag is invalid, and Conflict while a sheet is being imported.
    """
    with transaction.atomic():
        locked = _lock(contact_list)
        refuse_while_importing(locked)
        added, skipped = editing.copy_valid_rows(locked, rows)
        note_added(locked, added)
    return Filled(contact_list=locked, added=added, skipped=skipped)


def import_sheet(*, contact_list: ContactList, sheet: BinaryIO, number_column: str = "") -> Filled:
    """Add the numbers of a sheet, in the background if the sheet is large.

    Raises NotASheet, SheetTooLarge, InvalidInput if no row is valid, and Conflict while another sheet is being imported.
    """
    refuse_while_importing(contact_list)  # early, to save the work of reading; checked again under the lock
    with imports.read_sheet(sheet, number_column=number_column) as read, transaction.atomic():
        return _fill(_lock(contact_list), read)


def remove_contact(*, contact_list: ContactList, pk: int) -> None:
    """Remove a contact from its list. Campaigns that have used the list keep their recipients. Raises NotFound."""
    with transaction.atomic():
        locked = _lock(contact_list)
        deleted, _ = Contact.objects.filter(contact_list=locked, pk=pk).delete()
        if not deleted:
            raise NotFound(
                "This list has no contact with this id. The contacts of the list have the ids.",
                code="no_such_list_contact",
            )
        locked.number_count = F("number_count") - deleted
        locked.save(update_fields=["number_count", "updated_at"])
        _note(locked, "contacts_removed", contacts=deleted)


def delete_list(*, contact_list: ContactList) -> None:
    """Delete a list with its contacts. Campaigns that have used it keep their recipients.

    Raises NotFound, and Conflict while a sheet is being imported.
    """
    with transaction.atomic():
        locked = _lock(contact_list)
        refuse_while_importing(locked)
        _note(locked, "list_deleted", contacts=locked.number_count)
        remove_all_contacts(locked)
        locked.delete()


def remove_all_contacts(contact_list: ContactList) -> int:
    """Remove all contacts of a locked list, and return how many. The names of its tags stay."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")  # the size of the list limits the statement
    rows = Contact.objects.filter(contact_list=contact_list)
    removed = rows._raw_delete(rows.db)  # no row refers to a contact
    contact_list.number_count = 0
    TagMeasurer(contact_list.tags).store_in(contact_list)
    contact_list.save(update_fields=["number_count", *FIELDS])
    return int(removed)


def add_list(*, campaign: Campaign, contact_list: ContactList) -> int:
    """Give the contacts of a list to a campaign, and return how many it got.

    If the campaign has used the list before, it gets only the contacts that were added since, so a repeated request adds
    nobody twice. A scheduled run includes the new recipients; a running run does not. Raises InvalidInput if the list is
    empty, Conflict while a sheet is being imported into one of them, and the errors of `include_added_recipients`.
    """
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update(of=("self",)).get(pk=campaign.pk)
        contact_list = _lock(contact_list)
        refuse_while_importing(campaign)
        refuse_while_importing(contact_list)
        if not contact_list.number_count:
            raise InvalidInput(
                "This list has no contacts. Add some to it, or choose another list.", code="empty_list"
            )
        use = ListUse.objects.filter(campaign=campaign, contact_list=contact_list).first() or ListUse(
            campaign=campaign, contact_list=contact_list, last_contact=0, recipients=0
        )
        copied = _copy(campaign, contact_list, use)
        if copied:
            use.recipients += copied
            use.save()
            ContactList.objects.filter(pk=contact_list.pk).update(used_at=timezone.now())
            duplicates.mark_added(campaign, added=copied)
            include_added_recipients(campaign)
    return copied


def note_failed(contact_list: ContactList) -> None:
    """Append to the audit log that a worker could not import a sheet into a list."""
    _note(contact_list, "list_import_failed")


def note_added(contact_list: ContactList, contacts: int) -> None:
    """Append to the audit log that contacts were added to a locked list."""
    _note(contact_list, "contacts_added", contacts=contacts)


def _copy(campaign: Campaign, contact_list: ContactList, use: ListUse) -> int:
    """Copy the contacts after `use.last_contact` into the campaign, with the sizes of their tags. Return how many."""
    tags = list(dict.fromkeys([*campaign.tags, *contact_list.tags]))
    if len(tags) > editing.MAX_TAGS:
        raise InvalidInput(editing.too_many_tags(campaign), code="too_many_tags")
    before = imports.last_row(campaign)
    last = imports.last_row(contact_list)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")  # the size of the list limits the statement
        cursor.execute(
            """INSERT INTO campaigns_recipient (campaign_id, number, "to", tags)
               SELECT %s, number, "to", tags FROM campaigns_contact
                WHERE contact_list_id = %s AND id > %s AND id <= %s ORDER BY id""",
            [campaign.pk, contact_list.pk, use.last_contact, last],
        )
        copied = int(cursor.rowcount)
    if copied:
        sizes = TagMeasurer(contact_list.tags, known=tag_sizes_of(contact_list))
        imports.add_tags(campaign, contact_list.tags, sizes)
        campaign.number_count += copied
        note_measured(campaign, before=before, after=imports.last_row(campaign))
        campaign.save(update_fields=["number_count", "measured_to", "updated_at"])
        use.last_contact = last
    return copied


def _fill(contact_list: ContactList, read: imports.ReadSheet) -> Filled:
    before = contact_list.number_count
    skipped = imports.add_sheet(contact_list, read)
    added = contact_list.number_count - before
    if read.file:
        _note(contact_list, "list_sheet_uploaded")
    else:
        note_added(contact_list, added)
    return Filled(
        contact_list=contact_list,
        added=added,
        skipped=skipped,
        columns=[read.number_heading, *read.columns],
        in_background=bool(read.file),
    )


def _lock(contact_list: ContactList) -> ContactList:
    locked = ContactList.objects.select_for_update(of=("self",), no_key=True)
    found = locked.filter(pk=contact_list.pk).first()
    if found is None:
        raise NotFound("This list was deleted.", code="no_such_list")
    return found


def _note(contact_list: ContactList, action: str, **details: Any) -> None:
    audit.note(
        account_id=contact_list.owner_id,
        action=action,
        kind="list",
        object_id=contact_list.pk,
        name=contact_list.name,
        **details,
    )
