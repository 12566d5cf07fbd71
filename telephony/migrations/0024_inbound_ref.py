"""Inbound SMS keep the carrier's id, so that a repetition is recognized."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("telephony", "0023_late_reports"),
    ]

    operations: ClassVar = [
        migrations.AddField(
            model_name="inboundmessage",
            name="ref",
            field=models.CharField(
                blank=True, db_default="", help_text="The carrier's id of it, if it has one.", max_length=100
            ),
        ),
    ]
