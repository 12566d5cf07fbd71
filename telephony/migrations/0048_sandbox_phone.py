from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Keys that somebody presses in the sandbox, and its faults. The new column has a default, so nothing is rewritten."""

    dependencies: ClassVar = [("telephony", "0047_outcomes_of_accounts")]
    operations: ClassVar = [
        migrations.CreateModel(
            name="SandboxFaults",
            fields=[
                (
                    "owner_id",
                    models.BigIntegerField(
                        help_text="The account. 0: all others.", primary_key=True, serialize=False
                    ),
                ),
                ("busy", models.SmallIntegerField(help_text="Share in per cent.")),
                ("lost", models.SmallIntegerField(help_text="Share in per cent.")),
                ("throttled", models.SmallIntegerField(help_text="Share in per cent.")),
                ("latency_seconds", models.SmallIntegerField(help_text="By how much later reports come.")),
            ],
            options={"verbose_name_plural": "sandbox faults"},
        ),
        migrations.AddField(
            model_name="sandboxmessage",
            name="keys",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="What somebody has pressed in the call.",
                max_length=100,
            ),
        ),
    ]
