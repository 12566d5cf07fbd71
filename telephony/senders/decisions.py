"""Request, approve, refuse and remove senders."""

from __future__ import annotations

from collections.abc import Collection

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import Account
from iris.errors import Conflict, InvalidInput, NotFound
from telephony.models import PhoneNumber, Sender, SenderOperator, SenderStatus
from telephony.models.numbers import ENDING
from telephony.numbering import to_e164
from telephony.senders.addresses import SenderKind, kind_of, parse_address
from telephony.senders.queued import choose_again, lock_queued_from

MAX_SENDERS = 100  # per account, so that requests cannot fill the table


class TooManySenders(Conflict):
    """The account has the maximum number of senders and requests."""

    default_code = "too_many_senders"


def senders_of(account: Account) -> list[Sender]:
    """Return the account's own senders and requests, then the approved senders of the account above and of all accounts."""
    above = [account.parent_id]
    if account.twin_of is not None:
        above += [account.twin_of_id, account.twin_of.parent_id]
    approved = Sender.objects.filter(status=SenderStatus.APPROVED)
    known = [pk for pk in above if pk is not None]
    inherited = approved.filter(Q(owner__in=known) | Q(owner=None))
    return [*Sender.objects.filter(owner=account).order_by("pk"), *inherited.order_by("owner", "pk")]


@transaction.atomic
def request_senders(
    *, account: Account, address: str, operators: Collection[SenderOperator], note: str = ""
) -> list[Sender]:
    """Request the approval of a sender for some operators. Return a row for each operator.

    A refused sender is requested again. The sender of a test twin is approved at once, because its SMS reach nobody.
    Raises InvalidSender, InvalidInput (a number of somebody else), Conflict (requested or approved already), and
    TooManySenders.
    """
    address = parse_address(address)
    _refuse_numbers_of_others(account, address)
    wanted = sorted(set(operators))
    # The lock makes simultaneous requests of an account wait for each other, so that all of them are counted.
    Account.objects.select_for_update(no_key=True).get(pk=account.pk)
    own = {(one.address, one.operator): one for one in Sender.objects.filter(owner=account, trunk="")}
    found = [own[address, operator] for operator in wanted if (address, operator) in own]
    for one in found:
        if one.status != SenderStatus.REFUSED:
            raise Conflict(
                f"{address} is already {one.get_status_display().lower()} for {one.get_operator_display()}. The list of"
                " senders has it.",
                code="sender_exists",
            )
    if Sender.objects.filter(owner=account).count() + len(wanted) - len(found) > MAX_SENDERS:
        raise TooManySenders(
            f"An account can have {MAX_SENDERS} senders and requests. Delete those that you do not use."
        )
    now = timezone.now()
    asked = {
        "status": SenderStatus.APPROVED if account.is_twin else SenderStatus.REQUESTED,
        "decided_at": now if account.is_twin else None,
        "requested_at": now,
        "note": note,
        "reason": "",
    }
    return [
        Sender.objects.update_or_create(
            owner=account, address=address, trunk="", operator=operator, defaults=asked
        )[0]
        for operator in wanted
    ]


def _refuse_numbers_of_others(account: Account, address: str) -> None:
    """Raise InvalidInput for a phone number of this server that is not the account's own."""
    if kind_of(address) is not SenderKind.NUMBER:
        return
    alike = PhoneNumber.objects.filter(number__endswith=address[-ENDING:])  # in the spelling of the operator
    for number, owner in alike.values_list("number", "owner"):
        if to_e164(number) == address and owner != account.pk:
            raise InvalidInput(
                f"{number} is not your phone number. Buy it first, or request another sender.",
                code="invalid_sender",
            )


@transaction.atomic
def remove_sender(*, account: Account, sender_id: int) -> Sender:
    """Remove an account's sender or request. Its queued SMS get another sender, if the account has one. Raises NotFound."""
    sender = Sender.objects.filter(owner=account, pk=sender_id).first()
    if sender is None or not delete_senders([sender.pk]):
        raise NotFound(
            "You have no sender with this id. The list of senders has their ids.", code="no_such_sender"
        )
    return sender


@transaction.atomic
def delete_senders(ids: Collection[int]) -> int:
    """Remove senders and requests; return how many. Queued SMS get another sender, if their account has one."""
    rows = list(Sender.objects.select_for_update().filter(pk__in=ids).order_by("pk"))
    Sender.objects.filter(pk__in=[one.pk for one in rows]).delete()
    _choose_again_after(rows)
    return len(rows)


def approve(ids: Collection[int]) -> int:
    """Approve senders; return how many were not approved before."""
    return len(_decide(ids, status=SenderStatus.APPROVED, reason=""))


def refuse(ids: Collection[int], *, reason: str) -> int:
    """Refuse senders, or end their approval; return how many have changed. The accounts see the reason.

    Queued SMS get another sender, if the account has one.
    """
    reason = reason.strip()
    if not reason:
        raise InvalidInput("Write a reason. The account sees it.")
    return len(_decide(ids, status=SenderStatus.REFUSED, reason=reason))


@transaction.atomic
def _decide(ids: Collection[int], *, status: SenderStatus, reason: str) -> list[Sender]:
    rows = Sender.objects.select_for_update(no_key=True).filter(pk__in=ids).exclude(status=status)
    changed = list(rows.order_by("pk"))
    Sender.objects.filter(pk__in=[one.pk for one in changed]).update(
        status=status, reason=reason[:300], decided_at=timezone.now()
    )
    _choose_again_after(changed)
    return changed


def end_approvals_of_number(*, account_id: int, number: str, reason: str) -> None:
    """Refuse an account's sender if it is a phone number that the account no longer has. Call this in a transaction."""
    if address := to_e164(number):
        own = Sender.objects.filter(owner=account_id, address=address)
        _decide(list(own.values_list("pk", flat=True)), status=SenderStatus.REFUSED, reason=reason)


def _choose_again_after(changed: Collection[Sender]) -> None:
    """Choose the senders of queued SMS again after approvals have ended.

    `changed` are the senders with their status before the change.
    """
    ended = {one.address for one in changed if one.status == SenderStatus.APPROVED}
    if ended:
        choose_again(lock_queued_from(ended))
