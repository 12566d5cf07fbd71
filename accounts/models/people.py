"""Requests to export or to erase what an account stores about a person, and what was erased because of its age."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from accounts.models.accounts import Account


class RequestKind(models.TextChoices):
    EXPORT = "export"
    ERASE = "erase"


class RequestStage(models.TextChoices):
    """What a worker does next.

    scan ─► settle ─► wait ─► done     An export is done after its scan.
    """

    SCAN = "scan", "read the recipients of all campaigns"
    SETTLE = "settle", "make sure that nothing read before is queued any more"
    WAIT = "wait", "erase calls and SMS that have ended, until none is under way"
    DONE = "done"


class PersonRequest(models.Model):
    """A request about one phone number. A worker carries it out in steps, and stores where the next step begins.

    The number of an erasure is removed when it is done. `digest` is a keyed hash of account and number.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+", db_index=False)
    kind = models.CharField(max_length=6, choices=RequestKind)
    number = models.CharField(max_length=32, blank=True, help_text="In E.164, while it is needed.")
    digest = models.CharField(max_length=32, help_text="A keyed hash of the number.")
    stage = models.CharField(
        max_length=6, choices=RequestStage, default=RequestStage.SCAN, db_default=RequestStage.SCAN
    )
    marks = models.JSONField(
        default=dict,
        db_default=models.Value({}, models.JSONField()),
        help_text="How far each app has read its rows in this scan; null if it has read all.",
    )
    scans_again = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Sheets were being imported when the scan began, so another one follows.",
    )
    found = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()))
    result = models.JSONField(
        null=True, blank=True, help_text="What an export has found. Erased after some days."
    )
    settled_at = models.DateTimeField(
        null=True, blank=True, help_text="Calls and SMS until this time are erased when they have ended."
    )
    not_before = models.DateTimeField(db_default=Now())
    waits_for = models.CharField(max_length=200, blank=True, default="", db_default="")
    failures = models.SmallIntegerField(
        default=0, db_default=0, help_text="Failed steps since the last successful one."
    )
    requested_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["account", "-id"], name="person_request_newest"),
            models.Index(fields=["not_before"], condition=Q(finished_at=None), name="person_request_due"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account", "kind", "digest"],
                condition=Q(finished_at=None),
                name="person_request_once_at_a_time",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk} of account {self.account_id}: {self.stage}"


class Retention(models.Model):
    """How far the data of an account has been erased, and how much was erased on the last day with erased data.

    `marks` has the position of the last erased row for each kind of data, so that a pass does not read the same rows again.
    """

    account = models.OneToOneField(
        Account, primary_key=True, on_delete=models.CASCADE, related_name="retention"
    )
    marks = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()))
    counts = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()))
    erased_at = models.DateTimeField(null=True, blank=True)
    passed_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"retention of account {self.account_id}"
