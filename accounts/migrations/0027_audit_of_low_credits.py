from typing import ClassVar

from django.db import migrations

from accounts.audit_triggers import WATCH_SETTINGS, WATCH_SETTINGS_WITH_ALERTS


class Migration(migrations.Migration):
    """Log changes of the level of low credits. Nothing but SQL, so that its locks last for milliseconds."""

    dependencies: ClassVar = [("accounts", "0026_low_credits")]
    operations: ClassVar = [migrations.RunSQL(WATCH_SETTINGS, WATCH_SETTINGS_WITH_ALERTS)]
