"""Tariffs: what operators charge for SMS and calls to each destination, and the frozen lists that runs refer to."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models.functions import Now

from telephony.models.deliveries import Channel
from telephony.pricing import RATE_DIGITS, RATE_PLACES

MAX_PREFIX_DIGITS = 15  # maximum number of digits in E.164
# A call of the longest recording in pulses of a second still costs less than a delivery may capture.
MAX_RATE = Decimal(10_000)
MAX_PULSE_SECONDS = 3600


class Tariff(models.Model):
    """The prices of some accounts. An account without a tariff has its parent's tariff, otherwise the default tariff."""

    name = models.CharField(max_length=100, unique=True)
    is_default = models.BooleanField(
        "default", default=False, help_text="It applies to all accounts that have no other tariff."
    )
    refuses_unpriced = models.BooleanField(
        "refuse other destinations",
        default=False,
        help_text="Refuse calls and SMS to destinations without a price here. Otherwise they cost what the settings say.",
    )
    # Triggers increment this with each change of the prices, whichever program writes them.
    revision = models.BigIntegerField(default=0, db_default=0, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["is_default"],
                condition=models.Q(is_default=True),
                name="one_default_tariff",
                violation_error_message="Another tariff is the default. Change that one first.",
            )
        ]

    def __str__(self) -> str:
        return self.name


class TariffPrice(models.Model):
    """The price of one channel for the numbers that begin with a prefix.

    If several prefixes match, the longest one applies.
    """

    tariff = models.ForeignKey(Tariff, on_delete=models.CASCADE, related_name="prices", db_index=False)
    channel = models.CharField(max_length=4, choices=Channel)
    prefix = models.CharField(
        max_length=MAX_PREFIX_DIGITS,
        validators=[
            RegexValidator(
                r"\A[1-9][0-9]*\Z", "Write digits that begin with a country code, such as 977 or 97798."
            )
        ],
        help_text="The first digits of the number, with the country code and without +.",
    )
    credits = models.DecimalField(
        max_digits=RATE_DIGITS,
        decimal_places=RATE_PLACES,
        validators=[MinValueValidator(Decimal(0)), MaxValueValidator(MAX_RATE)],
        help_text="For each segment of an SMS, or each started pulse of a call.",
    )
    pulse_seconds = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_PULSE_SECONDS)],
        help_text="Length of a pulse. Only calls have one.",
    )

    class Meta:
        verbose_name = "price"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tariff", "channel", "prefix"],
                name="one_price_for_prefix",
                violation_error_message="The tariff already has a price for this channel and prefix.",
            ),
            models.CheckConstraint(
                condition=models.Q(prefix__regex=r"^[1-9][0-9]*$"),
                name="price_has_a_prefix",
                violation_error_message="The prefix must be digits that begin with a country code.",
            ),
            models.CheckConstraint(
                condition=models.Q(credits__gte=0, credits__lte=MAX_RATE), name="price_is_in_range"
            ),
            models.CheckConstraint(
                condition=models.Q(channel=Channel.SMS, pulse_seconds__isnull=True)
                | models.Q(
                    channel=Channel.CALL,
                    pulse_seconds__isnull=False,  # otherwise the condition would be null, which a check accepts
                    pulse_seconds__gte=1,
                    pulse_seconds__lte=MAX_PULSE_SECONDS,
                ),
                name="only_calls_have_pulses",
                violation_error_message="A price for calls needs the length of a pulse, and one for SMS has none.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_channel_display()} to +{self.prefix}…: {self.credits:f}"


class TariffOfAccount(models.Model):
    """The tariff that an operator gave to an account. It also applies to its departments and its test twin."""

    account = models.OneToOneField(
        "accounts.Account", on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    tariff = models.ForeignKey(Tariff, on_delete=models.PROTECT, related_name="accounts")

    class Meta:
        verbose_name = "account with this tariff"
        verbose_name_plural = "accounts with this tariff"

    def __str__(self) -> str:
        return f"{self.account}: {self.tariff}"


class PriceList(models.Model):
    """All prices of a tariff at one time. A run refers to one, so later changes of the tariff do not concern it.

    It never changes. Runs that begin with the same prices share one, unless the first of them begin at the same moment.
    `telephony.tariffs` computes and reads it: `starts` divides all numbers into ranges, and `places` has for each range the
    place of its rates in `rates`.
    """

    # Random, so that processes can cache a list by its id, even while a backup of the database is restored.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # Not unique: of two processes that freeze the same prices at once, neither waits for the other's transaction.
    key = models.CharField(
        max_length=64, db_index=True, help_text="Hash of the tariff, its revision and the settings."
    )
    tariff_name = models.CharField(max_length=100, blank=True, help_text="Empty: only the settings count.")
    starts = ArrayField(models.BigIntegerField())
    places = ArrayField(models.IntegerField())
    rates = models.JSONField(
        help_text="[SMS, call, pulse seconds] each: first the settings, then other destinations."
    )
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"prices of {self.created_at:%Y-%m-%d %H:%M}"
