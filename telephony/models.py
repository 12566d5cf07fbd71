"""The telephone side of iris: numbers that can be bought, trunks, and every single call or SMS."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Now

from accounts.models import CreditHold
from telephony.smpp_records import Bind as Bind
from telephony.smpp_records import InboundPart as InboundPart
from telephony.smpp_records import Repetition as Repetition


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
    session = models.CharField(
        max_length=200, blank=True, help_text="What its worker last said of its connection, if it keeps one."
    )
    session_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.alias


class Turn(models.Model):
    """When a task last began its turn at something, such as polling a trunk (`telephony.turns`)."""

    name = models.CharField(max_length=100, primary_key=True)
    began_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class Voice(models.Model):
    """One voice of the catalogue. Those that iris comes with are there after `migrate` (`voices.directory`).

    Where `engine` is empty, engine and options are those of `settings.IRIS_VOICES`, and change with them.
    """

    class Engine(models.TextChoices):
        SETTINGS = "", "as in the settings"
        ESPEAK = "espeak"
        PIPER = "piper"

    name = models.CharField(max_length=50, unique=True, help_text="What iris calls it, such as np_rija.")
    api_name = models.CharField(
        max_length=50,
        help_text="What callers of the API call it; a premium voice may share it with a plain one.",
    )
    display = models.CharField(max_length=100)
    language = models.CharField(max_length=10, default="ne", help_text="Two letters, such as ne or en.")
    engine = models.CharField(max_length=10, choices=Engine, blank=True)
    options = models.JSONField(
        default=dict,
        blank=True,
        help_text='espeak: {"variant": "f2", "pitch": 50, "speed": 150}. '
        'piper: {"model": "ne_NP-google-medium.onnx", "speaker": 3, "speed": 1.0}.',
    )
    is_premium = models.BooleanField(default=False)
    enabled = models.BooleanField(default=True, help_text="What is not enabled is offered to nobody.")
    order = models.SmallIntegerField(default=100, help_text="Lower is listed first.")

    class Meta:
        ordering: ClassVar = ["order", "id"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        from telephony.voices import directory  # which reads this model

        if fault := directory.fault_of_row(self):
            raise ValidationError({"options": fault})


class Audio(models.Model):
    """One recording, stored once: speech named by what was said and how, uploads by their content.

    `name` is a keyed hash, so a file can be fetched without a token by those who were given its address only.
    A recording with `parts` is those fragments one after the other; it has a file of its own only once a browser has
    listened to it (`voices.audio.pcm_of`).
    """

    name = models.CharField(max_length=64, unique=True)
    seconds = models.FloatField()
    voice = models.CharField(max_length=50, blank=True, help_text="Empty for uploads.")
    parts = ArrayField(
        models.CharField(max_length=64),
        default=list,
        db_default=[],
        blank=True,
        help_text="Names of fragments.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField(db_default=Now(), help_text="When it was last asked for, to the day.")
    pruned_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Its files were removed (manage.py prune_audio); made again when asked for.",
    )

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
    script = models.JSONField(
        null=True, blank=True, help_text="The steps of a call that asks something (`telephony.scripts`)."
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
    useful_until = models.DateTimeField(null=True, blank=True, help_text="Not sent any more afterwards.")
    expires_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Submitting: end of the lease. Later: lost if it has not reported by then.",
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
    digits = models.CharField(
        max_length=64, blank=True, db_default="", help_text="The keys that were pressed in the call."
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
                fields=["trunk", "priority", "owner", "not_before", "id"],
                condition=models.Q(status=DeliveryStatus.QUEUED),
                name="delivery_due",
            ),
            models.Index(
                fields=["useful_until"],
                condition=models.Q(status=DeliveryStatus.QUEUED, useful_until__isnull=False),
                name="delivery_useful_until",
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
            models.Index(fields=["to", "-id"], name="delivery_to"),
            # Those of campaigns are found by their batches.
            models.Index(
                fields=["owner", "created_at"], condition=models.Q(purpose="otp"), name="delivery_of_otps"
            ),
            # Lets prune_audio see who still needs a recording; an SMS has no entry in it.
            models.Index(fields=["audio"], condition=models.Q(audio__isnull=False), name="delivery_of_audio"),
        ]

    def __str__(self) -> str:
        return f"{self.get_channel_display()} {self.pk} to {self.to}: {self.get_status_display()}"


class MessagePart(models.Model):
    """One part of a long SMS, where the carrier numbers and reports the parts apart."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="parts")
    trunk = models.ForeignKey(Trunk, on_delete=models.PROTECT, related_name="+", db_index=False)
    ref = models.CharField(max_length=100, help_text="The carrier's id of it.")
    delivered = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["trunk", "ref", "delivery"], name="each_part_once")
        ]

    def __str__(self) -> str:
        return f"Part {self.ref} of {self.delivery_id}"


class UnmatchedReport(models.Model):
    """A carrier's report on an id that we do not know, or do not know yet (`telephony.unmatched`)."""

    trunk = models.ForeignKey(Trunk, on_delete=models.PROTECT, related_name="+", db_index=False)
    ref = models.CharField(max_length=100, blank=True)
    number = models.CharField(max_length=32, blank=True, help_text="Whom it is about, in E.164.")
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
            # What is not acknowledged in time comes again, and is no second report.
            models.UniqueConstraint(
                fields=["trunk", "ref", "number", "status"],
                condition=~models.Q(ref=""),
                name="each_unmatched_report_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_status_display()} on {self.ref or self.number}"


class InboundMessage(models.Model):
    """An SMS that somebody has sent to one of our numbers. `owner` is whose campaign it most likely answers."""

    trunk = models.ForeignKey(Trunk, on_delete=models.PROTECT, related_name="+")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    sender = models.CharField(max_length=32, help_text="E.164 where it is a phone number.")
    to = models.CharField(max_length=32, blank=True)
    text = models.TextField(blank=True)
    received_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["sender", "-id"], name="inbound_sender")]

    def __str__(self) -> str:
        return f"From {self.sender} to {self.to}"


class OptOut(models.Model):
    """Somebody wants no more calls and SMS from this account. Dispatch honours it for all but OTPs."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="opt_outs")
    number = models.CharField(max_length=32, help_text="E.164.")
    source = models.CharField(max_length=200, blank=True, help_text="What they wrote, or who noted it.")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["owner", "number"], name="one_opt_out_per_number")
        ]

    def __str__(self) -> str:
        return self.number


class SandboxMessage(models.Model):
    """What the sandbox's telephone network took: one row for each accepted call or SMS, doubles included."""

    delivery_key = models.CharField(max_length=40, db_index=True)
    channel = models.CharField(max_length=4, choices=Channel)
    to = models.CharField(max_length=32)
    caller = models.CharField(max_length=32, blank=True)
    text = models.TextField(blank=True)
    audio_name = models.CharField(max_length=64, blank=True)
    audio_seconds = models.FloatField(null=True, blank=True)
    script = models.JSONField(null=True, blank=True)
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
