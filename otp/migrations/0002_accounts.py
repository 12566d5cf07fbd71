import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Accounts own what users owned. The columns and constraints are already those of the table of accounts."""

    dependencies = [("otp", "0001_initial"), ("accounts", "0006_accounts")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    "otp",
                    "owner",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="otps",
                        to="accounts.account",
                    ),
                )
            ]
        )
    ]
