from typing import ClassVar

from django.db import migrations

from campaigns.audit_triggers import QUOTE, QUOTE_NOTHING


class Migration(migrations.Migration):
    """The audit log no longer copies what the reason of a pause quotes. Nothing but SQL."""

    dependencies: ClassVar = [("campaigns", "0026_recording_announcement")]
    operations: ClassVar = [migrations.RunSQL(QUOTE_NOTHING, QUOTE)]
