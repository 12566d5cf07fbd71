"""Campaigns."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from accounts.models import Account
from campaigns.models.choices import RunStatus, Service, Source
from campaigns.models.runs import WAITS_FOR_GO_AHEAD, Run
from telephony.models import Audio, DeliveryStatus


class CampaignQuerySet(models.QuerySet["Campaign"]):
    def owned_by(self, account: Account) -> Self:
        return self.filter(owner=account, deleted_at__isnull=True)

    def with_status(self) -> Self:
        """Annotate `run_status`, `pause_reason`, `too_long` and `waits_for_go_ahead`.

        `run_status` is the status of the latest run, ignoring trials and withdrawn runs, or None if no run remains.
        `pause_reason` says why iris paused the run; it is "" or None if iris did not. `too_long` is
        `Run.too_long` of the latest run. `waits_for_go_ahead`: it waits until a person lets its next wave begin.
        """
        runs = Run.objects.filter(campaign=models.OuterRef("pk"), trial=False)
        latest = runs.exclude(status=RunStatus.WITHDRAWN).order_by("-id")
        paused = Run.objects.filter(campaign=models.OuterRef("pk"), status=RunStatus.PAUSED)
        waiting = Run.objects.filter(WAITS_FOR_GO_AHEAD, campaign=models.OuterRef("pk"))
        return self.annotate(
            run_status=models.Subquery(latest.values("status")[:1]),
            too_long=models.Subquery(latest.values("too_long")[:1]),
            pause_reason=models.Subquery(paused.values("pause_reason")[:1]),
            waits_for_go_ahead=models.Exists(waiting),
        )

    def with_approval(self) -> Self:
        """Annotate `needs_approval`: whether the latest run, ignoring trials, must be or was approved by a second person."""
        runs = Run.objects.filter(campaign=models.OuterRef("pk"), trial=False).order_by("-id")
        return self.annotate(needs_approval=models.Subquery(runs.values("needs_approval")[:1]))

    def with_left_out(self) -> Self:
        """Annotate `duplicate_count` and `over_cap_count`: how many recipients the latest run has left out.

        Trials are ignored.
        """
        latest = Run.objects.filter(campaign=models.OuterRef("pk"), trial=False).order_by("-id")
        return self.annotate(
            duplicate_count=models.Subquery(latest.values("duplicate_count")[:1]),
            over_cap_count=models.Subquery(latest.values("over_cap_count")[:1]),
        )


class Campaign(models.Model):
    """A message with recipients. A campaign can be run any number of times. Each time creates a `Run`."""

    owner = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="campaigns")
    name = models.CharField(max_length=200)
    service = models.CharField(max_length=6, choices=Service)
    description = models.TextField(blank=True)
    message = models.TextField(
        blank=True, help_text="Text of the calls, and of the SMS if `sms_message` is empty."
    )
    sms_message = models.TextField(blank=True)
    voice = models.CharField(max_length=50, blank=True)
    speed = models.DecimalField(max_digits=5, decimal_places=4, default=Decimal(1), help_text="0.5 to 2.")
    audio = models.ForeignKey(Audio, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    source = models.CharField(
        max_length=7,
        choices=Source,
        blank=True,
        help_text="Whether calls use the message or the recording. If empty, they use the one that exists.",
    )
    tags = ArrayField(
        models.CharField(max_length=200),
        default=list,
        help_text="Names of the tags, in the order of the sheet.",
    )
    tag_sizes = models.JSONField(
        default=dict,
        help_text="Upper bound of each tag's values, updated by each import and edit. It gives the price without a "
        "read of the recipients.",
    )
    spoken_sizes = models.JSONField(
        default=dict,
        db_default=models.Value({}, models.JSONField()),
        help_text="The most seconds that a value of each tag takes to say, whatever the voice: what a call can cost is "
        "known without reading the recipients.",
    )
    measured_to = models.BigIntegerField(
        default=0, db_default=0, help_text="The recipients up to this id are measured in `spoken_sizes`."
    )
    measured = models.BooleanField(
        default=True,
        db_default=False,
        help_text="Whether all recipients are; a worker measures those that the release before has added.",
    )
    duplicates_marked_to = models.BigIntegerField(
        default=0,
        db_default=0,
        help_text="The marks of duplicates are right for the recipients up to this id (`campaigns.duplicates`).",
    )
    number_count = models.IntegerField(default=0)
    failover_statuses = ArrayField(
        models.SmallIntegerField(choices=DeliveryStatus),
        default=list,
        blank=True,
        help_text="Final call statuses after which iris sends an SMS.",
    )
    spending_limit = models.DecimalField(
        max_digits=10,
        decimal_places=2,
        null=True,
        blank=True,
        help_text="Maximum number of credits that a run may hold and spend.",
    )
    caller_ids = ArrayField(
        models.BigIntegerField(),
        default=list,
        blank=True,
        help_text="Ids of the phone numbers to call from. They belong to the owner.",
    )
    rules = models.JSONField(
        default=dict,
        db_default=models.Value({}, models.JSONField()),
        blank=True,
        help_text="Rules of reaching people that differ from those of the account (`campaigns.runs.rules`). Null: none.",
    )
    schedule_at = models.DateTimeField(
        null=True, blank=True, help_text="When the campaign begins after a request to run it."
    )
    draft = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = CampaignQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["owner", "-id"],
                condition=models.Q(deleted_at__isnull=True),
                name="campaign_newest_first",
            ),
            models.Index(
                fields=["id"],
                condition=models.Q(measured=False, deleted_at__isnull=True),
                name="campaign_to_measure",
            ),
        ]

    def __str__(self) -> str:
        return self.name
