from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    """Validate the foreign key of 0024, without locking out running processes."""

    dependencies: ClassVar = [("campaigns", "0024_frozen_prices")]

    operations: ClassVar = [
        migrations.RunSQL(
            "ALTER TABLE campaigns_run VALIDATE CONSTRAINT campaigns_run_prices", migrations.RunSQL.noop
        )
    ]
