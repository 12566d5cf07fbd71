from typing import ClassVar

import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    """Only a new table."""

    dependencies: ClassVar = [("accounts", "0022_audit_of_limits")]
    operations: ClassVar = [
        migrations.CreateModel(
            name="LedgerCheckResult",
            fields=[
                (
                    "id",
                    models.SmallIntegerField(db_default=1, default=1, primary_key=True, serialize=False),
                ),
                (
                    "checked_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("entries", models.BigIntegerField()),
                ("differences", models.IntegerField()),
            ],
        ),
    ]
