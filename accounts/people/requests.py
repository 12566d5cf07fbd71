"""Export and erase what an account stores about a person, in the background.

The database is the queue. A worker carries out a request in steps that can be repeated, and stores after each step where the
next one begins. So a process that dies, or runs twice, does no harm. Each step calls the holders that the apps have
registered (`accounts.people.registry`).

An erasure first stops what is queued for the number. Then it erases the recipients of all campaigns, and waits until no
process can still queue a call or SMS to a recipient that it read before the erasure. Calls and SMS under way are erased
after they have ended, because their reports still have to find them. Until then the request stays open.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from django.db.models.functions import Now
from django.utils import timezone

from accounts import audit
from accounts.models import Account, PersonRequest
from accounts.models.people import RequestKind, RequestStage
from accounts.people import registry
from accounts.people.persons import Person
from accounts.people.pseudonyms import pseudonym_of
from iris.errors import NotFound

log = logging.getLogger(__name__)

MAX_EXPORTED = 10_000  # rows of each kind in one export
KEEP_RESULT = timedelta(days=7)
_FOR_INCOMING, _FOR_SETTLING, _FOR_ENDS = timedelta(seconds=15), timedelta(seconds=1), timedelta(seconds=5)
_MAX_BACKOFF_SECONDS = 300
_FAILED = "The server failed to carry this out. It tries again; the operator can find the reason in the log."


def request(*, account: Account, kind: RequestKind, number: str) -> PersonRequest:
    """Request an export or an erasure of a number in E.164. Return the open request for the same number if there is one.

    The request covers the account and its test twin, but no departments. `telephony.people.ask` accepts other spellings.
    """
    digest = pseudonym_of(number, owner_id=account.pk)
    known = PersonRequest.objects.filter(account=account, kind=kind, digest=digest, finished_at=None)
    if (running := known.first()) is not None:
        return running
    try:
        with transaction.atomic():
            made = PersonRequest.objects.create(account=account, kind=kind, number=number, digest=digest)
            audit.note(
                account_id=account.pk,
                action="person_exported" if kind is RequestKind.EXPORT else "person_erased",
                kind="account",
                object_id=account.pk,
                request_id=made.pk,
            )
    except IntegrityError:  # another process has just stored the same request
        return known.get()
    made.refresh_from_db()
    return made


def request_of(*, account: Account, pk: int) -> PersonRequest:
    """Return a request of the account. Raises NotFound."""
    found = PersonRequest.objects.filter(account=account, pk=pk).first()
    if found is None:
        raise NotFound(
            "This request does not exist. See the list of requests about people.", code="no_such_request"
        )
    return found


def work(*, budget: float) -> bool:
    """Carry out steps of the open requests in turn until `budget` seconds have passed. Return whether work remains.

    Only one process at a time may call it.
    """
    end = time.monotonic() + budget
    while True:
        due = list(
            PersonRequest.objects.filter(finished_at=None, not_before__lte=timezone.now())
            .order_by("not_before", "pk")
            .values_list("pk", flat=True)[:100]
        )
        if not due:
            return False
        for pk in due:
            one = PersonRequest.objects.get(pk=pk)
            if one.finished_at is None:  # another step may have ended it
                _advance(one)
            if time.monotonic() >= end:
                return True


def remove_results() -> int:
    """Remove the results of exports that ended long ago; return how many."""
    old = PersonRequest.objects.filter(
        kind=RequestKind.EXPORT, result__isnull=False, finished_at__lt=timezone.now() - KEEP_RESULT
    )
    return old.update(result=None)


def _advance(one: PersonRequest) -> None:
    person = _person_of(one)
    one.waits_for = ""
    try:
        if one.kind == RequestKind.EXPORT:
            _export(one, person)
        elif one.stage == RequestStage.SCAN:
            _scan(one, person)
        elif one.stage == RequestStage.SETTLE:
            _settle(one, person)
        else:
            _finish(one, person)
        one.failures = 0
    except (OperationalError, InterfaceError):
        raise
    except Exception:  # the other requests must still be carried out
        log.exception("A step of the request %d about a person failed", one.pk)
        one.refresh_from_db()
        one.failures = min(one.failures + 1, 30)
        one.waits_for = _FAILED
        one.not_before = timezone.now() + timedelta(seconds=min(2**one.failures, _MAX_BACKOFF_SECONDS))
    one.save()


def _person_of(one: PersonRequest) -> Person:
    twins = Account.objects.filter(twin_of=one.account_id).values_list("pk", flat=True)
    return Person(
        [one.account_id, *twins],
        one.number,
        since=one.requested_at,
        until=one.settled_at or one.requested_at,
    )


def _scan(one: PersonRequest, person: Person) -> None:
    if not one.marks:
        for holder in registry.holders():
            holder.stop(person)
        one.scans_again = bool(_incoming(one, person))
    for holder in _unread(one):
        step = holder.erase_next(person, after=one.marks.get(holder.name, 0))
        one.marks[holder.name] = None if step is None else step.mark
        if step is not None:
            _count(one, step.counts)
            return
    if not one.scans_again:
        one.stage = RequestStage.SETTLE
    elif reason := _incoming(one, person):
        _wait(one, _FOR_INCOMING, reason)
    else:  # read everything again, because data have arrived during the first scan
        one.marks, one.scans_again = {}, False


def _incoming(one: PersonRequest, person: Person) -> str:
    return _first(holder.incoming(person, before=one.requested_at) for holder in registry.holders())


def _settle(one: PersonRequest, person: Person) -> None:
    if reason := _first(holder.settle(person) for holder in registry.holders()):
        _wait(one, _FOR_SETTLING, reason)
        return
    for holder in registry.holders():
        holder.stop(person)
    PersonRequest.objects.filter(pk=one.pk).update(settled_at=Now())
    one.refresh_from_db(fields=["settled_at"])
    one.stage = RequestStage.WAIT


def _finish(one: PersonRequest, person: Person) -> None:
    for holder in registry.holders():
        _count(one, holder.erase(person))
    if reason := _first(holder.under_way(person) for holder in registry.holders()):
        _wait(one, _FOR_ENDS, reason)
        return
    for holder in registry.holders():
        _count(one, holder.finish(person))
    for owner_id in person.owner_ids:
        digest = pseudonym_of(person.number, owner_id=owner_id)
        exports = PersonRequest.objects.filter(account=owner_id, kind=RequestKind.EXPORT, digest=digest)
        exports.filter(finished_at=None).update(stage=RequestStage.DONE, finished_at=Now())
        exports.update(result=None, number="")
    _end(one)


def _export(one: PersonRequest, person: Person) -> None:
    result: dict[str, list[dict[str, Any]]] = one.result or {}
    for holder in _unread(one):
        room = MAX_EXPORTED - sum(len(rows) for rows in result.values())
        step = holder.export_next(person, after=one.marks.get(holder.name, 0), most=room)
        one.marks[holder.name] = None if step is None else step.mark
        if step is not None:
            for kind, rows in step.rows.items():
                result.setdefault(kind, []).extend(rows)
            break
    else:
        for holder in registry.holders():
            result |= holder.export(person, most=MAX_EXPORTED)
        _end(one)
    one.result, one.found = result, {kind: len(rows) for kind, rows in result.items()}


def _unread(one: PersonRequest) -> list[registry.Holder]:
    """Return the holders whose steps are not finished. The mark of a finished holder is None."""
    return [holder for holder in registry.holders() if one.marks.get(holder.name, 0) is not None]


def _first(sentences: Iterator[str]) -> str:
    return next(filter(None, sentences), "")


def _end(one: PersonRequest) -> None:
    one.stage, one.number, one.finished_at = RequestStage.DONE, "", timezone.now()


def _count(one: PersonRequest, counts: dict[str, int]) -> None:
    one.found = {**one.found, **{kind: one.found.get(kind, 0) + count for kind, count in counts.items()}}


def _wait(one: PersonRequest, time_to_wait: timedelta, what_for: str) -> None:
    one.not_before, one.waits_for = timezone.now() + time_to_wait, what_for
