"""How many recipients of a large campaign have each status."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class RecipientCount(models.Model):
    """A part of the number of recipients of a campaign with a status. The sum of all parts is the number.

    Triggers add a row for each status that a statement changes, so that writers of one campaign never wait for each other.
    `campaigns.reports.recipient_counts` begins the counts of a campaign and adds them up. Campaigns without rows are not
    counted.
    """

    campaign_id = (
        models.BigIntegerField()
    )  # without a foreign key, which would lock the campaign in each statement
    status = models.SmallIntegerField(null=True, help_text="Empty: no run has ended for these recipients.")
    count = models.IntegerField(help_text="May be negative.")

    class Meta:
        indexes: ClassVar = [models.Index(fields=["campaign_id"], name="recipient_count_of_campaign")]

    def __str__(self) -> str:
        return f"{self.count} recipients of campaign {self.campaign_id} with status {self.status}"
