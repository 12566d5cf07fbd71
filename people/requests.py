"""Export and erase what an account stores about a person, in the background.

The database is the queue. A worker carries out a request in steps that can be repeated, and stores after each step
where the next one begins. So a process that dies, or runs twice, does no harm.

An erasure first stops what is queued for the number. Then it erases the recipients of all campaigns, and waits until no
process can still queue a call from what it has read before. The calls and SMS that are under way are erased when they
have ended, because their reports still have to find them: until then the request stays open.
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from django.db.models.functions import Now
from django.utils import timezone

from accounts import audit
from accounts.models import Account
from campaigns import people as campaigns
from iris import kept_answers
from iris.errors import InvalidInput, NotFound
from otp import people as otps
from people.models import Kind, PersonRequest, Stage
from telephony import numbering
from telephony import people as telephony
from telephony.engine.nudge import nudge
from telephony.persons import Person
from telephony.pseudonyms import pseudonym_of

log = logging.getLogger(__name__)

MAX_EXPORTED = 10_000  # rows of each kind in one export
KEEP_RESULT = timedelta(days=7)
_IMPORTS, _FILLERS, _MESSAGES = timedelta(seconds=15), timedelta(seconds=1), timedelta(seconds=5)
_MAX_BACKOFF_SECONDS = 300
_WAITS_FOR_IMPORTS = "A sheet is being imported. Its recipients are read when that is done."
_WAITS_FOR_FILLERS = "A running campaign prepares calls or SMS."
_WAITS_FOR_MESSAGES = "Calls or SMS to the number are under way. They are erased when they have ended."
_FAILED = "The server failed to carry this out. It tries again; the operator can find the reason in the log."


def request(*, account: Account, kind: Kind, number: object) -> PersonRequest:
    """Ask for an export or an erasure; return the request. A request for the same number that is still open is returned.

    It concerns the account and its test twin, but no departments. Raises InvalidInput for a number that cannot exist.
    """
    parsed = numbering.parse(number)
    if not parsed.to:
        raise InvalidInput(
            f"{parsed.number} is not a valid phone number. Check its digits and its country code. Recipients with a number"
            " that cannot exist are deleted in their campaign.",
            code="invalid_number",
        )
    digest = pseudonym_of(parsed.to, owner_id=account.pk)
    known = PersonRequest.objects.filter(account=account, kind=kind, digest=digest, finished_at=None)
    if (running := known.first()) is not None:
        return running
    try:
        with transaction.atomic():
            made = PersonRequest.objects.create(account=account, kind=kind, number=parsed.to, digest=digest)
            audit.note(
                account_id=account.pk,
                action="person_exported" if kind is Kind.EXPORT else "person_erased",
                kind="account",
                object_id=account.pk,
                request_id=made.pk,
            )
    except IntegrityError:  # another request was faster
        return known.get()
    nudge("people.tasks.work")
    made.refresh_from_db()
    return made


def request_of(*, account: Account, pk: int) -> PersonRequest:
    """Return a request of the account. Raises NotFound."""
    found = PersonRequest.objects.filter(account=account, pk=pk).first()
    if found is None:
        raise NotFound("There is no such request. See the list of requests about people.")
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
        kind=Kind.EXPORT, result__isnull=False, finished_at__lt=timezone.now() - KEEP_RESULT
    )
    return old.update(result=None)


def _advance(one: PersonRequest) -> None:
    person = _person_of(one)
    one.waits_for = ""
    try:
        if one.kind == Kind.EXPORT:
            _export(one, person)
        elif one.stage == Stage.SCAN:
            _scan(one, person)
        elif one.stage == Stage.SETTLE:
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
    return Person([one.account_id, *twins], one.number, until=one.settled_at or one.requested_at)


def _scan(one: PersonRequest, person: Person) -> None:
    if not one.cursor:
        telephony.stop(person)
        one.scans_again = campaigns.importing(person, before=one.requested_at)
    step = campaigns.erase_next(person, after=one.cursor)
    if step is not None:
        one.cursor = step.last
        _count(one, recipients=step.recipients)
    elif one.scans_again:
        one.cursor = 0
        _wait(one, _IMPORTS, _WAITS_FOR_IMPORTS)
    else:
        one.stage = Stage.SETTLE


def _settle(one: PersonRequest, person: Person) -> None:
    if not campaigns.wait_for_fillers(person):
        _wait(one, _FILLERS, _WAITS_FOR_FILLERS)
        return
    telephony.stop(person)
    PersonRequest.objects.filter(pk=one.pk).update(settled_at=Now())
    one.refresh_from_db(fields=["settled_at"])
    one.stage = Stage.WAIT


def _finish(one: PersonRequest, person: Person) -> None:
    _count(one, otps=otps.erase(person), **telephony.erase(person))
    if telephony.has_unfinished(person):
        _wait(one, _MESSAGES, _WAITS_FOR_MESSAGES)
        return
    _count(one, sandbox=telephony.erase_sandbox(person))
    kept_answers.erase_where(person.owner_ids, person.is_in)
    for owner_id in person.owner_ids:
        digest = pseudonym_of(person.number, owner_id=owner_id)
        exports = PersonRequest.objects.filter(account=owner_id, kind=Kind.EXPORT, digest=digest)
        exports.filter(finished_at=None).update(stage=Stage.DONE, finished_at=Now())
        exports.update(result=None, number="")
    one.stage, one.number, one.finished_at = Stage.DONE, "", timezone.now()


def _export(one: PersonRequest, person: Person) -> None:
    result: dict[str, Any] = one.result or {"recipients": []}
    room = MAX_EXPORTED - len(result["recipients"])
    step = campaigns.export_next(person, after=one.cursor, most=room)
    if step is not None:
        one.cursor, rows = step
        result["recipients"] += rows
        _count(one, recipients=len(rows))
    else:
        result |= telephony.export(person, most=MAX_EXPORTED)
        result["otps"] = otps.export(person, most=MAX_EXPORTED)
        one.found = {kind: len(rows) for kind, rows in result.items()}
        one.stage, one.number, one.finished_at = Stage.DONE, "", timezone.now()
    one.result = result


def _count(one: PersonRequest, **counts: int) -> None:
    one.found = {**one.found, **{kind: one.found.get(kind, 0) + count for kind, count in counts.items()}}


def _wait(one: PersonRequest, time_to_wait: timedelta, what_for: str) -> None:
    one.not_before, one.waits_for = timezone.now() + time_to_wait, what_for
