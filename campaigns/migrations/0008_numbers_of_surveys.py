"""The numbers of surveys are counted anew: each deleted one was subtracted together with its answers."""

from django.db import migrations

# Locked first, as whoever adds or deletes numbers does: they are counted when nobody else is at it.
LOCK = """
SELECT FROM campaigns_campaign WHERE id IN (SELECT campaign_id FROM campaigns_survey) ORDER BY id FOR NO KEY UPDATE
"""

COUNT = """
UPDATE campaigns_campaign c SET number_count = counted.numbers
  FROM (SELECT s.campaign_id, (SELECT count(*) FROM campaigns_recipient r WHERE r.campaign_id = s.campaign_id) AS numbers
          FROM campaigns_survey s) counted
 WHERE c.id = counted.campaign_id AND c.number_count <> counted.numbers
"""


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns", "0007_trials"),
    ]

    operations = [
        migrations.RunSQL([LOCK, COUNT], migrations.RunSQL.noop),
    ]
