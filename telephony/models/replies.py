"""Inbound SMS, and the opt-out list."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from telephony.models.trunks import Trunk


class InboundMessage(models.Model):
    """An SMS to one of our numbers. `owner` is the account to which the sender most likely replies."""

    trunk = models.ForeignKey(Trunk, on_delete=models.PROTECT, related_name="+")
    owner = models.ForeignKey(
        "accounts.Account", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    sender = models.CharField(max_length=32, help_text="In E.164, if the sender is a phone number.")
    to = models.CharField(max_length=32, blank=True)
    text = models.TextField(blank=True)
    received_at = models.DateTimeField()
    ref = models.CharField(
        max_length=100, blank=True, db_default="", help_text="The carrier's id of it, if it has one."
    )

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["sender", "-id"], name="inbound_sender"),
            models.Index(fields=["owner", "-id"], name="inbound_of_owner"),
        ]
        constraints: ClassVar = [
            # Carriers repeat an SMS that is not acknowledged in time. The repetition is not a second SMS.
            models.UniqueConstraint(
                fields=["trunk", "ref"], condition=~models.Q(ref=""), name="each_inbound_sms_once"
            )
        ]

    def __str__(self) -> str:
        return f"From {self.sender} to {self.to}"


class OptOut(models.Model):
    """A number that has opted out of calls and SMS from this account. Dispatch rejects its deliveries, except OTPs."""

    owner = models.ForeignKey("accounts.Account", on_delete=models.CASCADE, related_name="opt_outs")
    number = models.CharField(max_length=32, help_text="E.164.")
    source = models.CharField(max_length=200, blank=True, help_text="What they wrote, or who noted it.")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["owner", "number"], name="one_opt_out_per_number")
        ]

    def __str__(self) -> str:
        return self.number
