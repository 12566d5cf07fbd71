from typing import ClassVar

from django.db import migrations

from accounts.audit_triggers import WATCH_FIRST_SETTINGS, WATCH_SETTINGS_WITH_RULES


class Migration(migrations.Migration):
    """Log changes of an account's rules of reaching people. Nothing but SQL, so that its locks last for milliseconds."""

    dependencies: ClassVar = [("accounts", "0017_rules")]
    operations: ClassVar = [migrations.RunSQL(WATCH_SETTINGS_WITH_RULES, WATCH_FIRST_SETTINGS)]
