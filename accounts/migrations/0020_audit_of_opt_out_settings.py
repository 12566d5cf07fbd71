from typing import ClassVar

from django.db import migrations

from accounts.audit_triggers import WATCH_SETTINGS_WITH_OPT_OUTS, WATCH_SETTINGS_WITH_RULES


class Migration(migrations.Migration):
    """Log changes of the settings of opt-outs. Nothing but SQL, so that its locks last for milliseconds."""

    dependencies: ClassVar = [("accounts", "0019_opt_out_settings")]
    operations: ClassVar = [migrations.RunSQL(WATCH_SETTINGS_WITH_OPT_OUTS, WATCH_SETTINGS_WITH_RULES)]
