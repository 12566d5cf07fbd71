"""Unfinished deliveries that were sent again are pinned. In a migration of its own, which locks only these rows."""

from typing import ClassVar

from django.db import migrations

PIN = """
WITH resent AS (
    SELECT d.id, r.since FROM telephony_repetition r JOIN telephony_delivery d ON d.id = r.delivery_id
     WHERE d.status < 100 AND d.pinned_since IS NULL AND r.since IS NOT NULL
     ORDER BY d.id FOR NO KEY UPDATE OF d
)
UPDATE telephony_delivery d SET pinned_since = resent.since FROM resent WHERE d.id = resent.id
"""


class Migration(migrations.Migration):
    dependencies = [
        ("telephony", "0017_pinned_since"),
    ]

    operations: ClassVar = [
        migrations.RunSQL(PIN, migrations.RunSQL.noop),
    ]
