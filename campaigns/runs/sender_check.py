"""Refuse to begin a run if some of its SMS would have no approved sender."""

from __future__ import annotations

from django.conf import settings
from django.db.models import Count, QuerySet
from django.db.models.functions import Left

from accounts.models import Account
from campaigns.models import Recipient
from telephony.engine.routing import Router
from telephony.models import Channel
from telephony.numbering import OPERATOR_PREFIX_LENGTH
from telephony.senders.choosing import SenderChoice, needs_sender, no_sender

OF_NO_OPERATOR = ""  # a prefix for which `SenderChoice.pick` finds only senders for all operators


def refuse_without_sender(account: Account, recipients: QuerySet[Recipient]) -> None:
    """Raise NoSender if a trunk needs an approved sender for some of these recipients, and the account has none.

    Reads the recipients, with one query that groups them by prefix, only if a trunk needs senders and the account has none
    for all operators. Numbers that cannot exist do not count, because no SMS is sent to them.
    """
    if account.is_twin or not any(needs_sender(alias) for alias in settings.CARRIERS):
        return  # the trunk of test twins needs no senders
    router = Router(Channel.SMS)
    choice = SenderChoice([account.pk])
    aliases = {router.alias_of[trunk] for trunk in router.trunk_by_prefix.values()}
    if all(choice.pick(account.pk, alias, OF_NO_OPERATOR) is not None for alias in aliases):
        return
    length = max(OPERATOR_PREFIX_LENGTH, *(len(prefix) for prefix in router.trunk_by_prefix))
    counts = (
        recipients.exclude(to="").order_by().values_list(Left("to", length)).annotate(Count("pk")).order_by()
    )
    missing = {
        prefix: count
        for prefix, count in counts
        if choice.pick(account.pk, router.alias_of[router.pick_for(account.pk, prefix, choice)], prefix)
        is None
    }
    if missing:
        raise no_sender(missing, counts=missing.values())
