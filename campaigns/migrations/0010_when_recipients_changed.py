"""When a recipient was added or edited.

A default that is the same for all rows is added without writing any of them, however many there are. Of those that
are there already nobody knows when: 1970 is before anything that is known of them, the making of their campaign and
their deliveries.
"""

from datetime import UTC, datetime

import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns", "0009_runs_of_deleted_campaigns"),
    ]

    operations = [
        migrations.AddField(
            model_name="recipient",
            name="updated_at",
            field=models.DateTimeField(
                db_default=models.Value(datetime(1970, 1, 1, tzinfo=UTC)),
                help_text="When it was added or edited; 1970 if that was before this was kept.",
            ),
        ),
        migrations.AlterField(
            model_name="recipient",
            name="updated_at",
            field=models.DateTimeField(
                db_default=django.db.models.functions.datetime.Now(),
                help_text="When it was added or edited; 1970 if that was before this was kept.",
            ),
        ),
    ]
