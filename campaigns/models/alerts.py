"""Who has heard an alert: an urgent run whose calls ask to press a key."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from campaigns.models.recipients import Recipient
from campaigns.models.runs import Run


class AlertState(models.IntegerChoices):
    """What a recipient of an alert waits for, or how it ended.

    waiting ─► due ─► called ─► heard | not heard
       └────────┴─► spared | stopped
    """

    WAITING = 0, "waiting until another number of the household has been called"
    DUE = 1, "due: to be called next"
    CALLED = 2
    NOT_HEARD = 3
    HEARD = 4
    SPARED = 5, "spared: another number of the household has heard"
    STOPPED = 6


class AlertRecipient(models.Model):
    """A recipient of an alert. `campaigns.runs.alerts` inserts it and is the only writer of its state."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="+", db_index=False)
    # No constraint: checking every row would cost as much as inserting it. Recipients of a live run are never deleted.
    recipient = models.ForeignKey(
        Recipient, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    household = models.BigIntegerField(help_text="A hash of the tag that the numbers of a household share.")
    state = models.SmallIntegerField(choices=AlertState)
    heard_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "recipient"], name="alert_recipient_once")
        ]
        indexes: ClassVar = [
            models.Index(fields=["run", "household"], name="alert_household"),
            models.Index(fields=["recipient"], name="alert_recipient"),
            models.Index(
                fields=["run", "recipient"],
                condition=models.Q(state__lte=AlertState.DUE),
                name="alert_to_call",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.recipient_id} of run {self.run_id}: {self.get_state_display()}"
