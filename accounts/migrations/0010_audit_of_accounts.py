from django.db import migrations

from accounts.audit_triggers import UNWATCH_ACCOUNTS, WATCH_ACCOUNTS


class Migration(migrations.Migration):
    """Log changes of accounts, people, members and keys. Nothing but SQL, so that its locks last for milliseconds."""

    dependencies = [("accounts", "0009_audit_and_approval_settings")]
    operations = [migrations.RunSQL(WATCH_ACCOUNTS, UNWATCH_ACCOUNTS)]
