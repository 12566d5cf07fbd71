import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Accounts own what users owned. The columns and constraints are already those of the table of accounts."""

    dependencies = [("telephony", "0024_inbound_ref"), ("accounts", "0006_accounts")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    "delivery",
                    "owner",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="deliveries",
                        to="accounts.account",
                    ),
                ),
                migrations.AlterField(
                    "phonenumber",
                    "owner",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="phone_numbers",
                        to="accounts.account",
                    ),
                ),
                migrations.AlterField(
                    "inboundmessage",
                    "owner",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="accounts.account",
                    ),
                ),
                migrations.AlterField(
                    "optout",
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="opt_outs",
                        to="accounts.account",
                    ),
                ),
            ]
        )
    ]
