"""A recipient's campaign exists: watched over in sets.

PostgreSQL checks a foreign key by a query for every row, which took more than half of the time of a million rows
that all have the same campaign. These triggers check each campaign of a statement once, with the same locks:

* Whoever adds recipients locks their campaigns against being deleted, then looks whether they are there. Somebody
  who is deleting one is waited for; the campaign is gone then, and the statement fails.
* Whoever deletes a campaign has waited for those who were adding to it, and sees what they added.
* Neither a recipient's campaign nor the campaign's id ever changes, which is more than a foreign key promises.
"""

from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models

WATCH = """
CREATE FUNCTION campaigns_are_there() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    wanted bigint;
BEGIN
    FOR wanted IN SELECT DISTINCT campaign_id FROM added ORDER BY campaign_id LOOP
        PERFORM FROM campaigns_campaign WHERE id = wanted FOR KEY SHARE;
        IF NOT FOUND THEN
            RAISE foreign_key_violation USING MESSAGE = format('There is no campaign %s to add recipients to.', wanted);
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;

CREATE FUNCTION no_recipients_are_left() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    gone bigint;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        IF EXISTS (SELECT FROM campaigns_recipient) THEN
            RAISE foreign_key_violation USING MESSAGE = 'There are campaigns with recipients. Delete those first.';
        END IF;
        RETURN NULL;
    END IF;
    FOR gone IN SELECT id FROM deleted LOOP
        IF EXISTS (SELECT FROM campaigns_recipient WHERE campaign_id = gone) THEN
            RAISE foreign_key_violation
                USING MESSAGE = format('Campaign %s has recipients. Delete those first.', gone);
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;

CREATE FUNCTION recipients_stay_where_they_are() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE foreign_key_violation USING MESSAGE = 'A recipient stays with its campaign.';
END
$$;

CREATE TRIGGER campaigns_are_there AFTER INSERT ON campaigns_recipient
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION campaigns_are_there();
CREATE TRIGGER no_recipients_are_left AFTER DELETE ON campaigns_campaign
    REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION no_recipients_are_left();
CREATE TRIGGER no_recipients_are_left_at_all AFTER TRUNCATE ON campaigns_campaign
    FOR EACH STATEMENT EXECUTE FUNCTION no_recipients_are_left();
CREATE TRIGGER recipients_stay_where_they_are BEFORE UPDATE OF campaign_id ON campaigns_recipient
    FOR EACH ROW WHEN (OLD.campaign_id IS DISTINCT FROM NEW.campaign_id)
    EXECUTE FUNCTION recipients_stay_where_they_are();
CREATE TRIGGER recipients_stay_where_they_are BEFORE UPDATE OF id ON campaigns_campaign
    FOR EACH ROW WHEN (OLD.id IS DISTINCT FROM NEW.id)
    EXECUTE FUNCTION recipients_stay_where_they_are();
"""

LOOK_AWAY = """
DROP TRIGGER recipients_stay_where_they_are ON campaigns_campaign;
DROP TRIGGER recipients_stay_where_they_are ON campaigns_recipient;
DROP TRIGGER no_recipients_are_left_at_all ON campaigns_campaign;
DROP TRIGGER no_recipients_are_left ON campaigns_campaign;
DROP TRIGGER campaigns_are_there ON campaigns_recipient;
DROP FUNCTION recipients_stay_where_they_are();
DROP FUNCTION no_recipients_are_left();
DROP FUNCTION campaigns_are_there();
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("campaigns", "0004_surveys")]
    operations: ClassVar = [
        migrations.RunSQL(WATCH, LOOK_AWAY),
        migrations.AlterField(
            model_name="recipient",
            name="campaign",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="recipients",
                to="campaigns.campaign",
            ),
        ),
    ]
