"""Marks by which a restored backup is detected (`telephony.engine.restore_hold`)."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class RestoreAnchor(models.Model):
    """One row that never changes. If a program inserts it again, as pg_restore does, it gets a different `xmin`."""

    def __str__(self) -> str:
        return f"anchor {self.pk}"


class RestoreGuard(models.Model):
    """One row: the marks of the place where these data were written, and the hold after a restore."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    system_identifier = models.BigIntegerField(
        null=True, blank=True, help_text="Of the PostgreSQL server; empty if it does not say."
    )
    timeline = models.BigIntegerField(null=True, blank=True, help_text="Of its write-ahead log; likewise.")
    database_oid = models.BigIntegerField()
    guard_oid = models.BigIntegerField(help_text="Of this table.")
    delivery_oid = models.BigIntegerField(help_text="Of the table of deliveries.")
    anchor_xmin = models.BigIntegerField(help_text="The transaction that wrote the anchor's row.")
    adopted_at = models.DateTimeField(help_text="When these marks were taken.")
    beats = models.BigIntegerField(
        default=0,
        help_text="Raised by each tick. Workers remember it: it never falls, unless data were lost.",
    )
    held_since = models.DateTimeField(null=True, blank=True, help_text="Nothing leaves from then on.")
    reason = models.CharField(max_length=300, blank=True)
    set_aside_at = models.DateTimeField(null=True, blank=True, help_text="When the runs had been paused.")
    restored_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When the last hold ended. What was claimed before is never queued again.",
    )

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(id=1), name="one_restore_guard"),
        ]

    def __str__(self) -> str:
        return f"held since {self.held_since}: {self.reason}" if self.held_since else "not held"
