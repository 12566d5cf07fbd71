from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Add an account's rules of reaching people. Nothing is rewritten."""

    dependencies: ClassVar = [("accounts", "0016_data_of_people")]
    operations: ClassVar = [
        migrations.AddField(
            model_name="account",
            name="retry",
            field=models.JSONField(
                blank=True,
                help_text="When campaigns without a rule of their own try again. Empty: never.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="account",
            name="calling_hours",
            field=models.JSONField(
                blank=True,
                help_text="When campaigns without hours of their own call and send SMS. Empty: always.",
                null=True,
            ),
        ),
    ]
