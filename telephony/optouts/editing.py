"""Change an account's opt-out list: what members and API keys do, one number or a file at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from django.db import transaction

from accounts import actors, audit
from accounts.actors import ActorKind
from accounts.models import Account
from accounts.people.pseudonyms import spellings_of
from iris import csv_files
from iris.errors import InvalidInput, NotFound
from telephony.models import Channel, OptOut, OptOutWay
from telephony.numbering import InvalidNumber, parser, to_e164
from telephony.optouts.lists import NewOptOut, add, remove

COLUMNS, OPTIONAL_COLUMNS = ("number",), ("channel", "reason")
MAX_ROWS = 10_000
MAX_REASON_CHARACTERS = 200
# The words for channels in requests and files. None stands for both channels.
CHANNELS: dict[str, Channel | None] = {
    "all": None,
    "call": Channel.CALL,
    "phone": Channel.CALL,
    "sms": Channel.SMS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """How many numbers were sent, each once, and how many of them were not on the list before."""

    numbers: int
    added: int


@transaction.atomic
def list_numbers(
    *,
    account: Account,
    numbers: Sequence[object],
    channel: Channel | None = None,
    reason: str = "",
    **evidence: Any,
) -> Listed:
    """Add numbers to the account's opt-out list. Raises InvalidInput for an impossible number; nothing changes then.

    `evidence` is stored with each number, together with who acts. It says, for example, in which campaign the person is.
    """
    read = _reader()
    found = []
    for number in numbers:
        try:
            found.append(read(number))
        except InvalidInput as error:
            raise InvalidInput(f"{error.message} No number was added.", code=error.code) from error
    return _list(account, [(number, channel, reason) for number in found], way=_way_of_actor(), **evidence)


@transaction.atomic
def import_numbers(*, account: Account, file: BinaryIO, name: str = "") -> Listed:
    """Add the numbers in a CSV file with the column `number`, and optionally `channel` and `reason`.

    Raises InvalidInput with the first wrong rows; nothing changes then.
    """
    read = _reader()
    rows: list[tuple[str, Channel | None, str]] = []
    errors: list[tuple[int, str]] = []
    for line, cells in csv_files.records(file, needed=COLUMNS, optional=OPTIONAL_COLUMNS):
        word = cells.get("channel", "").strip().lower() or "all"
        try:
            if word not in CHANNELS:
                raise InvalidInput(f"{csv_files.quoted(word)} is not a channel: write call, sms or all")
            rows.append((read(cells.get("number", "")), CHANNELS[word], cells.get("reason", "").strip()))
        except InvalidInput as error:
            errors.append((line, error.message.rstrip(".")))
        if len(rows) + len(errors) > MAX_ROWS:
            raise InvalidInput(
                f"The file has more than {MAX_ROWS:,} numbers. Split it.", code="too_many_rows"
            )
    if errors:
        raise csv_files.wrong_rows(errors, so="no number was added")
    if not rows:
        raise InvalidInput("The file has no numbers below its headings.", code="empty_file")
    return _list(account, rows, way=OptOutWay.IMPORT, file=name[:100])


@transaction.atomic
def unlist(*, account: Account, number: object) -> str:
    """Remove a number from the account's opt-out list; return it in E.164. Raises NotFound."""
    to = to_e164(number)
    if not to or not remove([(account.pk, to)]):
        raise _not_listed(number)
    audit.note(account_id=account.pk, action="opt_out_removed", kind="opt_out", name=_masked(to))
    return to


def find(*, account: Account, number: object) -> OptOut:
    """Return the opt-out of a number, also of an erased one. Raises NotFound."""
    to = to_e164(number)
    found = OptOut.objects.filter(owner=account, number__in=spellings_of(to, owner_id=account.pk)).first()
    if found is None:
        raise _not_listed(number)
    return found


def _not_listed(number: object) -> NotFound:
    return NotFound(f"{str(number)[:40]} is not on the opt-out list of this account.", code="not_opted_out")


def _list(
    account: Account, rows: Iterable[tuple[str, Channel | None, str]], *, way: OptOutWay, **evidence: Any
) -> Listed:
    by = actors.current()
    proof = {"by": by.kind.value, "id": by.key_id or by.user_id, "name": by.name or by.email, **evidence}
    new = [
        NewOptOut(owner_id=account.pk, number=number, channel=channel, way=way, source=reason, evidence=proof)
        for number, channel, reason in rows
    ]
    added, numbers = add(new), {one.number for one in new}
    if added:
        audit.note(
            account_id=account.pk,
            action="opt_outs_added",
            kind="opt_out",
            name=_masked(new[0].number) if len(numbers) == 1 else "",
            numbers=added,
        )
    return Listed(numbers=len(numbers), added=added)


def _reader() -> Callable[[object], str]:
    """Return a function that returns a number in E.164. It raises InvalidInput if the number cannot exist."""
    parse = parser()

    def read(number: object) -> str:
        parsed = parse(number)
        if not parsed.to:
            raise InvalidNumber(f"{parsed.number} is not a phone number of any country.")
        return parsed.to

    return read


def _way_of_actor() -> OptOutWay:
    return OptOutWay.API if actors.current().kind is ActorKind.KEY else OptOutWay.PERSON


def _masked(number: str) -> str:
    """Return a number as the audit log shows it: nobody can erase what is in the log."""
    return f"…{number[-2:]}"
