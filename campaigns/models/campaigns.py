"""Campaigns and their runs."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from accounts.models import Account, CreditHold
from campaigns.models.choices import LIVE, NotStarted, RunStatus, Service, Source
from campaigns.models.recipients import Recipient, RecipientQuerySet
from telephony.models import Audio, DeliveryStatus, PriceList

# A run that waits before its next wave: it has contacted all recipients of its wave, and has others left.
WAITS = models.Q(status=RunStatus.RUNNING, wave_room=0, filled_at=None)
# As WAITS, and the next wave begins only when a person lets it.
WAITS_FOR_GO_AHEAD = WAITS & models.Q(waits_since__isnull=False)


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


class Run(models.Model):
    """One run of a campaign. It freezes message, recipients and start time, and holds the credits.

    awaiting ─► scheduled ─► running ⇄ paused ─► completed   awaiting or scheduled ⇄ paused, if iris set the run aside
        ├───────────┼───────────┴─────────┴─► stopping ─► terminated
        └───────────┴─► withdrawn

    A run that needs approval waits as `awaiting` until it is approved (`campaigns.runs.approval`). It is never changed
    while it waits: a change replaces it by another run. So what was approved is what is sent.
    """

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="runs", db_index=False)
    status = models.CharField(max_length=10, choices=RunStatus)
    source = models.CharField(max_length=7, choices=Source)
    message = models.TextField(blank=True)
    sms_message = models.TextField(blank=True)
    voice = models.CharField(max_length=50, blank=True)
    speed = models.DecimalField(max_digits=5, decimal_places=4, default=Decimal(1))
    audio = models.ForeignKey(Audio, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    failover_statuses = ArrayField(models.SmallIntegerField(), default=list, blank=True)
    statuses = ArrayField(
        models.SmallIntegerField(),
        null=True,
        blank=True,
        help_text="Only recipients with one of these statuses. If empty, all.",
    )
    individual = ArrayField(
        models.BigIntegerField(),
        null=True,
        blank=True,
        help_text="Only recipients with these ids. If empty, all.",
    )
    trial = models.BooleanField(
        default=False,
        db_default=False,
        help_text="A trial for one recipient. The campaign and the recipient show its cost, but no other result.",
    )
    cursor = models.BigIntegerField(
        default=0, help_text="The run has queued a delivery for all of its recipients up to this id."
    )
    last_recipient = models.BigIntegerField(
        help_text="Id of the last recipient of this run. Recipients that were added later belong to the next run."
    )
    filled_at = models.DateTimeField(
        null=True, blank=True, help_text="When the run had queued its last delivery."
    )
    prepared_to = models.BigIntegerField(
        default=0, help_text="The messages of all recipients up to this id were spoken before the run began."
    )
    prepared_at = models.DateTimeField(
        null=True, blank=True, help_text="When the last of these messages was spoken."
    )
    recipient_count = models.IntegerField()
    hold = models.ForeignKey(CreditHold, on_delete=models.PROTECT, related_name="+")
    call_limit = models.DecimalField(
        max_digits=10, decimal_places=2, default=Decimal(0), help_text="Maximum cost of one call, in credits."
    )
    sms_limit = models.DecimalField(
        max_digits=10, decimal_places=2, default=Decimal(0), help_text="Maximum cost of one SMS, in credits."
    )
    call_seconds = models.FloatField(
        null=True,
        blank=True,
        help_text="The longest call that `call_limit` pays for; empty if the release before has begun the run.",
    )
    # The next four fields are empty if the previous release has begun the run. Then the current settings apply.
    prices = models.ForeignKey(
        PriceList, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    longest_call = models.FloatField(
        null=True, blank=True, help_text="Seconds of the longest call that the hold covers."
    )
    most_segments = models.IntegerField(
        null=True, blank=True, help_text="Segments of the longest SMS that the hold covers."
    )
    cost_limit = models.DecimalField(
        max_digits=20,
        decimal_places=2,
        null=True,
        blank=True,
        help_text="Maximum cost of the run, in credits. The hold is smaller if a spending limit is.",
    )
    too_long = models.IntegerField(
        default=0,
        db_default=0,
        help_text="Calls that were not made, because their speech was longer than that.",
    )
    caller = models.CharField(max_length=32, blank=True)
    offers_opt_out = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Each call ends with the hint that a key opts the recipient out.",
    )
    announces_recording = models.BooleanField(
        default=False, db_default=False, help_text="Its calls begin with the announcement that answers are recorded."
    )  # fmt: skip
    rules = models.JSONField(
        default=dict,
        db_default=models.Value({}, models.JSONField()),
        blank=True,
        help_text="The rules of reaching people that hold for it (`campaigns.runs.rules`).",
    )
    opens_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Until this time it queues nothing for further recipients, because of its calling hours.",
    )
    after_delivery = models.BigIntegerField(
        default=0,
        db_default=0,
        help_text="All deliveries of this run have higher ids. 0 if the previous release has begun it.",
    )
    duplicate_count = models.IntegerField(
        default=0,
        db_default=0,
        help_text="Recipients that were left out, because their numbers are repeated.",
    )
    over_cap_count = models.IntegerField(
        default=0, db_default=0, help_text="Recipients that were left out by the frequency cap."
    )
    wave = models.SmallIntegerField(default=1, db_default=1, help_text="The number of the present wave.")
    wave_room = models.IntegerField(
        null=True,
        blank=True,
        help_text="How many recipients it may still contact before it waits (`campaigns.runs.waves`). Empty: all.",
    )
    wave_after = models.BigIntegerField(
        default=0, db_default=0, help_text="The recipients of the present wave have higher ids than this."
    )
    waits_since = models.DateTimeField(
        null=True, blank=True, help_text="Since when it has waited until a person lets its next wave begin."
    )
    pause_reason = models.CharField(
        max_length=300,
        blank=True,
        db_default="",
        help_text="Explains to the owner why iris paused the run. Empty if the owner paused it.",
    )
    failing_since = models.DateTimeField(
        null=True, blank=True, help_text="Since when each attempt to queue more deliveries has failed."
    )
    needs_approval = models.BooleanField(
        default=False, db_default=False, help_text="A second person must approve it before it starts."
    )
    authors = ArrayField(
        models.BigIntegerField(),
        default=list,
        db_default=[],
        blank=True,
        help_text="Ids of the people who began it or changed it while it waited. They cannot approve it.",
    )
    approve_until = models.DateTimeField(
        null=True,
        blank=True,
        help_text="It ends without having started if it is not approved before this time.",
    )
    approved_at = models.DateTimeField(null=True, blank=True)
    # The person who approved or rejected it.
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, related_name="+", db_index=False, db_constraint=False,
        on_delete=models.DO_NOTHING,  # the decision remains when the person is deleted
    )  # fmt: skip
    not_started = models.CharField(
        max_length=8, choices=NotStarted, blank=True, db_default="", help_text="Why it was withdrawn."
    )
    rejection = models.CharField(
        max_length=300, blank=True, db_default="", help_text="The words of the rejection."
    )
    starts_at = models.DateTimeField()
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["campaign"], condition=models.Q(status__in=LIVE), name="one_live_run_of_campaign"
            ),
            # Whatever a process does, a run that nobody has approved does not start.
            models.CheckConstraint(
                condition=models.Q(needs_approval=False)
                | models.Q(approved_at__isnull=False)
                | ~models.Q(status__in=[RunStatus.SCHEDULED, RunStatus.RUNNING]),
                name="run_starts_after_approval",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["campaign", "-id"], name="run_latest"),
            models.Index(
                fields=["status", "starts_at"], condition=models.Q(status__in=LIVE), name="run_live_by_status"
            ),
        ]

    def __str__(self) -> str:
        return f"run {self.pk} of {self.campaign_id}: {self.status}"

    @property
    def is_capped(self) -> bool:
        """Return whether the hold is smaller than the upper bound of the run's cost, because of a spending limit."""
        most = self.cost_limit
        if most is None:
            most = (self.call_limit + self.sms_limit) * self.recipient_count
        return self.hold.amount < most

    def untouched(self) -> RecipientQuerySet:
        """Return the recipients for whom this run has not queued a delivery yet, in the order of the run."""
        rows = Recipient.objects.filter(
            campaign_id=self.campaign_id, pk__gt=self.cursor, pk__lte=self.last_recipient
        ).order_by("pk")
        if self.statuses is not None:
            rows = rows.filter(status__in=self.statuses)
        if self.individual is not None:
            rows = rows.filter(pk__in=self.individual)
        return rows
