"""Inbound SMS, the opt-out list, and the operator's list of blocked numbers."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from telephony.models.deliveries import Channel
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


MAX_SOURCE_CHARACTERS = 200


class OptOutWay(models.TextChoices):
    """How a number came onto an opt-out list."""

    UNKNOWN = "", "unknown"  # listed by a previous release, or by an operator
    KEYWORD = "keyword", "a keyword in an SMS"
    KEY = "key", "a key pressed in a call"
    API = "api", "a program"
    PERSON = "person", "a member of the account"
    IMPORT = "import", "a file"


class OptOut(models.Model):
    """A number that has opted out of calls, SMS or both from this account. Dispatch rejects its deliveries, except OTPs."""

    owner = models.ForeignKey("accounts.Account", on_delete=models.CASCADE, related_name="opt_outs")
    number = models.CharField(max_length=32, help_text="E.164.")
    channel = models.CharField(
        max_length=4,
        choices=Channel,
        blank=True,
        default="",
        db_default="",
        help_text="Empty: both calls and SMS.",
    )
    way = models.CharField(max_length=8, choices=OptOutWay, blank=True, default="", db_default="")
    source = models.CharField(
        max_length=MAX_SOURCE_CHARACTERS, blank=True, help_text="What they wrote, or who noted it."
    )
    evidence = models.JSONField(
        blank=True,
        default=dict,
        db_default=models.Value({}, models.JSONField()),
        help_text="The ids of what proves it: the SMS, the call, or the person.",
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes: ClassVar = [models.Index(fields=["owner", "-id"], name="opt_outs_of_owner")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["owner", "number"], name="one_opt_out_per_number")
        ]

    def __str__(self) -> str:
        return self.number


class BlockedNumber(models.Model):
    """A number that no account of this server may contact. The operator decides."""

    number = models.CharField(max_length=32, unique=True, help_text="E.164.")
    also_otps = models.BooleanField(default=False, help_text="OTPs are blocked, too.")
    reason = models.CharField(max_length=200, blank=True, help_text="Only operators see it.")
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.number
