"""One-time passwords that were sent."""

from __future__ import annotations

from typing import ClassVar, Self

from django.db import models
from django.db.models.functions import Now

from accounts.models import Account, CreditHold
from telephony.models import Channel, Delivery


class Origin(models.TextChoices):
    """Where the password comes from."""

    OWNER = "owner", "sent to us"
    GENERATED = "generated", "made by us"


class OtpQuerySet(models.QuerySet["Otp"]):
    def owned_by(self, account: Account) -> Self:
        return self.filter(owner=account)


class Otp(models.Model):
    """One password that was sent once, to one number. The status is in its delivery, and the cost is in its hold.

    The password is stored in clear text, because its owner verifies it and may ask iris which password was sent.
    """

    owner = models.ForeignKey(
        "accounts.Account", on_delete=models.PROTECT, related_name="otps", db_index=False
    )
    number = models.CharField(max_length=40, help_text="As the client sent it.")
    to = models.CharField(max_length=32, help_text="In E.164.")
    channel = models.CharField(max_length=4, choices=Channel)
    origin = models.CharField(max_length=9, choices=Origin)
    code = models.CharField(max_length=10)
    message = models.TextField(help_text="The text with the password inserted.")
    voice = models.CharField(max_length=50, blank=True)
    hold = models.ForeignKey(
        CreditHold, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    delivery = models.OneToOneField(Delivery, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    objects = OtpQuerySet.as_manager()

    class Meta:
        verbose_name = "OTP"
        verbose_name_plural = "OTPs"
        indexes: ClassVar = [models.Index(fields=["owner", "-id"], name="otp_newest_first")]

    def __str__(self) -> str:
        return f"OTP {self.pk} to {self.to}"
