from typing import ClassVar

from django.db import migrations

from accounts.audit_triggers import WATCH_SETTINGS_WITH_LIMITS, WATCH_SETTINGS_WITH_OPT_OUTS


class Migration(migrations.Migration):
    """Log changes of an account's limits. Nothing but SQL, so that its locks last for milliseconds."""

    dependencies: ClassVar = [("accounts", "0021_limits")]
    operations: ClassVar = [migrations.RunSQL(WATCH_SETTINGS_WITH_LIMITS, WATCH_SETTINGS_WITH_OPT_OUTS)]
