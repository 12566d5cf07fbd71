"""Phone numbers that accounts can buy."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class PhoneNumber(models.Model):
    """A phone number that an account can buy and use as caller. It is for sale while `owner` is empty."""

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

    class Meta:
        indexes: ClassVar = [models.Index(fields=["owner", "id"])]

    def __str__(self) -> str:
        return self.number
