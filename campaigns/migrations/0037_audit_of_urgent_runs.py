from typing import ClassVar

from django.db import migrations

from campaigns.audit_triggers import QUOTE_NOTHING, WATCH_URGENT_RUNS


class Migration(migrations.Migration):
    """Log why a run is urgent. Nothing but SQL, so that its locks last for milliseconds."""

    dependencies: ClassVar = [("campaigns", "0036_alerts")]
    operations: ClassVar = [migrations.RunSQL(WATCH_URGENT_RUNS, QUOTE_NOTHING)]
