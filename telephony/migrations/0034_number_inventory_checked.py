from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    """Validate the constraints of 0033 beside running processes, so the migration is not atomic."""

    atomic = False
    dependencies: ClassVar = [("telephony", "0033_number_inventory")]

    operations: ClassVar = [
        migrations.RunSQL(
            f"ALTER TABLE telephony_phonenumber VALIDATE CONSTRAINT {name}", migrations.RunSQL.noop
        )
        for name in ("telephony_phonenumber_reserved_for", "sold_number_is_neither_reserved_nor_retired")
    ]
