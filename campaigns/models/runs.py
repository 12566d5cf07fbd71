"""Runs of campaigns."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from accounts.models import CreditHold
from campaigns.models.choices import LIVE, NotStarted, RunStatus, Source
from campaigns.models.recipients import Recipient, RecipientQuerySet
from telephony.models import Audio, PriceList

# A run that waits before its next wave: it has contacted all recipients of its wave, and has others left.
WAITS = models.Q(status=RunStatus.RUNNING, wave_room=0, filled_at=None)
# As WAITS, and the next wave begins only when a person lets it.
WAITS_FOR_GO_AHEAD = WAITS & models.Q(waits_since__isnull=False)


class Run(models.Model):
    """One run of a campaign. It freezes message, recipients and start time, and holds the credits.

    awaiting ─► scheduled ─► running ⇄ paused ─► completed   awaiting or scheduled ⇄ paused, if iris set the run aside
        ├───────────┼───────────┴─────────┴─► stopping ─► terminated
        └───────────┴─► withdrawn

    A run that needs approval waits as `awaiting` until it is approved (`campaigns.runs.approval`). It is never changed
    while it waits: a change replaces it by another run. So what was approved is what is sent.
    """

    campaign = models.ForeignKey(
        "campaigns.Campaign", on_delete=models.CASCADE, related_name="runs", db_index=False
    )
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
