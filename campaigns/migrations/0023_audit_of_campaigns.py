from typing import ClassVar

from django.db import migrations

from campaigns.audit_triggers import UNWATCH, WATCH


class Migration(migrations.Migration):
    """Log changes of campaigns, runs and imports. Nothing but SQL, so that its locks last for milliseconds."""

    dependencies: ClassVar = [
        ("campaigns", "0022_approval_indexes"),
        ("accounts", "0009_audit_and_approval_settings"),
    ]
    operations: ClassVar = [migrations.RunSQL(WATCH, UNWATCH)]
