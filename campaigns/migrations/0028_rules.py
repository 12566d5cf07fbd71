from typing import Any, ClassVar

from django.db import migrations, models


def rules(help_text: str) -> models.JSONField[Any, Any]:
    return models.JSONField(
        blank=True, db_default=models.Value({}, models.JSONField()), default=dict, help_text=help_text
    )


class Migration(migrations.Migration):
    """Add rules of reaching people to campaigns and runs. Each column has a default, so nothing is rewritten.

    Runs that the previous release begins have no rules. If one of its processes ends a try of a run that has some, that
    try is the last one.
    """

    dependencies: ClassVar = [("campaigns", "0027_audit_quotes_nothing"), ("telephony", "0039_one_delivery_per_try")]
    operations: ClassVar = [
        migrations.AddField(
            model_name="campaign",
            name="rules",
            field=rules(
                "Rules of reaching people that differ from those of the account (`campaigns.runs.rules`). Null: none."
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="rules",
            field=rules("The rules of reaching people that hold for it (`campaigns.runs.rules`)."),
        ),
        migrations.AddField(
            model_name="run",
            name="opens_at",
            field=models.DateTimeField(
                blank=True,
                help_text="Until this time it queues nothing for further recipients, because of its calling hours.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="recipient",
            name="attempts",
            field=models.SmallIntegerField(
                blank=True,
                help_text="How often the latest run tried to reach the recipient. Empty if that run had no retries.",
                null=True,
            ),
        ),
    ]
