"""Find phone numbers and senders that the trunks of this server cannot show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.db.models.functions import Right

from telephony.models import Channel, PhoneNumber, Sender, SenderStatus
from telephony.models.numbers import ENDING, routed_trunks
from telephony.numbering import to_e164
from telephony.senders.choosing import needs_sender, takes_senders

SHOWN = 5  # maximum number of numbers or senders in a sentence


def sentences() -> list[str]:
    """Return a sentence for each inconsistency that an operator should correct."""
    return [*_numbers(), *_senders()]


def _numbers() -> Iterator[str]:
    routed = routed_trunks()
    out_of_reach = ~Q(trunks=[]) & ~Q(trunks__overlap=routed)
    real = PhoneNumber.objects.filter(invented_for=None, retired_at=None)
    sold = real.filter(out_of_reach, owner__isnull=False)
    if count := sold.count():
        yield (
            f"No trunk of the routes can show {_counted(count, 'sold number')}: {_named(sold, 'number')}. Correct their"
            " trunks, or retire them."
        )
    free = real.filter(out_of_reach, owner=None)
    if count := free.count():
        yield (
            f"{_counted(count, 'number')} cannot be bought, because no trunk of the routes can show them:"
            f" {_named(free, 'number')}."
        )
    wrong = [
        one.number
        for one in real.filter(owner__isnull=False, trunks__overlap=routed).iterator()
        if not any(
            _serves(alias, channel) for alias in one.trunks for channel in Channel if one.can_show(channel)
        )
    ]
    if wrong:
        yield (
            f"The trunks of {_counted(len(wrong), 'sold number')} serve other channels than the numbers can show:"
            f" {_listed(wrong)}."
        )


def _serves(alias: str, channel: Channel) -> bool:
    """Return whether a route of the channel contains the trunk."""
    return any(
        alias == route if isinstance(route, str) else alias in route["trunks"]
        for route in settings.ROUTES[channel.value]
    )


def _senders() -> Iterator[str]:
    approved = Sender.objects.filter(status=SenderStatus.APPROVED)
    unknown = approved.exclude(trunk__in=["", *settings.CARRIERS])
    if count := unknown.count():
        yield f"Approved senders for trunks that are not configured ({count:,}): {_named(unknown, 'address')}."
    deaf = [alias for alias in settings.CARRIERS if not takes_senders(alias)]
    useless = approved.filter(trunk__in=deaf)
    if count := useless.count():
        yield (
            f"Approved senders for trunks whose carriers take no senders ({count:,}):"
            f" {_named(useless, 'address')}."
        )
    numbers = dict(approved.filter(address__startswith="+").values_list("address", "owner"))
    endings = {address[-ENDING:] for address in numbers}
    inventory = PhoneNumber.objects.annotate(ending=Right("number", ENDING)).filter(ending__in=endings)
    strange = sorted(
        {
            address
            for number, owner in inventory.values_list("number", "owner")
            if (address := to_e164(number)) in numbers and owner != numbers[address]
        }
    )
    if strange:
        yield f"Approved senders that are numbers of others ({len(strange):,}): {_listed(strange)}."
    for alias in settings.CARRIERS:
        if needs_sender(alias) and not approved.filter(trunk__in=["", alias]).exists():
            yield f"The trunk {alias} needs an approved sender for each SMS, and no sender is approved for it."


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _named(rows: QuerySet[Any], field: str) -> str:
    return _listed(list(rows.order_by("pk").values_list(field, flat=True)[: SHOWN + 1]))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (" and others" if len(names) > SHOWN else "")
