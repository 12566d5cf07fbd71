"""Accounts, their credits, and the ledger that explains every credit.

Only `accounts.credits` writes money. `User.balance` is the amount that can still be spent. A `CreditHold` reserves
credits for something that will cost at most that amount. Every movement appends one `CreditEntry`.
"""

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, ClassVar, NoReturn

from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.models import AbstractUser
from django.contrib.auth.models import UserManager as DjangoUserManager
from django.db import models, transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Lower, Now

from accounts.revocation import same_password

MONEY_DIGITS = 14  # up to 999,999,999,999.99 credits
MONEY_PLACES = 2


class UserManager(DjangoUserManager["User"]):
    """Look up accounts by e-mail address, case-insensitively."""

    def get_by_natural_key(self, username: str | None) -> "User":
        """Return the account with this e-mail address. Raises `User.DoesNotExist`."""
        # The database lowers both sides: it can use the unique index on Lower("email"), and both sides follow the same
        # rules, which differ from Python's.
        return self.alias(lowered=Lower("email")).get(lowered=Lower(Value(username or "")))

    def create_user(  # type: ignore[override]  # the e-mail address comes first here, as it is the login
        self, email: str, password: str | None = None, *, username: str = "", **fields: Any
    ) -> "User":
        """Create an account. Without a password, nobody can log in to it.

        Without a username, one is derived from the e-mail address.
        """
        email = self.normalize_email(email.strip())
        user = self.model(email=email, username=username or self._free_username(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(  # type: ignore[override]
        self, email: str, password: str | None = None, **fields: Any
    ) -> "User":
        """Create an operator account, which may use the admin pages."""
        return self.create_user(email, password, **{**fields, "is_staff": True, "is_superuser": True})

    def _free_username(self, email: str) -> str:
        wanted = re.sub(r"[^\w.+-]", "", email.partition("@")[0])[:140] or "user"
        taken = set(self.filter(username__startswith=wanted).values_list("username", flat=True))
        suffix = 1
        name = wanted
        while name in taken:
            suffix += 1
            name = f"{wanted}{suffix}"
        return name


class User(AbstractUser):
    """An account of an organization or a developer. It logs in by e-mail address and pays with credits."""

    email = models.EmailField("e-mail address", unique=True)
    contact_number = models.CharField(max_length=20, blank=True)
    address = models.CharField(max_length=255, blank=True)
    is_verified_email = models.BooleanField(default=False)
    is_verified_phone = models.BooleanField(default=False)
    balance = models.DecimalField(
        max_digits=MONEY_DIGITS,
        decimal_places=MONEY_PLACES,
        default=Decimal(0),
        editable=False,
        help_text="Credits that can be spent now; those on hold are not among them.",
    )
    # Each token carries the version under which it was issued; tokens without one have version 0. A trigger increments
    # the version when any program changes the password or deactivates the account (accounts.revocation).
    token_version = models.BigIntegerField(default=0, db_default=0, editable=False)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()

    class Meta(AbstractUser.Meta):
        abstract = False
        swappable = "AUTH_USER_MODEL"
        constraints = (
            models.UniqueConstraint(Lower("email"), name="accounts_user_email_once"),
            models.CheckConstraint(condition=Q(balance__gte=0), name="accounts_user_balance_not_negative"),
        )

    def __str__(self) -> str:
        return self.email

    def save(self, *args: Any, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        """Save all fields except balance and token version, which may have changed since this object was read."""
        if self._state.adding:
            if self.balance:
                raise TypeError("A new account has no credits: add them with accounts.credits.top_up.")
        elif update_fields is None:
            kept = {"id", "balance", "token_version", *self.get_deferred_fields()}
            update_fields = [field.name for field in self._meta.concrete_fields if field.name not in kept]
        elif "balance" in (update_fields := set(update_fields)):
            raise TypeError("Only accounts.credits may change balances.")
        super().save(*args, update_fields=update_fields, **kwargs)

    def check_password(self, raw_password: str | None) -> bool:
        """Return whether this is the password. A correct password with an outdated hash is hashed again and saved."""
        return check_password(raw_password, self.password, self._rehash)

    def _rehash(self, raw_password: str) -> None:
        self.password = make_password(raw_password)
        with transaction.atomic(), same_password():
            self.save(update_fields=["password"])


class ApiKey(models.Model):
    """An API key for v1. It does not expire.

    The database stores only a hash, so the key is shown once, when it is generated. An account has at most one valid
    key; generating a new one revokes the previous one.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_keys", db_index=False)
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the key.")
    beginning = models.CharField(max_length=8, help_text="By which its owner knows it again.")
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True, help_text="To the minute.")
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "API key"
        constraints = (
            models.UniqueConstraint(
                fields=("user",), condition=Q(revoked_at=None), name="accounts_apikey_one_each"
            ),
        )
        indexes = (models.Index(fields=("user", "-id"), name="accounts_apikey_newest"),)

    def __str__(self) -> str:
        return f"{self.beginning}… of account {self.user_id}"


class EndedLogin(models.Model):
    """A login that ended before its tokens expired. Its tokens are refused."""

    login = models.CharField(max_length=64, primary_key=True, help_text="What its tokens have in common.")
    ends_at = models.DateTimeField(db_index=True, help_text="When the last of its tokens has expired.")

    def __str__(self) -> str:
        return self.login


class KnownAddress(models.Model):
    """A network from which an account has logged in, as a keyed hash. `accounts.logins` applies fewer limits to it."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="known_addresses", db_index=False)
    network = models.CharField(max_length=32)
    seen_at = models.DateTimeField(db_default=Now(), db_index=True, help_text="To the day.")

    class Meta:
        verbose_name_plural = "known addresses"
        constraints = (
            models.UniqueConstraint(fields=("user", "network"), name="accounts_knownaddress_once"),
        )

    def __str__(self) -> str:
        return f"{self.network[:8]}… of account {self.user_id}"


class RateCounter(models.Model):
    """The number of events in a time window. Only `accounts.counters` writes it."""

    key = models.CharField(max_length=32, primary_key=True, db_collation="C")
    count = models.IntegerField()
    ends_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.key[:8]}…: {self.count}"


class CreditHold(models.Model):
    """Credits that are reserved for one cause (a run, an OTP). Deliveries capture a part; the rest is released.

    `amount` grows only by what is charged for deliveries that were reported late (`accounts.late_captures`). A closed hold
    has nothing left to capture.
    """

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="credit_holds")
    cause = models.CharField(max_length=120, unique=True)
    amount = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES)
    captured = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES, default=Decimal(0))
    released = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES, default=Decimal(0))
    created_at = models.DateTimeField(auto_now_add=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(
                condition=Q(amount__gte=0) & Q(captured__gte=0) & Q(released__gte=0),
                name="accounts_credithold_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(amount__gte=F("captured") + F("released")),
                name="accounts_credithold_within_amount",
            ),
        )

    def __str__(self) -> str:
        return f"{self.amount} credits held for {self.cause}"

    @property
    def remaining(self) -> Decimal:
        """Return the credits that are neither captured nor released."""
        return self.amount - self.captured - self.released


class CreditEntry(models.Model):
    """One movement of credits. Entries are never changed and never deleted.

    ======== ============= ========== ============================================
    kind     balance_delta held_delta reason
    ======== ============= ========== ============================================
    topup    +amount       0          the account bought or was given credits
    charge   −amount       0          the account bought something immediately
    hold     −amount       +amount    credits were reserved
    capture  0             −amount    a delivery was paid from the hold
    release  +amount       −amount    unused credits of the hold were returned
    ======== ============= ========== ============================================

    (kind, cause) is unique, so nothing is booked twice.
    """

    class Kind(models.TextChoices):
        TOPUP = "topup", "top-up"
        HOLD = "hold"
        CAPTURE = "capture"
        RELEASE = "release"
        CHARGE = "charge"

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="credit_entries", db_index=False)
    # No foreign key constraint: its check took a quarter of the time of booking a batch of captures. It is not needed,
    # because `accounts.credits` locks the hold before it books, and holds are never deleted. `check_ledger` reports
    # entries without a hold.
    hold = models.ForeignKey(
        CreditHold,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="entries",
        db_index=False,
        db_constraint=False,
    )
    kind = models.CharField(max_length=8, choices=Kind.choices)
    amount = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES)
    balance_delta = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES)
    held_delta = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES)
    cause = models.CharField(
        max_length=120, db_collation="C"
    )  # never shown sorted, so the byte order of "C" is enough, and it is faster
    note = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-id",)
        verbose_name_plural = "credit entries"
        # Ascending, and scanned backwards for the newest entries: inserts into a descending index would split full
        # pages in the middle.
        indexes = (
            models.Index(fields=("user", "id"), name="accounts_creditentry_newest"),
            # Every dashboard sums an account's purchases. These are few among many captures, hence a partial index.
            models.Index(
                fields=("user", "kind"),
                condition=Q(kind__in=("topup", "charge")),
                name="accounts_creditentry_bought",
            ),
        )
        constraints = (
            models.UniqueConstraint(fields=("kind", "cause"), name="accounts_creditentry_booked_once"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="accounts_creditentry_amount_positive"),
            models.CheckConstraint(
                condition=(
                    Q(kind="topup", balance_delta=F("amount"), held_delta=0, hold=None)
                    | Q(kind="charge", balance_delta=-F("amount"), held_delta=0, hold=None)
                    | Q(kind="hold", balance_delta=-F("amount"), held_delta=F("amount"), hold__isnull=False)
                    | Q(kind="capture", balance_delta=0, held_delta=-F("amount"), hold__isnull=False)
                    | Q(
                        kind="release", balance_delta=F("amount"), held_delta=-F("amount"), hold__isnull=False
                    )
                ),
                name="accounts_creditentry_deltas_fit_kind",
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} of {self.amount} for {self.cause}"

    def save(self, *args: Any, force_insert: Any = False, **kwargs: Any) -> None:
        """Insert the entry. Raises TypeError if it is already stored."""
        if not self._state.adding:
            self._refuse()
        super().save(*args, force_insert=True, **kwargs)

    def delete(self, using: Any = None, keep_parents: bool = False) -> NoReturn:
        """Raise TypeError. To undo a movement, book its opposite."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise TypeError("The ledger is append-only: book another entry instead of changing this one.")
