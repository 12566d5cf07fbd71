from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Say for each run whether its calls announce that answers are recorded."""

    dependencies: ClassVar = [("campaigns", "0025_frozen_prices_checked")]
    operations: ClassVar = [
        migrations.AddField(
            model_name="run",
            name="announces_recording",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Its calls begin with the announcement that answers are recorded.",
            ),
        ),
    ]
