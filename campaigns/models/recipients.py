"""The recipients of campaigns."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar, Self

from django.db import models
from django.db.models.functions import Now

from accounts.models import Account
from campaigns.models.choices import LeftOut
from telephony.models import DeliveryStatus


class RecipientQuerySet(models.QuerySet["Recipient"]):
    def owned_by(self, account: Account) -> Self:
        return self.filter(campaign__owner=account, campaign__deleted_at__isnull=True)


class Recipient(models.Model):
    """One phone number of a campaign, with its tags and the outcome of its latest delivery.

    `status` is the final status of that delivery, or None if no delivery has ended. While a delivery is in progress, its
    status is read from the delivery (`states.states_of`), so that a call costs one update here instead of five.
    """

    # Triggers check the campaign once per statement (migration 0005). A foreign key constraint would check every row.
    campaign = models.ForeignKey(
        "campaigns.Campaign",
        on_delete=models.CASCADE,
        related_name="recipients",
        db_index=False,
        db_constraint=False,
    )
    number = models.CharField(max_length=40, help_text="As the client sent it.")
    to = models.CharField(max_length=32, blank=True, help_text="In E.164. Empty if the number cannot exist.")
    tags = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()))
    status = models.SmallIntegerField(null=True, blank=True, choices=DeliveryStatus)
    seconds = models.FloatField(null=True, blank=True)
    playback = models.SmallIntegerField(null=True, blank=True)
    attempts = models.SmallIntegerField(
        null=True,
        blank=True,
        help_text="How often the latest run tried to reach the recipient. Empty if that run had no retries.",
    )
    duplicate = models.BooleanField(
        default=False,
        db_default=False,
        help_text="An earlier recipient of the campaign has the same number (`campaigns.duplicates`).",
    )
    left_out = models.CharField(
        max_length=13,
        choices=LeftOut,
        blank=True,
        default="",
        db_default="",
        help_text="Why the latest run did not contact the recipient. Only valid with the status `terminated`.",
    )
    credits = models.DecimalField(
        max_digits=10,
        decimal_places=2,
        default=Decimal(0),
        db_default=Decimal(0),
        help_text="Total cost of all deliveries, in credits.",
    )
    sms_status = models.SmallIntegerField(
        null=True,
        blank=True,
        choices=DeliveryStatus,
        help_text="Status of the SMS that was sent together with a call, or after it.",
    )
    sms_credits = models.DecimalField(
        max_digits=10,
        decimal_places=2,
        default=Decimal(0),
        db_default=Decimal(0),
        help_text="The part of `credits` that SMS cost.",
    )
    updated_at = models.DateTimeField(
        db_default=Now(),
        help_text="When the recipient was added or edited. 1970 if that was before iris stored this time.",
    )

    objects = RecipientQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["campaign", "id"], name="recipient_of_campaign"),
            models.Index(
                fields=["campaign", "id"],
                condition=models.Q(status__gt=DeliveryStatus.COMPLETED),
                name="recipient_not_reached",
            ),
            # Most campaigns have few duplicates, and recipients that are none have no entry in it.
            models.Index(
                fields=["campaign", "id"], condition=models.Q(duplicate=True), name="recipient_duplicate"
            ),
        ]

    def __str__(self) -> str:
        return self.number
