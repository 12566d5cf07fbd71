from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models

STATES = [
    (0, "waiting until another number of the household has been called"),
    (1, "due: to be called next"),
    (2, "Called"),
    (3, "Not Heard"),
    (4, "Heard"),
    (5, "spared: another number of the household has heard"),
    (6, "Stopped"),
]


class Migration(migrations.Migration):
    """Add the table of who has heard an alert. It is new, so processes of the previous release do not know it."""

    dependencies: ClassVar = [("campaigns", "0035_report_files"), ("telephony", "0046_past_opt_outs")]
    operations: ClassVar = [
        migrations.CreateModel(
            name="AlertRecipient",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "household",
                    models.BigIntegerField(help_text="A hash of the tag that the numbers of a household share."),
                ),
                ("state", models.SmallIntegerField(choices=STATES)),
                ("heard_at", models.DateTimeField(blank=True, null=True)),
                (
                    "recipient",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="campaigns.recipient",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="campaigns.run",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["run", "household"], name="alert_household"),
                    models.Index(fields=["recipient"], name="alert_recipient"),
                    models.Index(
                        condition=models.Q(("state__lte", 1)), fields=["run", "recipient"], name="alert_to_call"
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("run", "recipient"), name="alert_recipient_once")
                ],
            },
        ),
    ]
