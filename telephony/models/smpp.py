"""State of the SMPP carrier: binds, resends and received message parts."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now


class Bind(models.Model):
    """The time in which a trunk was bound, from `since` to `seen_at`. Every receipt received by then is stored.

    If no receipt about a message arrived in that time, the SMSC most likely never accepted the message. This holds only
    if receipts name the numbers of their messages.
    """

    trunk = models.OneToOneField("telephony.Trunk", primary_key=True, on_delete=models.CASCADE)
    since = models.DateTimeField()
    seen_at = models.DateTimeField()
    tells_numbers = models.BooleanField(
        null=True,
        help_text="Whether the latest receipts that matched an SMS contained its number. Null before the first.",
    )

    def __str__(self) -> str:
        return f"{self.trunk_id} bound since {self.since}"


class PastBind(models.Model):
    """An earlier bind of a trunk.

    The time without a receipt is summed over all binds, because some SMSCs reset the connection often.
    """

    trunk = models.ForeignKey("telephony.Trunk", on_delete=models.CASCADE, related_name="+", db_index=False)
    since = models.DateTimeField()
    seen_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["trunk", "seen_at"], name="past_bind")]

    def __str__(self) -> str:
        return f"{self.trunk_id} bound from {self.since} to {self.seen_at}"


class Repetition(models.Model):
    """How often an SMS was sent again, because its submit response was lost and nothing shows that the SMSC accepted it."""

    delivery = models.OneToOneField("telephony.Delivery", primary_key=True, on_delete=models.CASCADE)
    since = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Read only by workers of an older release, which does not know `Delivery.pinned_since`.",
    )
    times = models.SmallIntegerField(default=1, help_text="How often the SMS was sent again.")

    def __str__(self) -> str:
        return f"SMS {self.delivery_id}, sent again {self.times} times"


class InboundPart(models.Model):
    """One part of a long inbound SMS. It is kept for a while after reassembly, because the SMSC may send it again."""

    trunk = models.ForeignKey("telephony.Trunk", on_delete=models.CASCADE, related_name="+", db_index=False)
    sender = models.CharField(max_length=32)
    to = models.CharField(max_length=32, blank=True)
    reference = models.IntegerField(help_text="Reference number of the message, from its user data header.")
    total = models.SmallIntegerField()
    number = models.SmallIntegerField(help_text="Position of this part, from 1 to `total`.")
    coding = models.SmallIntegerField(help_text="data_coding of this part.")
    octets = models.BinaryField()
    received_at = models.DateTimeField()
    created_at = models.DateTimeField(db_default=Now())
    joined_at = models.DateTimeField(
        null=True, blank=True, help_text="When the complete message was passed on."
    )

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
