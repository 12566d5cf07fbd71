from typing import ClassVar

from django.contrib.postgres.operations import (
    AddIndexConcurrently,
    RemoveIndexConcurrently,
    ValidateConstraint,
)
from django.db import migrations, models

LIVE = ["awaiting", "scheduled", "running", "paused", "stopping"]
_LIVE = ", ".join(f"'{status}'" for status in LIVE)


class Migration(migrations.Migration):
    """Count runs that wait for approval as live. The indexes are built beside running processes: it is not atomic."""

    atomic = False
    dependencies: ClassVar = [("campaigns", "0021_approval")]

    operations: ClassVar = [
        ValidateConstraint("run", "run_starts_after_approval"),
        # An interrupted migration leaves an invalid index behind.
        migrations.RunSQL(
            "DROP INDEX CONCURRENTLY IF EXISTS one_live_run_of_campaign", migrations.RunSQL.noop
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    f"""CREATE UNIQUE INDEX CONCURRENTLY one_live_run_of_campaign
                            ON campaigns_run (campaign_id) WHERE status IN ({_LIVE})""",
                    "DROP INDEX CONCURRENTLY one_live_run_of_campaign",
                ),
                migrations.RunSQL(
                    "DROP INDEX CONCURRENTLY IF EXISTS one_live_run_per_campaign",
                    """CREATE UNIQUE INDEX CONCURRENTLY one_live_run_per_campaign
                           ON campaigns_run (campaign_id) WHERE status IN ('scheduled', 'running', 'paused', 'stopping')""",
                ),
            ],
            state_operations=[
                migrations.AddConstraint(
                    model_name="run",
                    constraint=models.UniqueConstraint(
                        condition=models.Q(("status__in", LIVE)),
                        fields=("campaign",),
                        name="one_live_run_of_campaign",
                    ),
                ),
                migrations.RemoveConstraint("run", "one_live_run_per_campaign"),
            ],
        ),
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS run_live_by_status", migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="run",
            index=models.Index(
                condition=models.Q(("status__in", LIVE)),
                fields=["status", "starts_at"],
                name="run_live_by_status",
            ),
        ),
        RemoveIndexConcurrently("run", "run_live"),
    ]
