"""Credits on hold, and the ledger that explains every credit.

Only `accounts.credits`, `accounts.late_captures` and `accounts.transfers` write them.
"""

from decimal import Decimal
from typing import Any, NoReturn

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.models.accounts import MONEY_DIGITS, MONEY_PLACES, Account


class CreditHold(models.Model):
    """Credits that are reserved for one cause (a run, an OTP). Deliveries capture a part; the rest is released.

    `amount` grows only by what is charged for deliveries that were reported late (`accounts.late_captures`). A closed hold
    has nothing left to capture.
    """

    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="credit_holds", db_column="user_id"
    )
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
    transfer ±amount       0          credits moved between an account and its department
    ======== ============= ========== ============================================

    (kind, cause) is unique, so nothing is booked twice. A transfer has two entries, with ":out" and ":in" at the end of
    their causes. The `counterpart` of each is the account of the other.
    """

    class Kind(models.TextChoices):
        TOPUP = "topup", "top-up"
        HOLD = "hold"
        CAPTURE = "capture"
        RELEASE = "release"
        CHARGE = "charge"
        TRANSFER = "transfer"

    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="credit_entries", db_column="user_id", db_index=False
    )
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
    # Only transfers have one, so a foreign key constraint would examine many rows for nothing. Accounts are never deleted.
    counterpart = models.ForeignKey(
        Account,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        db_constraint=False,
        help_text="The other account of a transfer.",
    )
    # By the database's clock, because statements close days by it: a process with a wrong clock must not book into a day
    # that is closed.
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ("-id",)
        verbose_name_plural = "credit entries"
        # Ascending, and scanned backwards for the newest entries: inserts into a descending index would split full
        # pages in the middle.
        indexes = (
            models.Index(fields=("account", "id"), name="accounts_creditentry_newest"),
            # Every dashboard sums an account's purchases. These are few among many captures, hence a partial index.
            models.Index(
                fields=("account", "kind"),
                condition=Q(kind__in=("topup", "charge")),
                name="accounts_creditentry_bought",
            ),
            models.Index(
                fields=("account", "id"), condition=Q(kind="transfer"), name="accounts_creditentry_moved"
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
                    | (
                        Q(kind="transfer", held_delta=0, hold=None, counterpart__isnull=False)
                        & (Q(balance_delta=F("amount")) | Q(balance_delta=-F("amount")))
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
