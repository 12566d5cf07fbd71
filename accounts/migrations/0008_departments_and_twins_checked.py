from django.db import migrations, models
from django.db.models import Q

VALIDATED = {
    "accounts_account": (
        "accounts_account_parent",
        "accounts_account_twin_of",
        "accounts_account_twin_is_no_department",
    ),
    "accounts_creditentry": ("accounts_creditentry_deltas_fit_kind",),
}

INDEXES = {
    "accounts_account_departments": "INDEX {} ON accounts_account (parent_id, id) WHERE parent_id IS NOT NULL",
    "accounts_account_one_twin": "UNIQUE INDEX {} ON accounts_account (twin_of_id) WHERE twin_of_id IS NOT NULL",
    "accounts_creditentry_moved": "INDEX {} ON accounts_creditentry (user_id, id) WHERE kind = 'transfer'",
}


def built(name, definition):
    """Return the statements that build an index. An interrupted migration leaves an invalid one behind."""
    create = definition.replace("INDEX {}", f"INDEX CONCURRENTLY {name}")
    return [f"DROP INDEX CONCURRENTLY IF EXISTS {name}", f"CREATE {create}"]


class Migration(migrations.Migration):
    """Validate the constraints of 0007 and build its indexes beside running processes, so the migration is not atomic."""

    atomic = False
    dependencies = [("accounts", "0007_departments_and_twins")]

    operations = [
        *(
            migrations.RunSQL(statement, migrations.RunSQL.noop)
            for name, definition in INDEXES.items()
            for statement in built(name, definition)
        ),
        *(
            migrations.RunSQL(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}", migrations.RunSQL.noop)
            for table, names in VALIDATED.items()
            for name in names
        ),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AddIndex(
                    "account",
                    models.Index(
                        condition=Q(parent__isnull=False),
                        fields=["parent", "id"],
                        name="accounts_account_departments",
                    ),
                ),
                migrations.AddConstraint(
                    "account",
                    models.UniqueConstraint(
                        condition=Q(twin_of__isnull=False), fields=("twin_of",), name="accounts_account_one_twin"
                    ),
                ),
                migrations.AddIndex(
                    "creditentry",
                    models.Index(
                        condition=Q(kind="transfer"), fields=["account", "id"], name="accounts_creditentry_moved"
                    ),
                ),
            ],
        ),
    ]
