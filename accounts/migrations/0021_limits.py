from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Add an account's rules that limit whom its campaigns contact. Each column has a default, so nothing is rewritten."""

    dependencies: ClassVar = [("accounts", "0020_audit_of_opt_out_settings")]
    operations: ClassVar = [
        migrations.AddField(
            model_name="account",
            name="duplicates",
            field=models.CharField(
                choices=[("keep", "contact every recipient"), ("once", "contact each number once")],
                db_default="keep",
                default="keep",
                help_text="Whether campaigns without a rule of their own contact every recipient, or every number once.",
                max_length=4,
            ),
        ),
        migrations.AddField(
            model_name="account",
            name="frequency_cap",
            field=models.JSONField(
                blank=True,
                help_text="How often campaigns without a cap of their own contact a number. Empty: without a limit.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="account",
            name="waves",
            field=models.JSONField(
                blank=True,
                help_text="How many recipients campaigns without waves of their own contact at first. Empty: all.",
                null=True,
            ),
        ),
    ]
