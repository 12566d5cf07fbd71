from typing import ClassVar

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    """Only new tables and a nullable column, so the release before works beside it."""

    dependencies = [
        ("telephony", "0022_too_long"),
    ]

    operations: ClassVar = [
        migrations.AddField(
            model_name="messagepart",
            name="delivered_at",
            field=models.DateTimeField(blank=True, help_text="When its report came.", null=True),
        ),
        migrations.CreateModel(
            name="PartReporting",
            fields=[
                (
                    "trunk",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        serialize=False,
                        to="telephony.trunk",
                    ),
                ),
                (
                    "each_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="When two parts of one SMS were last seen to be reported, to the hour.",
                        null=True,
                    ),
                ),
                (
                    "one_since",
                    models.DateTimeField(
                        blank=True,
                        help_text="Since when one report on a part counts for the whole SMS.",
                        null=True,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PastBind",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("since", models.DateTimeField()),
                ("seen_at", models.DateTimeField()),
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
            options={"indexes": [models.Index(fields=["trunk", "seen_at"], name="past_bind")]},
        ),
        migrations.CreateModel(
            name="LateReport",
            fields=[
                (
                    "delivery",
                    models.BigIntegerField(help_text="Its id.", primary_key=True, serialize=False),
                ),
                ("purpose", models.CharField(choices=[("campaign", "Campaign"), ("otp", "Otp")], max_length=10)),
                ("batch", models.BigIntegerField()),
                ("item", models.BigIntegerField()),
                (
                    "status",
                    models.SmallIntegerField(
                        choices=[
                            (0, "Queued"),
                            (10, "Submitting"),
                            (20, "Unknown"),
                            (30, "Submitted"),
                            (40, "Ringing"),
                            (50, "Answered"),
                            (100, "Completed"),
                            (101, "Hungup"),
                            (102, "Unanswered"),
                            (103, "Failed"),
                            (104, "Terminated"),
                        ]
                    ),
                ),
                ("price", models.DecimalField(decimal_places=2, max_digits=10)),
                ("captured", models.DecimalField(decimal_places=2, max_digits=10)),
                ("charged", models.DecimalField(decimal_places=2, max_digits=10)),
                ("written_off", models.DecimalField(decimal_places=2, max_digits=10)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "trunk",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="telephony.trunk",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["trunk", "created_at"], name="late_report_of_trunk")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("price", models.F("captured") + models.F("charged") + models.F("written_off"))
                        ),
                        name="late_report_adds_up",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("captured__gte", 0), ("charged__gte", 0), ("written_off__gte", 0)
                        ),
                        name="late_report_not_negative",
                    ),
                ],
            },
        ),
    ]
