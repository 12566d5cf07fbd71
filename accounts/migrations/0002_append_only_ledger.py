from django.db import migrations

from accounts.append_only import ALLOW_CHANGES, FORBID_CHANGES


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]
    operations = [migrations.RunSQL(FORBID_CHANGES, ALLOW_CHANGES)]
