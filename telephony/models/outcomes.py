"""What became of the deliveries that carriers accepted, counted in the background (`telephony.engine.outcomes`)."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from telephony.models.deliveries import Channel
from telephony.models.trunks import Trunk


class OutcomeChunk(models.Model):
    """A range of deliveries by their ids, and whether all of them have ended and are counted."""

    number = models.BigIntegerField(primary_key=True)
    is_complete = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(db_default=Now())
    counted_at = models.DateTimeField(null=True)
    accounts_counted_at = models.DateTimeField(
        null=True,
        help_text="Equal to `counted_at` if that count was by account, too; the previous release does not do that.",
    )
    due_at = models.DateTimeField(db_default=Now(), help_text="When it is counted again.")

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["due_at"], condition=models.Q(is_complete=False), name="outcome_chunk_due")
        ]

    def __str__(self) -> str:
        return f"Chunk {self.number}"


class OutcomeCount(models.Model):
    """The outcomes of a chunk's deliveries over one trunk to one operator that were submitted in one hour.

    An accepted delivery is delivered, failed, silent or unconfirmed once it has ended. `latencies` counts the delivered ones
    by their seconds until the report, or until the pickup of a call (`telephony.engine.outcomes.BOUNDS`).
    """

    chunk = models.ForeignKey(OutcomeChunk, on_delete=models.CASCADE, related_name="counts", db_index=False)
    trunk = models.ForeignKey(Trunk, on_delete=models.CASCADE, related_name="+", db_index=False)
    channel = models.CharField(max_length=4, choices=Channel)
    operator = models.CharField(max_length=40, help_text="Operator of the phone numbers, or their country.")
    hour = models.DateTimeField(help_text="The beginning of the hour of submission.")
    accepted = models.IntegerField(help_text="Accepted by the carrier.")
    delivered = models.IntegerField(help_text="Reported as delivered, or calls that were answered.")
    failed = models.IntegerField(help_text="Reported as failed, or calls that were not answered.")
    silent = models.IntegerField(help_text="Never reported: they ended as lost.")
    overdue = models.IntegerField(help_text="Not reported yet, although it is late.")
    unconfirmed = models.IntegerField(help_text="Accepted by a carrier that sends no reports.")
    refused = models.IntegerField(help_text="Refused at once, so they are not among the accepted.")
    latencies = ArrayField(models.IntegerField())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["chunk", "trunk", "channel", "operator", "hour"], name="outcomes_counted_once"
            )
        ]
        indexes: ClassVar = [models.Index(fields=["trunk", "hour"], name="outcomes_by_hour")]

    def __str__(self) -> str:
        return f"{self.operator} over {self.trunk_id}, {self.hour:%Y-%m-%d %H:00}"


class AccountOutcomeCount(models.Model):
    """How a chunk's deliveries of one account ended that were submitted in one quarter of an hour.

    Time zones differ by quarters of an hour, so these counts add up to the days and the hours of any zone. A try that
    another try follows is no outcome, so it does not count. SMS to seed numbers do not count either.
    """

    chunk = models.ForeignKey(
        OutcomeChunk, on_delete=models.CASCADE, related_name="account_counts", db_index=False
    )
    owner = models.ForeignKey("accounts.Account", on_delete=models.CASCADE, related_name="+", db_index=False)
    channel = models.CharField(max_length=4, choices=Channel)
    quarter = models.DateTimeField(
        help_text="The beginning of the quarter of an hour of the submission; if it was not submitted, of its end."
    )
    completed = models.IntegerField()
    hungup = models.IntegerField()
    unanswered = models.IntegerField()
    failed = models.IntegerField()
    terminated = models.IntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["chunk", "owner", "channel", "quarter"], name="account_outcomes_counted_once"
            )
        ]
        indexes: ClassVar = [models.Index(fields=["owner", "quarter"], name="account_outcomes_by_time")]

    def __str__(self) -> str:
        return f"account {self.owner_id}, {self.channel}, {self.quarter:%Y-%m-%d %H:%M}"
