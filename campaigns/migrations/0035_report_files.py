from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    """Files with the people of a campaign that a worker prepares."""

    dependencies: ClassVar = [("campaigns", "0032_recipient_duplicate")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="ReportFile",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("format", models.CharField(choices=[("xlsx", "Xlsx"), ("csv", "Csv")], max_length=4)),
                ("labels", models.JSONField()),
                (
                    "status",
                    models.CharField(
                        choices=[("preparing", "Preparing"), ("ready", "Ready"), ("failed", "Failed")],
                        default="preparing",
                        max_length=9,
                    ),
                ),
                (
                    "stamp",
                    models.CharField(
                        help_text="The state of the campaign, to find out whether the report is out of date.",
                        max_length=100,
                    ),
                ),
                ("total", models.IntegerField(help_text="Number of recipients to read.")),
                ("read", models.IntegerField(default=0, help_text="Number of recipients that have been read.")),
                ("rows", models.IntegerField(default=0)),
                (
                    "after",
                    models.BigIntegerField(
                        default=0, help_text="The recipients up to this id are in the stored parts."
                    ),
                ),
                ("last", models.BigIntegerField(help_text="Id of the last recipient of the report.")),
                (
                    "parts",
                    models.JSONField(
                        default=list, help_text="Name in the default storage, and size, of each part."
                    ),
                ),
                ("writer", models.JSONField(default=dict)),
                (
                    "tries",
                    models.SmallIntegerField(
                        default=0, help_text="How often a worker has begun the next part without storing it."
                    ),
                ),
                ("created_at", models.DateTimeField(db_default=Now())),
                (
                    "worked_at",
                    models.DateTimeField(
                        db_default=Now(),
                        help_text="When a worker last continued it. The one that waits longest goes first.",
                    ),
                ),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="report_files",
                        to="campaigns.campaign",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        blank=True,
                        help_text="If empty, the report is on all runs.",
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="campaigns.run",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("status", "preparing")),
                        fields=["worked_at"],
                        name="report_file_to_prepare",
                    )
                ]
            },
        ),
    ]
