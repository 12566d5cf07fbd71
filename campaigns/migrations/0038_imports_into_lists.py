from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

ONE_AT_A_TIME = """CREATE UNIQUE INDEX CONCURRENTLY one_import_at_a_time_into_list
    ON campaigns_sheetimport (contact_list_id) WHERE status = 'importing'"""


class Migration(migrations.Migration):
    """Validate the keys of 0037 and build the indexes of imports beside running processes, so it is not atomic."""

    atomic = False
    dependencies: ClassVar = [("campaigns", "0037_use_of_lists_and_templates")]
    operations: ClassVar = [
        migrations.RunSQL(
            "ALTER TABLE campaigns_sheetimport VALIDATE CONSTRAINT campaigns_sheetimport_list",
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(
            "ALTER TABLE campaigns_campaign VALIDATE CONSTRAINT campaigns_campaign_version",
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS sheet_import_of_list", migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="sheetimport",
            index=models.Index(
                condition=models.Q(("contact_list__isnull", False)),
                fields=["contact_list"],
                name="sheet_import_of_list",
            ),
        ),
        # An interrupted migration leaves an invalid index behind.
        migrations.RunSQL(
            "DROP INDEX CONCURRENTLY IF EXISTS one_import_at_a_time_into_list", migrations.RunSQL.noop
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    ONE_AT_A_TIME, "DROP INDEX CONCURRENTLY IF EXISTS one_import_at_a_time_into_list"
                )
            ],
            state_operations=[
                migrations.AddConstraint(
                    model_name="sheetimport",
                    constraint=models.UniqueConstraint(
                        condition=models.Q(("status", "importing")),
                        fields=("contact_list",),
                        name="one_import_at_a_time_into_list",
                    ),
                )
            ],
        ),
    ]
