from typing import ClassVar

from django.db import migrations, models
from django.db.models import Q

INDEXES = {
    "phone_number_invented": "ON telephony_phonenumber (invented_for_id, id) WHERE invented_for_id IS NOT NULL",
    "sandbox_owner": "ON telephony_sandboxmessage (owner_id, id)",
}


class Migration(migrations.Migration):
    """Validate the constraints of 0028 and build indexes beside running processes, so the migration is not atomic."""

    atomic = False
    dependencies: ClassVar = [("telephony", "0028_test_twins")]

    operations: ClassVar = [
        *(
            migrations.RunSQL(statement, migrations.RunSQL.noop)
            for name, definition in INDEXES.items()
            # An interrupted migration leaves an invalid index behind.
            for statement in (
                f"DROP INDEX CONCURRENTLY IF EXISTS {name}",
                f"CREATE INDEX CONCURRENTLY {name} {definition}",
            )
        ),
        migrations.RunSQL(
            "ALTER TABLE telephony_phonenumber VALIDATE CONSTRAINT telephony_phonenumber_invented_for",
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(
            "ALTER TABLE telephony_phonenumber VALIDATE CONSTRAINT invented_number_stays_with_its_twin",
            migrations.RunSQL.noop,
        ),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AddIndex(
                    "phonenumber",
                    models.Index(
                        condition=Q(invented_for__isnull=False),
                        fields=["invented_for", "id"],
                        name="phone_number_invented",
                    ),
                ),
                migrations.AddIndex("sandboxmessage", models.Index(fields=["owner_id", "id"], name="sandbox_owner")),
            ],
        ),
    ]
