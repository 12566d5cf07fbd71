from django.db import migrations

from accounts.audit_triggers_of_factors import UNWATCH_FACTORS, WATCH_FACTORS


class Migration(migrations.Migration):
    """Log changes of the second factors of people. Nothing but SQL, so that its locks last for milliseconds."""

    dependencies = [("accounts", "0012_mail"), ("mfa", "0003_authenticator_type_uniq")]
    operations = [migrations.RunSQL(WATCH_FACTORS, UNWATCH_FACTORS)]
