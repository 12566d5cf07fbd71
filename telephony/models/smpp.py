"""What the SMPP carrier keeps in the database beside deliveries: evidence, resends, and parts that came in."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now


class Bind(models.Model):
    """A trunk was bound from `since` to `seen_at`, and every receipt that came by then is stored.

    Silence in that time is evidence: a message about which nothing came was most likely never taken. But only where
    receipts tell whom they are about.
    """

    trunk = models.OneToOneField("telephony.Trunk", primary_key=True, on_delete=models.CASCADE)
    since = models.DateTimeField()
    seen_at = models.DateTimeField()
    tells_numbers = models.BooleanField(
        null=True,
        help_text="Whether the latest receipts about known SMS named their numbers; empty until one has come.",
    )

    def __str__(self) -> str:
        return f"{self.trunk_id} bound since {self.since}"


class Repetition(models.Model):
    """How often an SMS was sent again, because its answer was lost and nothing says that the SMSC took it."""

    delivery = models.OneToOneField("telephony.Delivery", primary_key=True, on_delete=models.CASCADE)
    since = models.DateTimeField(
        null=True, blank=True, help_text="Only workers of the release before `Delivery.pinned_since` read it."
    )
    times = models.SmallIntegerField(default=1, help_text="How often it was sent again.")

    def __str__(self) -> str:
        return f"SMS {self.delivery_id}, sent again {self.times} times"


class InboundPart(models.Model):
    """One part of a long SMS that somebody has sent. It stays for a while after it was joined, since it may come twice."""

    trunk = models.ForeignKey("telephony.Trunk", on_delete=models.CASCADE, related_name="+", db_index=False)
    sender = models.CharField(max_length=32)
    to = models.CharField(max_length=32, blank=True)
    reference = models.IntegerField(help_text="The sender's number of the message.")
    total = models.SmallIntegerField()
    number = models.SmallIntegerField(help_text="From 1 to the total.")
    coding = models.SmallIntegerField(help_text="Its data_coding.")
    octets = models.BinaryField()
    received_at = models.DateTimeField()
    created_at = models.DateTimeField(db_default=Now())
    joined_at = models.DateTimeField(null=True, blank=True, help_text="When its message was shown.")

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["trunk", "sender", "to", "reference"], name="inbound_part_of"),
            models.Index(
                fields=["trunk", "created_at"],
                condition=models.Q(joined_at__isnull=True),
                name="inbound_part_alone",
            ),
        ]

    def __str__(self) -> str:
        return f"Part {self.number} of {self.total} from {self.sender}"
