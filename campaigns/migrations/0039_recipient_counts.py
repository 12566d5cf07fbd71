"""Count the recipients of large campaigns by status, in the transactions that change them.

Whoever changes recipients holds a shared lock until the end of the transaction. Whoever begins to count a campaign holds it
alone: no change is under way then, and each later one finds the counts. So no change is missed.
"""

from typing import ClassVar

from django.db import migrations, models

# The first key of the lock. The second is the remainder of the campaign's id, so that a statement on many campaigns holds few.
LOCK, LOCKS = 7_301, 16

COUNT = f"""
CREATE FUNCTION campaigns_count_recipients() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM pg_advisory_xact_lock_shared({LOCK}, lock)
           FROM (SELECT DISTINCT (campaign_id % {LOCKS})::int AS lock FROM added ORDER BY lock) locks;
        INSERT INTO campaigns_recipientcount (campaign_id, status, count)
        SELECT campaign_id, status, n
          FROM (SELECT campaign_id, status, count(*) AS n FROM added GROUP BY campaign_id, status) changes
         WHERE EXISTS (SELECT FROM campaigns_recipientcount c WHERE c.campaign_id = changes.campaign_id);
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM pg_advisory_xact_lock_shared({LOCK}, lock)
           FROM (SELECT DISTINCT (campaign_id % {LOCKS})::int AS lock FROM removed ORDER BY lock) locks;
        INSERT INTO campaigns_recipientcount (campaign_id, status, count)
        SELECT campaign_id, status, -n
          FROM (SELECT campaign_id, status, count(*) AS n FROM removed GROUP BY campaign_id, status) changes
         WHERE EXISTS (SELECT FROM campaigns_recipientcount c WHERE c.campaign_id = changes.campaign_id);
    ELSE
        PERFORM pg_advisory_xact_lock_shared({LOCK}, lock)
           FROM (SELECT DISTINCT (campaign_id % {LOCKS})::int AS lock FROM added ORDER BY lock) locks;
        INSERT INTO campaigns_recipientcount (campaign_id, status, count)
        SELECT campaign_id, status, n
          FROM (SELECT campaign_id, status, sum(change) AS n
                  FROM (SELECT campaign_id, status, 1 AS change FROM added
                        UNION ALL SELECT campaign_id, status, -1 FROM removed) both_tables
                 GROUP BY campaign_id, status HAVING sum(change) <> 0) changes
         WHERE EXISTS (SELECT FROM campaigns_recipientcount c WHERE c.campaign_id = changes.campaign_id);
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER count_added_recipients AFTER INSERT ON campaigns_recipient
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION campaigns_count_recipients();
CREATE TRIGGER count_changed_recipients AFTER UPDATE ON campaigns_recipient
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION campaigns_count_recipients();
CREATE TRIGGER count_removed_recipients AFTER DELETE ON campaigns_recipient
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION campaigns_count_recipients();
"""

STOP_COUNTING = """
DROP TRIGGER count_removed_recipients ON campaigns_recipient;
DROP TRIGGER count_changed_recipients ON campaigns_recipient;
DROP TRIGGER count_added_recipients ON campaigns_recipient;
DROP FUNCTION campaigns_count_recipients();
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("campaigns", "0038_imports_into_lists")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="RecipientCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("campaign_id", models.BigIntegerField()),
                (
                    "status",
                    models.SmallIntegerField(
                        help_text="Empty: no run has ended for these recipients.", null=True
                    ),
                ),
                ("count", models.IntegerField(help_text="May be negative.")),
            ],
            options={
                "indexes": [models.Index(fields=["campaign_id"], name="recipient_count_of_campaign")],
            },
        ),
        migrations.RunSQL(COUNT, STOP_COUNTING),
    ]
