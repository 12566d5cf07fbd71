"""Senders: the names and numbers that an SMS may come from, each with its approval."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

MAX_ADDRESS = 16  # a + and 15 digits
ADDRESS = r"^(\+[1-9][0-9]{6,14}|[0-9]{3,6}|[A-Za-z0-9._&-]([A-Za-z0-9 ._&-]{0,9}[A-Za-z0-9._&-])?)$"


class SenderStatus(models.TextChoices):
    REQUESTED = "requested"
    APPROVED = "approved"
    REFUSED = "refused"


class SenderOperator(models.TextChoices):
    """The mobile operator for which a sender is approved.

    The prefix of a recipient's number decides the recipient's operator.
    """

    EVERY = "", "every operator"
    NTC = "ntc", "Nepal Telecom"
    NCELL = "ncell", "Ncell"
    SMART = "smart", "Smart Telecom"


class Sender(models.Model):
    """A sender of an account's SMS, for one operator or all operators, and for one trunk or all trunks.

    Only approved senders are used. `telephony.senders.choosing` picks one for each SMS.
    """

    owner = models.ForeignKey(
        "accounts.Account",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="senders",
        db_index=False,
        help_text="Its departments use it, too. Empty: all accounts use it.",
    )
    address = models.CharField(
        "sender",
        max_length=MAX_ADDRESS,
        help_text="A name of up to 11 characters, a number with its country code, or a short code of 3 to 6 digits.",
    )
    trunk = models.CharField(
        max_length=50, blank=True, default="", help_text="Alias of the trunk. Empty: every trunk."
    )
    operator = models.CharField(
        max_length=5,
        choices=SenderOperator,
        blank=True,
        default=SenderOperator.EVERY,
        help_text="The recipients' operator.",
    )
    status = models.CharField(max_length=9, choices=SenderStatus, default=SenderStatus.REQUESTED)
    note = models.CharField(max_length=300, blank=True, default="", help_text="Words of the account.")
    reason = models.CharField(
        max_length=300, blank=True, default="", help_text="Why it was refused. The account sees this."
    )
    requested_at = models.DateTimeField(db_default=Now())
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["owner", "address", "trunk", "operator"],
                name="sender_once",
                violation_error_message="The account has this sender already, for the same trunk and operator.",
            ),
            models.UniqueConstraint(
                fields=["address", "trunk", "operator"],
                condition=models.Q(owner=None),
                name="sender_of_all_once",
                violation_error_message="This sender exists already, for the same trunk and operator.",
            ),
            models.CheckConstraint(
                condition=models.Q(address__regex=ADDRESS),
                name="sender_can_be_shown",
                violation_error_message="No phone can show this sender.",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["status", "id"], name="sender_by_status"),
        ]

    def __str__(self) -> str:
        return self.address
