from django.db import migrations

from accounts.audit_triggers_of_sign_in import UNWATCH_SIGN_IN, WATCH_SIGN_IN


class Migration(migrations.Migration):
    """Log changes of the sign-in of people. Nothing but SQL, so that its locks last for milliseconds."""

    dependencies = [("accounts", "0012_mail"), ("mfa", "0003_authenticator_type_uniq")]
    operations = [migrations.RunSQL(WATCH_SIGN_IN, UNWATCH_SIGN_IN)]
