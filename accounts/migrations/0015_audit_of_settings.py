from typing import ClassVar

from django.db import migrations

from accounts.audit_triggers import UNWATCH_SETTINGS, WATCH_FIRST_SETTINGS


class Migration(migrations.Migration):
    """Log changes of all settings of an account. Nothing but SQL, so that its locks last for milliseconds."""

    dependencies: ClassVar = [("accounts", "0014_account_settings")]
    operations: ClassVar = [migrations.RunSQL(WATCH_FIRST_SETTINGS, UNWATCH_SETTINGS)]
