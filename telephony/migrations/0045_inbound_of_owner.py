from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Index the inbound SMS of an account, newest first, for the inbox of the console."""

    atomic = False
    dependencies: ClassVar = [("telephony", "0044_seed_numbers")]
    operations: ClassVar = [
        # An interrupted migration leaves an invalid index behind.
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS inbound_of_owner", migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="inboundmessage",
            index=models.Index(fields=["owner", "-id"], name="inbound_of_owner"),
        ),
    ]
