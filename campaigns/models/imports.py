"""Sheets that are too large to be read within a web request."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from campaigns.models.campaigns import Campaign
from campaigns.models.lists import Audience, ContactList


class ImportStatus(models.TextChoices):
    IMPORTING = "importing"
    DONE = "done"
    FAILED = "failed"


class SheetImport(models.Model):
    """A sheet that a worker imports in chunks. Each chunk is committed together with `row`, its last row.

    Its rows are added to a campaign or to a contact list.
    """

    campaign = models.ForeignKey(
        Campaign, null=True, blank=True, on_delete=models.CASCADE, related_name="imports"
    )
    contact_list = models.ForeignKey(
        ContactList, null=True, blank=True, on_delete=models.CASCADE, related_name="imports", db_index=False
    )
    file = models.CharField(max_length=200, help_text="Name of the file in the default storage.")
    number_column = models.CharField(
        max_length=200,
        blank=True,
        default="",
        db_default="",
        help_text="The column of the numbers, if the client chose it.",
    )
    uploaded_by = models.BigIntegerField(
        null=True,
        blank=True,
        help_text="Id of the person who uploaded it, or who created the API key that did.",
    )
    status = models.CharField(max_length=9, choices=ImportStatus, default=ImportStatus.IMPORTING)
    row = models.IntegerField(default=0, help_text="All rows up to this one are imported or skipped.")
    imported = models.IntegerField(default=0)
    after = models.BigIntegerField(help_text="Id of the last recipient or contact before this import.")
    errors = models.JSONField(default=list, help_text="The first rows that were skipped.")
    message = models.TextField(
        blank=True, help_text="Explains to the owner why the import failed, or why it waits."
    )
    trouble = models.CharField(
        max_length=500,
        blank=True,
        default="",
        db_default="",
        help_text="Details for the operator about the reason why the import waits: machine, path, error.",
    )
    tries = models.IntegerField(
        db_default=0,
        default=0,
        help_text="How often a worker has begun to read since the last committed chunk, without committing another.",
    )
    read_at = models.DateTimeField(
        null=True, blank=True, help_text="When a worker last began or continued this import."
    )
    retry_at = models.DateTimeField(
        null=True, blank=True, help_text="No worker tries again before this time."
    )
    missing_since = models.DateTimeField(
        null=True, blank=True, help_text="Since when the file cannot be read."
    )
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["campaign"],
                condition=models.Q(status=ImportStatus.IMPORTING),
                name="one_import_at_a_time",
            ),
            models.UniqueConstraint(
                fields=["contact_list"],
                condition=models.Q(status=ImportStatus.IMPORTING),
                name="one_import_at_a_time_into_list",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["contact_list"],
                condition=models.Q(contact_list__isnull=False),
                name="sheet_import_of_list",
            )
        ]

    def __str__(self) -> str:
        return f"import {self.pk} into {self.audience}: {self.status}"

    @property
    def audience(self) -> Audience:
        """Return the campaign or contact list into which it is imported."""
        audience = self.contact_list if self.campaign is None else self.campaign
        assert audience is not None
        return audience
