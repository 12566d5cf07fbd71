"""Statements: what was booked for each account on each day that has been closed. Neither table is ever changed."""

from typing import Any, NoReturn

from django.db import models

from accounts.models.accounts import MONEY_DIGITS, MONEY_PLACES, Account


class _AppendOnly(models.Model):
    class Meta:
        abstract = True

    def save(self, *args: Any, force_insert: Any = False, **kwargs: Any) -> None:
        """Insert the row. Raises TypeError if it is already stored."""
        if not self._state.adding:
            self._refuse()
        super().save(*args, force_insert=True, **kwargs)

    def delete(self, using: Any = None, keep_parents: bool = False) -> NoReturn:
        """Raise TypeError."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise TypeError("Statements are never changed.")


class ClosedDay(_AppendOnly):
    """A day whose ledger entries are in statements. Days are closed in order and without gaps, for all accounts together.

    The times are stored because the operator may change the time zone: the next day begins where this one ended.
    """

    day = models.DateField(unique=True)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(help_text="The end, which belongs to the next day.")
    next_entry = models.BigIntegerField(
        help_text="All entries that were booked after this day have this id or a higher one."
    )
    closed_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-day",)

    def __str__(self) -> str:
        return f"{self.day}"


class Statement(_AppendOnly):
    """The credits of one account on one closed day. Days on which nothing was booked have no statement.

    `lines` is a list of lists (`accounts.statements.Line`). `digest` is a hash of all entries of the day. `hash` covers all
    other fields, and `previous` is the hash of the account's statement before: so no statement and no entry can be changed,
    removed or inserted without `manage.py verify_statement` reporting it.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="statements", db_index=False)
    day = models.DateField()
    opening_balance = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES)
    opening_held = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES)
    closing_balance = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES)
    closing_held = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES)
    entries = models.BigIntegerField()
    lines = models.JSONField()
    digest = models.CharField(max_length=64, help_text="SHA-256 of the day's ledger entries.")
    previous = models.CharField(max_length=64, blank=True, help_text="The hash of the statement before.")
    hash = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(fields=("account", "day"), name="accounts_statement_once_a_day"),
        )

    def __str__(self) -> str:
        return f"account {self.account_id} on {self.day}"
