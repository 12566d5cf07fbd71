from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models

ADD = """
ALTER TABLE campaigns_run ADD COLUMN prices_id uuid NULL;
ALTER TABLE campaigns_run ADD CONSTRAINT campaigns_run_prices FOREIGN KEY (prices_id) REFERENCES telephony_pricelist (id)
    DEFERRABLE INITIALLY DEFERRED NOT VALID;
"""


class Migration(migrations.Migration):
    """Freeze prices in runs. Runs of the previous release have none, and go on with the settings. 0025 validates the key."""

    dependencies: ClassVar = [("campaigns", "0023_audit_of_campaigns"), ("telephony", "0032_prices_of_calls")]

    operations: ClassVar = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(ADD, "ALTER TABLE campaigns_run DROP COLUMN prices_id")
            ],
            state_operations=[
                migrations.AddField(
                    model_name="run",
                    name="prices",
                    field=models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="telephony.pricelist",
                    ),
                )
            ],
        ),
        migrations.AddField(
            model_name="run",
            name="longest_call",
            field=models.FloatField(
                blank=True, help_text="Seconds of the longest call that the hold covers.", null=True
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="most_segments",
            field=models.IntegerField(
                blank=True, help_text="Segments of the longest SMS that the hold covers.", null=True
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="cost_limit",
            field=models.DecimalField(
                blank=True,
                decimal_places=2,
                help_text="Maximum cost of the run, in credits. The hold is smaller if a spending limit is.",
                max_digits=20,
                null=True,
            ),
        ),
    ]
