from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the setting that lets urgent runs pass opt-outs. It is off, and nothing is rewritten."""

    dependencies: ClassVar = [("accounts", "0025_ledger_checks")]
    operations: ClassVar = [
        migrations.AddField(
            model_name="account",
            name="alerts_past_opt_outs",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Urgent runs may also reach people who have opted out, if the run says so.",
            ),
        ),
    ]
