"""The telephone side of iris: numbers that can be bought, trunks, and every single call or SMS."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from accounts.models import CreditHold


class Channel(models.TextChoices):
    CALL = "call"
    SMS = "sms"


class PhoneNumber(models.Model):
    """A number that can be bought, called from and sent from. Nobody's while `owner` is empty."""

    number = models.CharField(max_length=32, unique=True)
    sid = models.CharField(
        max_length=32, unique=True, help_text="32 lower-case hex digits; stable for the number."
    )
    rate = models.DecimalField(
        max_digits=10, decimal_places=2, help_text="Credits charged when it is bought."
    )
    capabilities = models.CharField(max_length=100, default="Voice, SMS")
    friendly_name = models.CharField(max_length=100, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
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


class Trunk(models.Model):
    """The state of one configured carrier connection. Its settings stay in `settings.CARRIERS`.

    Claiming deliveries locks this row, which makes the pace exact however many workers there are.
    """

    alias = models.CharField(max_length=50, unique=True)
    next_slot_at = models.DateTimeField(
        null=True, blank=True, help_text="When the next call or SMS may leave; earlier slots are taken."
    )
    last_owner_id = models.BigIntegerField(
        default=0, help_text="Whose delivery was claimed last; owners take turns."
    )
    paused_until = models.DateTimeField(null=True, blank=True)
    pause_reason = models.CharField(max_length=200, blank=True)
    last_error = models.CharField(max_length=200, blank=True)
    last_error_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.alias


class Audio(models.Model):
    """One recording, stored once: speech named by what was said and how, uploads by their content.

    `name` is a keyed hash, so a file can be fetched without a token by those who were given its address only.
    """

    name = models.CharField(max_length=64, unique=True)
    seconds = models.FloatField()
    voice = models.CharField(max_length=50, blank=True, help_text="Empty for uploads.")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class DeliveryStatus(models.IntegerChoices):
    """A status is its own rank: an event is applied only when it rises (`lifecycle`).

    queued ─► submitting ─► submitted ─► ringing ─► answered ─► completed | hungup
       │           │             └──────────────────────────► completed (SMS) | unanswered | failed
       └► terminated  └► queued again, only when the carrier surely did not take it
                      └► unknown ─► resolved by a report or a time limit (failed, cause "lost")
    """

    QUEUED = 0
    SUBMITTING = 10
    UNKNOWN = 20
    SUBMITTED = 30
    RINGING = 40
    ANSWERED = 50
    COMPLETED = 100
    HUNGUP = 101
    UNANSWERED = 102
    FAILED = 103
    TERMINATED = 104


FINAL = DeliveryStatus.COMPLETED  # this status and all above it never change again


class Cause(models.TextChoices):
    """Why a delivery did not complete; beside the carrier's own words in `carrier_text`."""

    NONE = "", "–"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    CUT_OFF = "cut_off"
    INVALID = "invalid", "invalid number"
    REFUSED = "refused", "refused by the carrier"
    OPTED_OUT = "opted_out"
    LOST = "lost", "never reported"
    EXPIRED = "expired", "too late to be of use"
    STOPPED = "stopped", "stopped by its owner"


class Purpose(models.TextChoices):
    CAMPAIGN = "campaign"
    OTP = "otp"


class Delivery(models.Model):
    """One call or one SMS to one number through one trunk.

    `batch` and `item` are the words of whoever ordered it (a run and its recipient); telephony does not look
    behind them, but never makes two deliveries of one item in a batch.
    """

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="deliveries", db_index=False
    )
    trunk = models.ForeignKey(Trunk, on_delete=models.PROTECT, related_name="+", db_index=False)
    purpose = models.CharField(max_length=10, choices=Purpose)
    batch = models.BigIntegerField()
    item = models.BigIntegerField()
    priority = models.SmallIntegerField(help_text="Lower goes first.")
    channel = models.CharField(max_length=4, choices=Channel)
    to = models.CharField(max_length=32, help_text="E.164.")
    caller = models.CharField(max_length=32, blank=True)
    text = models.TextField(blank=True)
    audio = models.ForeignKey(
        Audio, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )

    status = models.SmallIntegerField(choices=DeliveryStatus, default=DeliveryStatus.QUEUED)
    cause = models.CharField(max_length=12, choices=Cause, blank=True)
    carrier_text = models.CharField(max_length=200, blank=True)
    ref = models.CharField(max_length=100, blank=True, help_text="The carrier's id of it.")
    attempts = models.SmallIntegerField(default=0)
    not_before = models.DateTimeField(
        db_default=Now(), help_text="Waits until then; without end while paused."
    )
    stopped = models.BooleanField(default=False, help_text="Its owner wants it no more: never queued again.")
    expires_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Queued: too late afterwards. Submitting: end of the lease. Later: lost if unreported.",
    )

    hold = models.ForeignKey(
        CreditHold, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    credit_limit = models.DecimalField(
        max_digits=10, decimal_places=2, help_text="Never captures more than this."
    )
    credits = models.DecimalField(max_digits=10, decimal_places=2, default=Decimal(0), help_text="Captured.")
    seconds = models.FloatField(null=True, blank=True, help_text="How long it was answered.")
    playback = models.SmallIntegerField(
        null=True, blank=True, help_text="Per cent of the message that was heard."
    )

    created_at = models.DateTimeField(db_default=Now())
    claimed_at = models.DateTimeField(null=True, blank=True)
    submitted_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    delivered_at = models.DateTimeField(
        null=True, blank=True, help_text="When the handset's receipt came, if any."
    )

    class Meta:
        verbose_name_plural = "deliveries"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["batch", "item", "channel", "purpose"], name="one_delivery_per_item_of_a_batch"
            ),
            models.CheckConstraint(
                condition=models.Q(credits__lte=models.F("credit_limit")), name="within_its_limit"
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["trunk", "priority", "owner", "id"],
                condition=models.Q(status=DeliveryStatus.QUEUED),
                name="delivery_queue",
            ),
            models.Index(
                fields=["batch", "item"], condition=models.Q(status__lt=FINAL), name="delivery_unfinished"
            ),
            models.Index(
                fields=["trunk", "expires_at"],
                condition=models.Q(status__gt=DeliveryStatus.QUEUED, status__lt=FINAL),
                name="delivery_in_flight",
            ),
            models.Index(fields=["trunk", "ref"], condition=~models.Q(ref=""), name="delivery_ref"),
        ]

    def __str__(self) -> str:
        return f"{self.get_channel_display()} {self.pk} to {self.to}: {self.get_status_display()}"


class SandboxMessage(models.Model):
    """What the sandbox's telephone network took: one row for each accepted call or SMS, doubles included."""

    delivery_key = models.CharField(max_length=40, db_index=True)
    channel = models.CharField(max_length=4, choices=Channel)
    to = models.CharField(max_length=32)
    caller = models.CharField(max_length=32, blank=True)
    text = models.TextField(blank=True)
    audio_name = models.CharField(max_length=64, blank=True)
    audio_seconds = models.FloatField(null=True, blank=True)
    fate = models.CharField(max_length=12)
    owner_id = models.BigIntegerField()
    created_at = models.DateTimeField(db_default=Now())
    ring_at = models.DateTimeField(null=True, blank=True)
    answer_at = models.DateTimeField(null=True, blank=True)
    end_at = models.DateTimeField(null=True, blank=True)
    report_at = models.DateTimeField(
        null=True, blank=True, help_text="When the next report is due; empty after the last."
    )
    hidden = models.BooleanField(default=False, help_text="Emptied from the inbox.")

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["report_at"], condition=models.Q(report_at__isnull=False), name="sandbox_due"
            ),
            models.Index(fields=["to", "-id"], name="sandbox_to"),
        ]

    def __str__(self) -> str:
        return f"{self.channel} to {self.to}"
