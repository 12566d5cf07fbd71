import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Accounts own what users owned. The columns and constraints are already those of the table of accounts."""

    dependencies = [("campaigns", "0018_campaigns_to_measure"), ("accounts", "0006_accounts")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    "campaign",
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="campaigns",
                        to="accounts.account",
                    ),
                ),
                migrations.AlterField(
                    "surveytemplate",
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="survey_templates",
                        to="accounts.account",
                    ),
                ),
            ]
        )
    ]
