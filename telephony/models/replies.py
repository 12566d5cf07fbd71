"""Inbound SMS, and the opt-out list."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from telephony.models.trunks import Trunk


class InboundMessage(models.Model):
    """An SMS to one of our numbers. `owner` is the account to which the sender most likely replies."""

    trunk = models.ForeignKey(Trunk, on_delete=models.PROTECT, related_name="+")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    sender = models.CharField(max_length=32, help_text="In E.164, if the sender is a phone number.")
    to = models.CharField(max_length=32, blank=True)
    text = models.TextField(blank=True)
    received_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["sender", "-id"], name="inbound_sender")]

    def __str__(self) -> str:
        return f"From {self.sender} to {self.to}"


class OptOut(models.Model):
    """A number that has opted out of calls and SMS from this account. Dispatch rejects its deliveries, except OTPs."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="opt_outs")
    number = models.CharField(max_length=32, help_text="In E.164.")
    source = models.CharField(
        max_length=200, blank=True, help_text="Text of the SMS, or the operator who added the number."
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["owner", "number"], name="one_opt_out_per_number")
        ]

    def __str__(self) -> str:
        return self.number
