from typing import ClassVar

from django.db import migrations, models

INDEXES = {
    "one_delivery_per_try": "UNIQUE INDEX {} ON telephony_delivery (batch, item, channel, purpose, try_number)",
    "delivery_not_after": "INDEX {} ON telephony_delivery (not_after) WHERE not_after IS NOT NULL AND status = 0",
}


def built(name: str, definition: str) -> list[migrations.RunSQL]:
    """Return the operations that build an index. An interrupted migration leaves an invalid one behind."""
    create = definition.replace("INDEX {}", f"INDEX CONCURRENTLY {name}")
    drop = f"DROP INDEX CONCURRENTLY IF EXISTS {name}"
    return [migrations.RunSQL(drop, migrations.RunSQL.noop), migrations.RunSQL(f"CREATE {create}", drop)]


class Migration(migrations.Migration):
    """Build the indexes of tries and calling hours beside running processes, so the migration is not atomic."""

    atomic = False
    dependencies: ClassVar = [("telephony", "0037_tries")]

    operations: ClassVar = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                operation for name, definition in INDEXES.items() for operation in built(name, definition)
            ],
            state_operations=[
                migrations.AddIndex(
                    model_name="delivery",
                    index=models.Index(
                        condition=models.Q(("not_after__isnull", False), ("status", 0)),
                        fields=["not_after"],
                        name="delivery_not_after",
                    ),
                ),
            ],
        ),
    ]
