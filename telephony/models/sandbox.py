"""Messages of the sandbox's telephone network."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from telephony.models.deliveries import Channel


class SandboxMessage(models.Model):
    """A call or SMS that the sandbox's telephone network has accepted. Duplicates have rows of their own."""

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
        null=True, blank=True, help_text="When the next report is due. Empty after the last report."
    )
    keys = models.CharField(
        max_length=100,
        blank=True,
        db_default="",
        default="",
        help_text="What somebody has pressed in the call.",
    )
    hidden = models.BooleanField(default=False, help_text="Removed from the inbox.")

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["report_at"], condition=models.Q(report_at__isnull=False), name="sandbox_due"
            ),
            models.Index(fields=["to", "-id"], name="sandbox_to"),
            models.Index(fields=["owner_id", "id"], name="sandbox_owner"),
        ]

    def __str__(self) -> str:
        return f"{self.channel} to {self.to}"


class SandboxFaults(models.Model):
    """The faults of the sandbox's telephone network for one account, or for all others (`carriers.sandbox.fates`)."""

    owner_id = models.BigIntegerField(primary_key=True, help_text="The account. 0: all others.")
    busy = models.SmallIntegerField(help_text="Share in per cent.")
    lost = models.SmallIntegerField(help_text="Share in per cent.")
    throttled = models.SmallIntegerField(help_text="Share in per cent.")
    latency_seconds = models.SmallIntegerField(help_text="By how much later reports come.")

    class Meta:
        verbose_name_plural = "sandbox faults"

    def __str__(self) -> str:
        return f"Faults of {self.owner_id}"
