"""The names and numbers that an account's SMS come from. TingTing's API has none; this is an addition of iris."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.account import account_of
from accounts.api.permissions import needs
from accounts.models import Account
from accounts.permissions import Permission
from iris.api.envelope import success
from iris.api.fields import Text, errors_for_this_field, validated
from iris.api.lists import Words
from iris.api.viewsets import V0ViewSet
from telephony.models import Sender, SenderOperator
from telephony.senders import decisions
from telephony.senders.addresses import kind_of, parse_address

EVERY = "all"
OPERATORS = {EVERY: SenderOperator.EVERY, **{one.value: one for one in SenderOperator if one.value}}
SHOWN = {operator.value: word for word, operator in OPERATORS.items()}


class Address(Text):
    """A name, a number or a short code."""

    def to_internal_value(self, data: Any) -> str:
        with errors_for_this_field():
            return parse_address(super().to_internal_value(data))


class NewSender(serializers.Serializer[Any]):
    sender = Address(
        max_length=40,
        error_messages={"required": "Send the name, the number or the short code that SMS shall come from."},
    )
    operators = Words(OPERATORS, required=False)
    note = Text(max_length=300, required=False)


class SenderViewSet(V0ViewSet):
    @needs(Permission.MANAGE_ACCOUNT)
    def list(self, request: Request) -> Response:
        """List the account's senders and requests, and the approved senders of the account above and of all accounts."""
        account = account_of(request)
        return success({"senders": [_sender_json(one, account) for one in decisions.senders_of(account)]})

    @needs(Permission.MANAGE_ACCOUNT)
    def create(self, request: Request) -> Response:
        new = validated(NewSender(data=request.data))
        account = account_of(request)
        requested = decisions.request_senders(
            account=account,
            address=new["sender"],
            operators=new.get("operators", [SenderOperator.EVERY]),
            note=new.get("note", ""),
        )
        return success(
            {"senders": [_sender_json(one, account) for one in requested]},
            message="Sender approved: the SMS of a test twin reach nobody."
            if account.is_twin
            else "Sender requested. SMS come from it as soon as the operator has approved it.",
            status=201,
        )

    @needs(Permission.MANAGE_ACCOUNT)
    def destroy(self, request: Request, sender_id: int) -> Response:
        account = account_of(request)
        removed = decisions.remove_sender(account=account, sender_id=sender_id)
        return success({"sender": _sender_json(removed, account)}, message="Sender removed.")


def _sender_json(sender: Sender, account: Account) -> dict[str, Any]:
    """Return a sender.

    `own` is false for a sender of the account above or of all accounts, which this account cannot remove.
    """
    decided = sender.decided_at
    return {
        "id": sender.pk,
        "sender": sender.address,
        "kind": kind_of(sender.address).value,
        "operator": SHOWN[sender.operator],
        "status": sender.status,
        "reason": sender.reason,
        "note": sender.note if sender.owner_id == account.pk else "",
        "own": sender.owner_id == account.pk,
        "requested_at": timezone.localtime(sender.requested_at).isoformat(),
        "decided_at": None if decided is None else timezone.localtime(decided).isoformat(),
    }
