"""Deliveries, and carriers' reports that cannot be matched to a delivery yet."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from accounts.models import CreditHold
from telephony.models.senders import MAX_ADDRESS
from telephony.models.trunks import Trunk
from telephony.models.voices import Audio
from telephony.pricing import RATE_DIGITS, RATE_PLACES


class Channel(models.TextChoices):
    CALL = "call"
    SMS = "sms"


class DeliveryStatus(models.IntegerChoices):
    """A status is its own rank: a report is applied only if it raises the status (`lifecycle`).

    queued ─► submitting ─► submitted ─► ringing ─► answered ─► completed | hungup
       │           │             └──────────────────────────► completed (SMS) | unanswered | failed
       └► terminated  └► queued again, only if the carrier certainly did not accept it
                      └► unknown ─► resolved by a report, a look-up or a timeout (failed, cause "lost")
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


FINAL = (
    DeliveryStatus.COMPLETED
)  # this status and all above it never change again, unless a lost delivery reports late


class Cause(models.TextChoices):
    """Why a delivery did not complete. `carrier_text` has the carrier's own words."""

    NONE = "", "–"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    CUT_OFF = "cut_off"
    INVALID = "invalid", "invalid number"
    REFUSED = "refused", "refused by the carrier"
    OPTED_OUT = "opted_out"
    BLOCKED = "blocked", "blocked by the operator"
    LOST = "lost", "never reported"
    EXPIRED = "expired", "too late to be of use"
    TOO_LONG = "too_long", "longer than the credits that are held for it"
    NO_PRICE = "no_price", "its destination has no price"
    NO_SENDER = "no_sender", "no sender is approved for its destination"
    STOPPED = "stopped", "stopped by its owner"


class Purpose(models.TextChoices):
    CAMPAIGN = "campaign"
    OTP = "otp"
    SEED = "seed", "SMS of a campaign to a seed number"


class Delivery(models.Model):
    """One call or one SMS to one number through one trunk.

    `batch` and `item` belong to the caller of `enqueue`: the ids of a run and its recipient, the id of a run and a number
    for the seed number, or the id of an OTP. Telephony does not interpret them, but a batch never has two deliveries of the
    same purpose, item, channel and try.

    Each try to reach a recipient is a delivery of its own. The next try is queued in the transaction that ends the one
    before (`telephony.engine.tries`), so at most one of them is unfinished.
    """

    owner = models.ForeignKey(
        "accounts.Account", on_delete=models.PROTECT, related_name="deliveries", db_index=False
    )
    trunk = models.ForeignKey(Trunk, on_delete=models.PROTECT, related_name="+", db_index=False)
    purpose = models.CharField(max_length=10, choices=Purpose)
    batch = models.BigIntegerField()
    item = models.BigIntegerField()
    priority = models.SmallIntegerField(help_text="Deliveries with a lower value are sent first.")
    channel = models.CharField(max_length=4, choices=Channel)
    to = models.CharField(max_length=32, help_text="In E.164.")
    caller = models.CharField(max_length=32, blank=True)
    sender = models.CharField(
        max_length=MAX_ADDRESS,
        blank=True,
        default="",
        db_default="",
        help_text="The approved sender of this SMS. Empty: the trunk's own sender, or the caller.",
    )
    text = models.TextField(blank=True)
    audio = models.ForeignKey(
        Audio, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    script = models.JSONField(
        null=True, blank=True, help_text="The steps of a survey call (`telephony.call_scripts`)."
    )

    status = models.SmallIntegerField(choices=DeliveryStatus, default=DeliveryStatus.QUEUED)
    cause = models.CharField(max_length=12, choices=Cause, blank=True)
    carrier_text = models.CharField(max_length=200, blank=True)
    ref = models.CharField(max_length=100, blank=True, help_text="The carrier's id of this call or SMS.")
    attempts = models.SmallIntegerField(default=0)
    try_number = models.SmallIntegerField(
        default=1, db_default=1, help_text="1 for the first try to reach the recipient; retries count on."
    )
    tries_reserved = models.SmallIntegerField(
        default=0,
        db_default=0,
        help_text="How many further tries may cost credits. Each can cost as much as this one, and the hold pays for all.",
    )
    retried = models.BooleanField(
        default=False, db_default=False, help_text="Another try follows it, so its end is not the outcome."
    )
    not_before = models.DateTimeField(
        db_default=Now(), help_text="Not submitted before this time. Infinite while the run is paused."
    )
    due_at = models.DateTimeField(
        null=True, blank=True, help_text="While the run is paused: what `not_before` was, and will be again."
    )
    not_after = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Not submitted after this time, because the calling hours end. It then waits for the next ones.",
    )
    stopped = models.BooleanField(
        default=False, help_text="The owner has stopped it, so it is never queued again."
    )
    pinned_since = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Set when the carrier resends it. The delivery stays on its trunk; reports since then belong to it.",
    )
    past_opt_outs = models.BooleanField(
        default=False, db_default=False, help_text="It also reaches a recipient who has opted out."
    )
    useful_until = models.DateTimeField(null=True, blank=True, help_text="Not sent after this time.")
    expires_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="While submitting: end of the lease. Later: without a report by this time, the delivery is lost.",
    )

    hold = models.ForeignKey(
        CreditHold, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    credit_limit = models.DecimalField(
        max_digits=10, decimal_places=2, help_text="Maximum number of credits that this delivery may capture."
    )
    pulse_credits = models.DecimalField(
        max_digits=RATE_DIGITS,
        decimal_places=RATE_PLACES,
        null=True,
        blank=True,
        help_text="Price of a pulse of this call, in credits. Empty: what the settings say when the call ends.",
    )
    pulse_seconds = models.IntegerField(
        null=True, blank=True, help_text="Length of a pulse of this call, in seconds."
    )
    credits = models.DecimalField(
        max_digits=10, decimal_places=2, default=Decimal(0), help_text="Credits that were captured."
    )
    seconds = models.FloatField(
        null=True, blank=True, help_text="Seconds from the pickup to the end of the call."
    )
    playback = models.SmallIntegerField(
        null=True, blank=True, help_text="Percentage of the message that was played."
    )
    digits = models.CharField(
        max_length=64, blank=True, db_default="", help_text="Keys that the recipient pressed during the call."
    )

    created_at = models.DateTimeField(db_default=Now())
    claimed_at = models.DateTimeField(null=True, blank=True)
    submitted_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    delivered_at = models.DateTimeField(
        null=True, blank=True, help_text="When the handset's receipt came, if there was one."
    )

    class Meta:
        verbose_name_plural = "deliveries"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["batch", "item", "channel", "purpose", "try_number"], name="one_delivery_per_try"
            ),
            models.CheckConstraint(
                condition=models.Q(credits__lte=models.F("credit_limit")), name="within_its_limit"
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["trunk", "priority", "owner", "not_before", "id"],
                condition=models.Q(status=DeliveryStatus.QUEUED),
                name="delivery_due",
            ),
            models.Index(
                fields=["useful_until"],
                condition=models.Q(status=DeliveryStatus.QUEUED, useful_until__isnull=False),
                name="delivery_useful_until",
            ),
            # Finds deliveries whose calling hours are over. Runs without calling hours have no entry in it.
            models.Index(
                fields=["not_after"],
                condition=models.Q(status=DeliveryStatus.QUEUED, not_after__isnull=False),
                name="delivery_not_after",
            ),
            models.Index(
                fields=["batch", "item"], condition=models.Q(status__lt=FINAL), name="delivery_unfinished"
            ),
            models.Index(
                fields=["trunk", "expires_at"],
                condition=models.Q(status__gt=DeliveryStatus.QUEUED, status__lt=FINAL),
                name="delivery_in_flight",
            ),
            # A small index that finds deliveries waiting for a resend on a trunk that no longer exists.
            models.Index(
                fields=["trunk"],
                condition=models.Q(pinned_since__isnull=False, status__lt=FINAL),
                name="delivery_pinned",
            ),
            models.Index(fields=["trunk", "ref"], condition=~models.Q(ref=""), name="delivery_ref"),
            models.Index(fields=["to", "-id"], name="delivery_to"),
            # Only OTPs: the deliveries of campaigns are found by their batches.
            models.Index(
                fields=["owner", "created_at"], condition=models.Q(purpose="otp"), name="delivery_of_otps"
            ),
            # With this index, prune_audio finds the recordings that are still needed. SMS are not in the index.
            models.Index(fields=["audio"], condition=models.Q(audio__isnull=False), name="delivery_of_audio"),
        ]

    def __str__(self) -> str:
        return f"{self.get_channel_display()} {self.pk} to {self.to}: {self.get_status_display()}"


class MessagePart(models.Model):
    """One part of a long SMS, for carriers that give each part an id and report on it separately."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="parts")
    trunk = models.ForeignKey(Trunk, on_delete=models.PROTECT, related_name="+", db_index=False)
    ref = models.CharField(max_length=100, help_text="The carrier's id of this call or SMS.")
    delivered = models.BooleanField(default=False)
    delivered_at = models.DateTimeField(null=True, blank=True, help_text="When its report came.")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["trunk", "ref", "delivery"], name="each_part_once")
        ]

    def __str__(self) -> str:
        return f"Part {self.ref} of {self.delivery_id}"


class UnmatchedReport(models.Model):
    """A carrier's report on an id that no delivery has, or not yet (`telephony.engine.unmatched_reports`)."""

    trunk = models.ForeignKey(Trunk, on_delete=models.PROTECT, related_name="+", db_index=False)
    ref = models.CharField(max_length=100, blank=True)
    number = models.CharField(
        max_length=32, blank=True, help_text="Phone number that the report is about, in E.164."
    )
    status = models.SmallIntegerField(choices=DeliveryStatus)
    cause = models.CharField(max_length=12, choices=Cause, blank=True)
    carrier_text = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["trunk", "ref"], name="unmatched_ref"),
            models.Index(fields=["trunk", "number"], name="unmatched_number"),
        ]
        constraints: ClassVar = [
            # Carriers repeat a report that is not acknowledged in time. The repetition is not a second report.
            models.UniqueConstraint(
                fields=["trunk", "ref", "number", "status"],
                condition=~models.Q(ref=""),
                name="each_unmatched_report_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_status_display()} on {self.ref or self.number}"
