"""What contact lists store about people: requests about people erase and export it, and old lists are emptied."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from django.db import connection, transaction
from django.db.models import Q

from accounts.people.passes import Pass
from accounts.people.persons import Person
from accounts.people.registry import ErasedStep, Expiry, ExportedStep, Holder
from campaigns.models import Contact, ContactList, ImportStatus, SheetImport
from campaigns.recipients.lists import remove_all_contacts

__all__ = ["EXPIRIES", "HOLDER"]

# Maximum numbers of lists and of contacts in one step. A single list may have more contacts.
LISTS_AT_ONCE, CONTACTS_AT_ONCE = 500, 100_000
BATCH = 500

_IMPORTING = "A sheet is being imported into a list. Its contacts are read when that is done."


class ListsHolder(Holder):
    """Registered before the holder of campaigns: when campaigns are read, no list can give them the person any more."""

    name = "lists"

    def incoming(self, person: Person, *, before: datetime) -> str:
        pending = SheetImport.objects.filter(
            contact_list__owner__in=person.owner_ids, status=ImportStatus.IMPORTING, created_at__lte=before
        )
        return _IMPORTING if pending.exists() else ""

    def erase_next(self, person: Person, *, after: int) -> ErasedStep | None:
        """Remove the person from the next lists after the id `after`. Empty other contacts' tags that have the number."""
        lists = _next_lists(person, after=after)
        if not lists:
            return None
        removed = mentions = 0
        for pk in lists:
            with transaction.atomic():
                # The lock waits for campaigns that are copying the contacts.
                ContactList.objects.select_for_update(of=("self",), no_key=True).filter(pk=pk).first()
                own, others = _found_in(person, [pk])
                count, _ = Contact.objects.filter(pk__in=own).delete()
                if count:
                    _subtract(pk, count)
                removed += count
                mentions += sum(
                    _erase_from_tags(person, others[at : at + BATCH]) for at in range(0, len(others), BATCH)
                )
        _erase_from_errors(person, lists)
        return ErasedStep(lists[-1], {"contacts": removed, "mentions": mentions})

    def export_next(self, person: Person, *, after: int, most: int) -> ExportedStep | None:
        lists = _next_lists(person, after=after)
        if not lists:
            return None
        rows = Contact.objects.filter(contact_list__in=lists, to=person.number).order_by("pk")
        found = rows.select_related("contact_list")[:most]
        contacts = [
            {
                "id": row.pk,
                "list": {"id": row.contact_list_id, "name": row.contact_list.name},
                "number": row.number,
                "tags": row.tags,
            }
            for row in found
        ]
        return ExportedStep(lists[-1], {"contacts": contacts})


def _next_lists(person: Person, *, after: int) -> list[int]:
    rows = ContactList.objects.filter(owner__in=person.owner_ids, pk__gt=after).order_by("pk")
    chosen: list[int] = []
    contacts = 0
    for pk, count in rows.values_list("pk", "number_count")[:LISTS_AT_ONCE]:
        contacts += count
        if chosen and contacts > CONTACTS_AT_ONCE:
            break
        chosen.append(pk)
    return chosen


def _found_in(person: Person, lists: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return the ids of the person's contacts, and of other contacts whose tags may contain the number."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT id, "to" = %s FROM campaigns_contact
                WHERE contact_list_id = ANY(%s) AND ("to" = %s OR tags::text ~ %s) ORDER BY id""",
            [person.number, list(lists), person.number, person.core],
        )
        rows = cursor.fetchall()
    return [pk for pk, is_own in rows if is_own], [pk for pk, is_own in rows if not is_own]


def _subtract(pk: int, count: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE campaigns_contactlist SET number_count = number_count - %s WHERE id = %s", [count, pk]
        )


def _erase_from_tags(person: Person, contacts: Sequence[int]) -> int:
    """Empty the tag values that contain the number; return how many contacts had it. Their list must be locked."""
    changed: dict[int, str] = {}
    for row in Contact.objects.filter(pk__in=contacts).order_by("pk").only("pk", "tags"):
        tags = {tag: "" if person.is_in(str(value)) else value for tag, value in row.tags.items()}
        if tags != row.tags:
            changed[row.pk] = json.dumps(tags, ensure_ascii=False)
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE campaigns_contact c SET tags = changed.tags
                 FROM unnest(%s::bigint[], %s::jsonb[]) AS changed(id, tags) WHERE c.id = changed.id""",
            [list(changed), list(changed.values())],
        )
    return len(changed)


def _erase_from_errors(person: Person, lists: Sequence[int]) -> None:
    """Erase the number in the skipped rows of sheets."""
    ended = SheetImport.objects.filter(contact_list__in=lists).exclude(status=ImportStatus.IMPORTING)
    for pk, errors in ended.exclude(errors=[]).values_list("pk", "errors"):
        if person.is_in(json.dumps(errors, ensure_ascii=False)):
            kept = [error | {"message": person.without(str(error.get("message", "")))} for error in errors]
            SheetImport.objects.filter(pk=pk).update(errors=kept)


def _empty_unused_lists(one: Pass, before: datetime) -> None:
    """Remove the contacts of lists that were neither changed nor used since this time."""
    unused = ContactList.objects.filter(
        Q(used_at=None) | Q(used_at__lt=before), owner=one.account, updated_at__lt=before, number_count__gt=0
    )
    for pk in list(unused.order_by("pk").values_list("pk", flat=True)):
        with transaction.atomic():
            locked = unused.select_for_update(of=("self",), no_key=True).filter(pk=pk).first()
            removed = 0 if locked is None else remove_all_contacts(locked)
        one.count("contacts", removed)


HOLDER = ListsHolder()
EXPIRIES = (Expiry("keep_recipients_days", _empty_unused_lists),)
