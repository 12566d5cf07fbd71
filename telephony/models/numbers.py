"""Phone numbers that accounts can buy."""

from __future__ import annotations

import enum
from typing import ClassVar, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from accounts.models import Account
from telephony.models.deliveries import Channel

ENDING = 7  # digits that all spellings of a number end with
# Words in `capabilities`, which is free text. A number whose text has none of them can do everything.
_WORDS = {Channel.CALL: ("voice", "call"), Channel.SMS: ("sms",)}


class NumberState(enum.StrEnum):
    AVAILABLE = "available"
    RESERVED = "reserved"
    SOLD = "sold"
    RETIRED = "retired"


def _mentions(channel: Channel) -> Q:
    found = Q()
    for word in _WORDS[channel]:
        found |= Q(capabilities__icontains=word)
    return found


def routed_trunks() -> list[str]:
    """Return the aliases of all trunks that are in a route."""
    return sorted(
        {
            alias
            for routes in settings.ROUTES.values()
            for route in routes
            for alias in ([route] if isinstance(route, str) else route["trunks"])
        }
    )


class PhoneNumberQuerySet(models.QuerySet["PhoneNumber"]):
    def for_sale_to(self, account: Account) -> Self:
        """Return the numbers that an account can buy. A test twin can buy only those that were invented for it.

        A number that no trunk of the routes can show is not for sale. A reserved number is for sale only to its account.
        """
        return self.filter(
            Q(is_reserved=False) | Q(reserved_for=account),
            Q(trunks=[]) | Q(trunks__overlap=routed_trunks()),
            owner=None,
            retired_at=None,
            invented_for=account if account.is_twin else None,
        )

    def limited(self) -> Self:
        """Return the numbers that only some calls or SMS can show."""
        return self.exclude(Q(trunks=[]), _mentions(Channel.CALL), _mentions(Channel.SMS))

    def in_state(self, state: NumberState) -> Self:
        match state:
            case NumberState.RETIRED:
                return self.filter(retired_at__isnull=False)
            case NumberState.SOLD:
                return self.filter(owner__isnull=False)
            case NumberState.RESERVED:
                return self.filter(is_reserved=True, owner=None, retired_at=None)
        return self.filter(is_reserved=False, owner=None, retired_at=None)


class PhoneNumber(models.Model):
    """A phone number that an account can buy and use as caller. It is for sale while `state` is AVAILABLE.

    available ⇄ reserved ─► sold ─► available; any of them ─► retired ─► available. `telephony.inventory` changes the state.
    The numbers of test twins are invented: nobody else sees them, and no carrier ever gets them.
    """

    number = models.CharField(max_length=32, unique=True)
    sid = models.CharField(
        max_length=32, unique=True, help_text="32 lower-case hex digits. They never change for this number."
    )
    rate = models.DecimalField(
        max_digits=10,
        decimal_places=2,
        help_text="Price in credits, charged when an account buys the number.",
    )
    capabilities = models.CharField(
        max_length=100,
        default="Voice, SMS",
        help_text="Voice, SMS, or both. The account's calls or SMS come from another number if this one cannot show them.",
    )
    trunks = ArrayField(
        models.CharField(max_length=50),
        default=list,
        db_default=[],
        blank=True,
        help_text="Aliases of the trunks that can show the number, separated by commas. Empty: all of them.",
    )
    is_reserved = models.BooleanField(
        "reserved", default=False, db_default=False, help_text="Not for sale, except to the account below."
    )
    reserved_for = models.ForeignKey(
        "accounts.Account",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="reserved_numbers",
        db_index=False,
        help_text="The account that can buy the reserved number.",
    )
    retired_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When the operator withdrew the number. Nobody can buy it, or call from it.",
    )
    friendly_name = models.CharField(max_length=100, blank=True)
    owner = models.ForeignKey(
        "accounts.Account",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="phone_numbers",
    )
    bought_at = models.DateTimeField(null=True, blank=True)
    invented_for = models.ForeignKey(
        "accounts.Account",
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="invented_numbers",
        db_index=False,
        help_text="The test twin for which iris has invented the number. Empty for real numbers.",
    )

    objects = PhoneNumberQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["owner", "id"]),
            models.Index(
                fields=["invented_for", "id"],
                condition=models.Q(invented_for__isnull=False),
                name="phone_number_invented",
            ),
        ]
        constraints: ClassVar = [
            # A trigger keeps real numbers from test twins.
            models.CheckConstraint(
                condition=models.Q(invented_for=None)
                | models.Q(owner=None)
                | models.Q(owner=models.F("invented_for")),
                name="invented_number_stays_with_its_twin",
            ),
            models.CheckConstraint(
                condition=models.Q(owner=None)
                | models.Q(retired_at=None, is_reserved=False, reserved_for=None),
                name="sold_number_is_neither_reserved_nor_retired",
                violation_error_message="A sold number is neither reserved nor retired.",
            ),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def state(self) -> NumberState:
        if self.retired_at is not None:
            return NumberState.RETIRED
        if self.owner_id is not None:
            return NumberState.SOLD
        return NumberState.RESERVED if self.is_reserved else NumberState.AVAILABLE

    def can_show(self, channel: Channel, alias: str | None = None) -> bool:
        """Return whether calls or SMS can come from the number through this trunk, or through some trunk."""
        text = self.capabilities.lower()
        able = {one for one, words in _WORDS.items() if any(word in text for word in words)}
        return (not able or channel in able) and (not self.trunks or alias is None or alias in self.trunks)
