from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Store each inbound SMS once. The index is built beside running processes, so the migration is not atomic."""

    atomic = False
    dependencies: ClassVar = [("telephony", "0026_help_texts")]

    operations: ClassVar = [
        # An interrupted migration leaves an invalid index behind.
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS each_inbound_sms_once", migrations.RunSQL.noop),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    """CREATE UNIQUE INDEX CONCURRENTLY each_inbound_sms_once
                           ON telephony_inboundmessage (trunk_id, ref) WHERE NOT (ref = '')""",
                    "DROP INDEX CONCURRENTLY each_inbound_sms_once",
                )
            ],
            state_operations=[
                migrations.AddConstraint(
                    model_name="inboundmessage",
                    constraint=models.UniqueConstraint(
                        condition=models.Q(("ref", ""), _negated=True),
                        fields=("trunk", "ref"),
                        name="each_inbound_sms_once",
                    ),
                ),
            ],
        ),
    ]
