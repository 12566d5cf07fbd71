from typing import ClassVar

from django.db import migrations

from campaigns.audit_triggers import WATCH_FIELDS, WATCH_FIRST_FIELDS


class Migration(migrations.Migration):
    """Log changes of a campaign's rules. Nothing but SQL, so that its locks last for milliseconds."""

    dependencies: ClassVar = [("campaigns", "0028_rules")]
    operations: ClassVar = [migrations.RunSQL(WATCH_FIELDS, WATCH_FIRST_FIELDS)]
