from typing import ClassVar

from django.db import migrations, models

NAME = "opt_outs_of_owner"
DROP = f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}"


class Migration(migrations.Migration):
    """Build the index of an account's list of opt-outs beside running processes, so the migration is not atomic."""

    atomic = False
    dependencies: ClassVar = [("telephony", "0040_opt_outs")]
    operations: ClassVar = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                # An interrupted migration leaves an invalid index behind.
                migrations.RunSQL(DROP, migrations.RunSQL.noop),
                migrations.RunSQL(
                    f"CREATE INDEX CONCURRENTLY {NAME} ON telephony_optout (owner_id, id DESC)", DROP
                ),
            ],
            state_operations=[
                migrations.AddIndex(
                    model_name="optout", index=models.Index(fields=["owner", "-id"], name=NAME)
                ),
            ],
        ),
    ]
