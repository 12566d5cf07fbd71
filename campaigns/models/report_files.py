"""Files with the people of a campaign and what became of each: a worker prepares them, and people download them."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from django.core.files.storage import default_storage
from django.db import models
from django.db.models.functions import Now

from campaigns.models.campaigns import Campaign, Run

KEEP = timedelta(days=1)  # how long a file can be downloaded after it is ready


class ReportFormat(models.TextChoices):
    XLSX = "xlsx"
    CSV = "csv"


class ReportStatus(models.TextChoices):
    PREPARING = "preparing"
    READY = "ready"
    FAILED = "failed"


class ReportFileQuerySet(models.QuerySet["ReportFile"]):
    def discard(self) -> int:
        """Delete the reports and their parts in the storage; return how many reports.

        The rows are deleted first. So a worker that is preparing one of them sees that, and deletes what it has just stored.
        """
        found = list(self)
        ReportFile.objects.filter(pk__in=[one.pk for one in found]).delete()
        for one in found:
            for name, _ in one.parts:
                default_storage.delete(name)
        return len(found)


class ReportFile(models.Model):
    """A report on a campaign, or on one of its runs. The file consists of parts, which a worker stores one after another.

    `labels` are its headings and words, so that it is in the language of whoever asked for it. `writer` is what the writer
    of the format must know to continue (`campaigns.report_files.formats`).
    """

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="report_files")
    run = models.ForeignKey(
        Run,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        help_text="If empty, the report is on all runs.",
    )
    format = models.CharField(max_length=4, choices=ReportFormat)
    labels = models.JSONField()
    status = models.CharField(max_length=9, choices=ReportStatus, default=ReportStatus.PREPARING)
    stamp = models.CharField(
        max_length=100, help_text="The state of the campaign, to find out whether the report is out of date."
    )
    total = models.IntegerField(help_text="Number of recipients to read.")
    read = models.IntegerField(default=0, help_text="Number of recipients that have been read.")
    rows = models.IntegerField(default=0)
    after = models.BigIntegerField(
        default=0, help_text="The recipients up to this id are in the stored parts."
    )
    last = models.BigIntegerField(help_text="Id of the last recipient of the report.")
    parts = models.JSONField(default=list, help_text="Name in the default storage, and size, of each part.")
    writer = models.JSONField(default=dict)
    tries = models.SmallIntegerField(
        default=0, help_text="How often a worker has begun the next part without storing it."
    )
    created_at = models.DateTimeField(db_default=Now())
    worked_at = models.DateTimeField(
        db_default=Now(), help_text="When a worker last continued it. The one that waits longest goes first."
    )
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = ReportFileQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["worked_at"],
                condition=models.Q(status=ReportStatus.PREPARING),
                name="report_file_to_prepare",
            )
        ]

    def __str__(self) -> str:
        return f"report {self.pk} on campaign {self.campaign_id}: {self.status}"

    @property
    def size(self) -> int:
        """The size of the file in bytes, as far as it is prepared."""
        return sum(size for _, size in self.parts)

    @property
    def percent(self) -> int:
        """How much is prepared. It is 100 only when the file is ready."""
        if self.status == ReportStatus.READY:
            return 100
        return min(99, 100 * self.read // max(self.total, 1))
