"""Accounts: organizations and their departments, which own campaigns and numbers and pay for them."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone

MONEY_DIGITS = 14  # up to 999,999,999,999.99 credits
MONEY_PLACES = 2
APPROVAL_HOURS, MAX_APPROVAL_HOURS = 72, 720


class Duplicates(models.TextChoices):
    """What campaigns do with several recipients that have the same number."""

    KEEP = "keep", "contact every recipient"
    ONCE = "once", "contact each number once"


class Language(models.TextChoices):
    NEPALI = "ne"
    ENGLISH = "en"


class Account(models.Model):
    """Who pays with credits, and owns campaigns, phone numbers and API keys. People act for it as its members.

    An account can have departments: accounts whose `parent` it is. Members of the parent act for its departments, too. Each
    account can have a test twin, whose `twin_of` it is: the twin's calls and SMS reach no phone. Members of an
    account act for its twin. Both columns are set when the row is inserted, and a trigger (accounts.kinship) keeps them.

    `balance` is the amount that can still be spent; only `accounts.credits` writes it. The table also has columns of people,
    such as `email`: processes of the previous release read and write them, and triggers keep them equal to those of the
    `User` with the same id (accounts.previous_release). No code of this release reads them.
    """

    name = models.CharField(max_length=255, blank=True, default="", db_default="")
    balance = models.DecimalField(
        max_digits=MONEY_DIGITS,
        decimal_places=MONEY_PLACES,
        default=Decimal(0),
        editable=False,
        help_text="Credits that can be spent now; those on hold are not among them.",
    )
    is_suspended = models.BooleanField(
        "suspended",
        default=False,
        db_default=False,
        help_text="Nobody can act for a suspended account. What it has begun continues.",
    )
    approval_above = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Runs for more recipients wait until a second person approves them. Empty: no run does.",
    )
    approval_hours = models.PositiveSmallIntegerField(
        default=APPROVAL_HOURS,
        db_default=APPROVAL_HOURS,
        help_text="A run that is not approved within this time ends without having started.",
    )
    time_zone = models.CharField(
        max_length=64,
        blank=True,
        default="",
        db_default="",
        help_text="IANA name of the zone in which the API reads and writes times. Empty: the zone of the server.",
    )
    language = models.CharField(
        max_length=2,
        choices=Language,
        default=Language.NEPALI,
        db_default=Language.NEPALI,
        help_text="The language of the voice that speaks if no voice is chosen.",
    )
    default_voice = models.CharField(
        max_length=50, blank=True, default="", db_default="", help_text="For campaigns that name no voice."
    )
    default_caller = models.CharField(
        max_length=32,
        blank=True,
        default="",
        db_default="",
        help_text="The phone number of the account from which campaigns call that name none.",
    )
    default_services = models.CharField(
        max_length=6,
        blank=True,
        default="",
        db_default="",
        help_text="For new campaigns that name no services: call, sms or both.",
    )
    default_spending_limit = models.DecimalField(
        max_digits=10,
        decimal_places=2,
        null=True,
        blank=True,
        help_text="For new campaigns that name no limit: the most credits that a run may hold and spend.",
    )
    low_credit_level = models.DecimalField(
        max_digits=MONEY_DIGITS,
        decimal_places=MONEY_PLACES,
        null=True,
        blank=True,
        help_text="When fewer credits are left, the people who manage them get an e-mail. Empty: nobody does.",
    )
    retry = models.JSONField(
        null=True, blank=True, help_text="When campaigns without a rule of their own try again. Empty: never."
    )
    calling_hours = models.JSONField(
        null=True,
        blank=True,
        help_text="When campaigns without hours of their own call and send SMS. Empty: always.",
    )
    duplicates = models.CharField(
        max_length=4,
        choices=Duplicates,
        default=Duplicates.KEEP,
        db_default=Duplicates.KEEP,
        help_text="Whether campaigns without a rule of their own contact every recipient, or every number once.",
    )
    frequency_cap = models.JSONField(
        null=True,
        blank=True,
        help_text="How often campaigns without a cap of their own contact a number. Empty: without a limit.",
    )
    waves = models.JSONField(
        null=True,
        blank=True,
        help_text="How many recipients campaigns without waves of their own contact at first. Empty: all.",
    )
    opt_out_words = models.JSONField(
        null=True,
        blank=True,
        help_text="Words of its own with which recipients opt out or in again, by language. Empty: only the usual ones.",
    )
    opt_out_key = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Recipients of calls opt out by pressing 9. A hint at the end of each call says so.",
    )
    announce_recording = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Calls that record spoken answers say so at their beginning.",
    )
    alerts_past_opt_outs = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Urgent runs may also reach people who have opted out, if the run says so.",
    )
    keep_messages_days = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        help_text="Calls, SMS, OTPs and the inbox are erased this many days after they ended. Empty: kept.",
    )
    keep_recordings_days = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        help_text="Recorded answers are erased this many days after the call. Empty: kept.",
    )
    keep_recipients_days = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        help_text="Numbers and tags of recipients are erased this many days after their campaign ended. Empty: kept.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False, db_column="date_joined")
    parent = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="departments",
        db_index=False,
        help_text="The account of which this one is a department.",
    )
    twin_of = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="twins",
        db_index=False,
        help_text="The account of which this one is the test twin.",
    )

    class Meta:
        indexes = (
            models.Index(
                fields=("parent", "id"),
                condition=Q(parent__isnull=False),
                name="accounts_account_departments",
            ),
        )
        constraints = (
            models.CheckConstraint(condition=Q(balance__gte=0), name="accounts_account_balance_not_negative"),
            models.UniqueConstraint(
                fields=("twin_of",), condition=Q(twin_of__isnull=False), name="accounts_account_one_twin"
            ),
            models.CheckConstraint(
                condition=Q(parent=None) | Q(twin_of=None), name="accounts_account_twin_is_no_department"
            ),
        )

    def __str__(self) -> str:
        return self.name or f"account {self.pk}"

    def save(self, *args: Any, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        """Save all fields except the balance, which may have changed since this object was read."""
        if self._state.adding:
            if self.balance:
                raise TypeError("A new account has no credits: add them with accounts.credits.top_up.")
        elif update_fields is None:
            kept = {"id", "balance", *self.get_deferred_fields()}
            update_fields = [field.name for field in self._meta.concrete_fields if field.name not in kept]
        elif "balance" in (update_fields := set(update_fields)):
            raise TypeError("Only accounts.credits may change balances.")
        super().save(*args, update_fields=update_fields, **kwargs)

    @property
    def is_twin(self) -> bool:
        """Return whether this is the test twin of another account."""
        return self.twin_of_id is not None

    @property
    def represented_by(self) -> "tuple[Account, ...]":
        """Return this account and those whose members act for it, too: its parent, and the account of a twin.

        Reads the database, unless the account was selected with `parent` and `twin_of__parent`.
        """
        twin_of = self.twin_of
        known = (self, self.parent, twin_of, None if twin_of is None else twin_of.parent)
        return tuple(account for account in known if account is not None)
