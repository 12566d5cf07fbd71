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
        null=True, blank=True, help_text="Identifier of the PostgreSQL server. Empty if the server hides it."
    )
    timeline = models.BigIntegerField(
        null=True,
        blank=True,
        help_text="Timeline of the server's write-ahead log. Empty if the server hides it.",
    )
    database_oid = models.BigIntegerField()
    guard_oid = models.BigIntegerField(help_text="Oid of this table.")
    delivery_oid = models.BigIntegerField(help_text="Oid of the table of deliveries.")
    anchor_xmin = models.BigIntegerField(help_text="Id of the transaction that wrote the anchor's row.")
    adopted_at = models.DateTimeField(help_text="When these identifiers were stored.")
    beats = models.BigIntegerField(
        default=0,
        help_text="Counter that each tick increments. Workers store the last value; a lower one means that data were lost.",
    )
    held_since = models.DateTimeField(
        null=True, blank=True, help_text="Since when iris makes no calls and sends no SMS."
    )
    reason = models.CharField(max_length=300, blank=True)
    set_aside_at = models.DateTimeField(null=True, blank=True, help_text="When all runs had been paused.")
    restored_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When the last hold ended. Deliveries claimed before this time are never queued again.",
    )

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(id=1), name="one_restore_guard"),
        ]

    def __str__(self) -> str:
        return f"held since {self.held_since}: {self.reason}" if self.held_since else "not held"
