from typing import ClassVar

from django.db import migrations

from accounts.audit_triggers import WATCH_SETTINGS_WITH_ALERTS, WATCH_SETTINGS_WITH_LIMITS


class Migration(migrations.Migration):
    """Log changes of the setting of urgent runs. Nothing but SQL, so that its locks last for milliseconds."""

    dependencies: ClassVar = [("accounts", "0023_alerts")]
    operations: ClassVar = [migrations.RunSQL(WATCH_SETTINGS_WITH_ALERTS, WATCH_SETTINGS_WITH_LIMITS)]
