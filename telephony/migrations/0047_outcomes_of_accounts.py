from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """A new table, and a column that is empty: the next count of each range of deliveries fills both."""

    dependencies: ClassVar = [("accounts", "0025_ledger_checks"), ("telephony", "0046_past_opt_outs")]
    operations: ClassVar = [
        migrations.CreateModel(
            name="AccountOutcomeCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("channel", models.CharField(choices=[("call", "Call"), ("sms", "Sms")], max_length=4)),
                (
                    "quarter",
                    models.DateTimeField(
                        help_text="The beginning of the quarter of an hour of the submission; if it was not submitted, of its end."
                    ),
                ),
                ("completed", models.IntegerField()),
                ("hungup", models.IntegerField()),
                ("unanswered", models.IntegerField()),
                ("failed", models.IntegerField()),
                ("terminated", models.IntegerField()),
                (
                    "chunk",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="account_counts",
                        to="telephony.outcomechunk",
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.account",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["owner", "quarter"], name="account_outcomes_by_time")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("chunk", "owner", "channel", "quarter"), name="account_outcomes_counted_once"
                    )
                ],
            },
        ),
        migrations.AddField(
            model_name="outcomechunk",
            name="accounts_counted_at",
            field=models.DateTimeField(
                null=True,
                help_text="Equal to `counted_at` if that count was by account, too; the previous release does not do that.",
            ),
        ),
    ]
