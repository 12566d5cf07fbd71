from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the settings of opt-outs to accounts. Each column has a default, so nothing is rewritten."""

    dependencies: ClassVar = [("accounts", "0018_audit_of_rules")]
    operations: ClassVar = [
        migrations.AddField(
            model_name="account",
            name="opt_out_words",
            field=models.JSONField(
                blank=True,
                help_text="Words of its own with which recipients opt out or in again, by language. Empty: only the usual ones.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="account",
            name="opt_out_key",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Recipients of calls opt out by pressing 9. A hint at the end of each call says so.",
            ),
        ),
    ]
