"""Runs that outlived the deletion of their campaign are stopped; what that needs, the next ticks do.

Whoever was deleting it died before it stopped them. Now both are one transaction.
"""

from django.db import migrations

STOP = """
UPDATE campaigns_run r SET status = 'stopping'
  FROM campaigns_campaign c
 WHERE c.id = r.campaign_id AND c.deleted_at IS NOT NULL AND r.status IN ('scheduled', 'running', 'paused')
"""


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns", "0008_numbers_of_surveys"),
    ]

    operations = [
        migrations.RunSQL(STOP, migrations.RunSQL.noop),
    ]
