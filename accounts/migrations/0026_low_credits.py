from typing import ClassVar

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    """Only a new table, and a setting that is off."""

    dependencies: ClassVar = [("accounts", "0025_ledger_checks")]
    operations: ClassVar = [
        migrations.CreateModel(
            name="LowCreditWarning",
            fields=[
                (
                    "account",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="accounts.account",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
        ),
        migrations.AddField(
            model_name="account",
            name="low_credit_level",
            field=models.DecimalField(
                blank=True,
                decimal_places=2,
                help_text="When fewer credits are left, the people who manage them get an e-mail. Empty: nobody does.",
                max_digits=14,
                null=True,
            ),
        ),
    ]
