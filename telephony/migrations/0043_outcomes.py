from typing import ClassVar

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    """Only new tables."""

    dependencies: ClassVar = [("telephony", "0042_circuit_breaker")]
    operations: ClassVar = [
        migrations.CreateModel(
            name="OutcomeChunk",
            fields=[
                ("number", models.BigIntegerField(primary_key=True, serialize=False)),
                ("is_complete", models.BooleanField(db_default=False, default=False)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("counted_at", models.DateTimeField(null=True)),
                (
                    "due_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        help_text="When it is counted again.",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("is_complete", False)), fields=["due_at"], name="outcome_chunk_due"
                    )
                ]
            },
        ),
        migrations.CreateModel(
            name="OutcomeCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("channel", models.CharField(choices=[("call", "Call"), ("sms", "Sms")], max_length=4)),
                (
                    "operator",
                    models.CharField(
                        help_text="Operator of the phone numbers, or their country.", max_length=40
                    ),
                ),
                ("hour", models.DateTimeField(help_text="The beginning of the hour of submission.")),
                ("accepted", models.IntegerField(help_text="Accepted by the carrier.")),
                (
                    "delivered",
                    models.IntegerField(help_text="Reported as delivered, or calls that were answered."),
                ),
                (
                    "failed",
                    models.IntegerField(help_text="Reported as failed, or calls that were not answered."),
                ),
                ("silent", models.IntegerField(help_text="Never reported: they ended as lost.")),
                ("overdue", models.IntegerField(help_text="Not reported yet, although it is late.")),
                (
                    "unconfirmed",
                    models.IntegerField(help_text="Accepted by a carrier that sends no reports."),
                ),
                (
                    "refused",
                    models.IntegerField(help_text="Refused at once, so they are not among the accepted."),
                ),
                (
                    "latencies",
                    django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), size=None),
                ),
                (
                    "chunk",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="counts",
                        to="telephony.outcomechunk",
                    ),
                ),
                (
                    "trunk",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="telephony.trunk",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["trunk", "hour"], name="outcomes_by_hour")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("chunk", "trunk", "channel", "operator", "hour"), name="outcomes_counted_once"
                    )
                ],
            },
        ),
    ]
