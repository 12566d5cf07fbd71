"""The endpoints of accounts, and the outbox: the events that iris sends to them."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from accounts.models import Account

MAX_URL_CHARACTERS = 2_000


class Endpoint(models.Model):
    """An address of a customer to which iris posts events. Test twins have endpoints of their own.

    The secrets are stored in clear text, because iris signs each request with them.
    """

    owner = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="webhook_endpoints")
    name = models.CharField(max_length=100, blank=True)
    url = models.CharField(max_length=MAX_URL_CHARACTERS)
    events = ArrayField(
        models.CharField(max_length=20),
        default=list,
        blank=True,
        help_text="Empty: all, also those of later releases.",
    )
    secret = models.CharField(max_length=100)
    old_secret = models.CharField(
        max_length=100, blank=True, help_text="The secret before the last rotation. For a day, it signs too."
    )
    old_secret_until = models.DateTimeField(null=True, blank=True)
    is_enabled = models.BooleanField(default=True)
    disabled_reason = models.CharField(max_length=200, blank=True)
    is_trusted = models.BooleanField(
        default=False,
        help_text="Its last response was quick and a success. Others get few requests at a time.",
    )
    failing_since = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    deleted_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="A deleted endpoint is disabled. `webhooks.retention` removes it later.",
    )

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(deleted_at__isnull=True) | models.Q(is_enabled=False),
                name="deleted_endpoint_is_disabled",
            )
        ]

    def __str__(self) -> str:
        return self.name or self.url[:100]


class MessageState(models.TextChoices):
    PENDING = "pending"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up", "given up"


class OutboxMessage(models.Model):
    """An event for one endpoint, with the exact body that every attempt sends.

    pending ─► delivered
       └─────► given_up, after the last attempt        a replay makes either pending again

    Many deliveries can end at once and insert a row each. So `endpoint` has no constraint: the database would check it for
    each row.
    """

    endpoint = models.ForeignKey(
        Endpoint, on_delete=models.DO_NOTHING, related_name="messages", db_index=False, db_constraint=False
    )
    event = models.CharField(max_length=20)
    subject = models.CharField(
        max_length=60,
        db_collation="C",
        help_text="The object of the event. Events of one object are sent in their order.",
    )
    webhook_id = models.CharField(max_length=40)
    body = models.TextField()
    state = models.CharField(max_length=9, choices=MessageState, default=MessageState.PENDING)
    due_at = models.DateTimeField(
        db_default=Now(), help_text="Not sent before this time. While it is being sent: the end of the lease."
    )
    attempt_count = models.SmallIntegerField(default=0, help_text="Since it was written or replayed.")
    attempts = models.JSONField(
        default=list, help_text="Time, status code, error and seconds of each attempt."
    )
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["endpoint", "due_at", "id"],
                condition=models.Q(state=MessageState.PENDING),
                name="outbox_due",
            ),
            models.Index(
                fields=["endpoint", "subject", "id"],
                condition=models.Q(state=MessageState.PENDING),
                name="outbox_order",
            ),
            models.Index(fields=["endpoint", "-id"], name="outbox_newest_first"),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.webhook_id}"
