from django.db import migrations

from accounts.previous_release import SPLIT


class Migration(migrations.Migration):
    """Turn `accounts_user` into the table of accounts. Nothing but SQL, so that its locks last for milliseconds."""

    dependencies = [("accounts", "0005_people")]
    operations = [migrations.RunSQL(SPLIT)]
