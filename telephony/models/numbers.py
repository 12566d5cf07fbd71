"""Phone numbers that accounts can buy."""

from __future__ import annotations

from typing import ClassVar, Self

from django.db import models

from accounts.models import Account


class PhoneNumberQuerySet(models.QuerySet["PhoneNumber"]):
    def for_sale_to(self, account: Account) -> Self:
        """Return the numbers that an account can buy. A test twin can buy only those that were invented for it."""
        return self.filter(owner=None, invented_for=account if account.is_twin else None)


class PhoneNumber(models.Model):
    """A phone number that an account can buy and use as caller. It is for sale while `owner` is empty.

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
    capabilities = models.CharField(max_length=100, default="Voice, SMS")
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
            )
        ]

    def __str__(self) -> str:
        return self.number
