from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

# The alias is `settings.TWIN_TRUNK`, which never changes. The row is created with the first delivery of a test twin.
TRUNK = """
CREATE OR REPLACE FUNCTION telephony_trunk_of_twins() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    found bigint;
BEGIN
    SELECT id INTO found FROM telephony_trunk WHERE alias = 'test_twins';
    IF found IS NULL THEN
        INSERT INTO telephony_trunk (alias, last_owner_id, pause_reason, last_error, session)
        VALUES ('test_twins', 0, '', '', '') ON CONFLICT (alias) DO NOTHING;
        SELECT id INTO STRICT found FROM telephony_trunk WHERE alias = 'test_twins';
    END IF;
    RETURN found;
END $$;
"""

NUMBERS = """
ALTER TABLE telephony_phonenumber
    ADD COLUMN IF NOT EXISTS invented_for_id bigint NULL,
    DROP CONSTRAINT IF EXISTS telephony_phonenumber_invented_for,
    ADD CONSTRAINT telephony_phonenumber_invented_for FOREIGN KEY (invented_for_id) REFERENCES accounts_account (id)
        DEFERRABLE INITIALLY DEFERRED NOT VALID,
    DROP CONSTRAINT IF EXISTS invented_number_stays_with_its_twin,
    ADD CONSTRAINT invented_number_stays_with_its_twin
        CHECK (invented_for_id IS NULL OR owner_id IS NULL OR owner_id = invented_for_id) NOT VALID;

CREATE OR REPLACE FUNCTION telephony_phonenumber_is_real() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM accounts_account WHERE id = NEW.owner_id AND twin_of_id IS NOT NULL) THEN
        RAISE EXCEPTION 'A test twin cannot have a real phone number.' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER is_real BEFORE INSERT OR UPDATE OF owner_id, invented_for_id ON telephony_phonenumber FOR EACH ROW
  WHEN (NEW.owner_id IS NOT NULL AND NEW.invented_for_id IS NULL)
  EXECUTE FUNCTION telephony_phonenumber_is_real();
"""

# Whatever trunk a process chose, a delivery of a test twin goes through the trunk of test twins: also if an error chose
# another one, and if a process of the previous release did, which knows no twins. Deliveries are inserted in sets, so their
# owners are examined once for each statement, and not for each row.
DELIVERIES = """
CREATE OR REPLACE FUNCTION telephony_delivery_of_twins() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    owners bigint[] := ARRAY(SELECT id FROM accounts_account
                              WHERE id = ANY (ARRAY(SELECT DISTINCT owner_id FROM inserted))
                                AND twin_of_id IS NOT NULL);
    proper bigint;
BEGIN
    IF cardinality(owners) > 0 THEN
        proper := telephony_trunk_of_twins();
        UPDATE telephony_delivery SET trunk_id = proper
         WHERE id IN (SELECT id FROM inserted WHERE owner_id = ANY (owners) AND trunk_id <> proper);
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER of_twins AFTER INSERT ON telephony_delivery REFERENCING NEW TABLE AS inserted
   FOR EACH STATEMENT EXECUTE FUNCTION telephony_delivery_of_twins();

CREATE OR REPLACE FUNCTION telephony_delivery_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM accounts_account WHERE id = NEW.owner_id AND twin_of_id IS NOT NULL) THEN
        NEW.trunk_id := telephony_trunk_of_twins();
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER moves BEFORE UPDATE OF trunk_id, owner_id ON telephony_delivery FOR EACH ROW
  WHEN (OLD.trunk_id IS DISTINCT FROM NEW.trunk_id OR OLD.owner_id IS DISTINCT FROM NEW.owner_id)
  EXECUTE FUNCTION telephony_delivery_moves();
"""

REVERSED = """
DROP TRIGGER IF EXISTS of_twins ON telephony_delivery;
DROP TRIGGER IF EXISTS moves ON telephony_delivery;
DROP FUNCTION IF EXISTS telephony_delivery_of_twins();
DROP FUNCTION IF EXISTS telephony_delivery_moves();
DROP FUNCTION IF EXISTS telephony_trunk_of_twins();
"""


class Migration(migrations.Migration):
    """Give test twins phone numbers of their own, and keep their deliveries on the trunk of the sandbox.

    Not atomic, so that no transaction locks two tables. Each statement can be repeated. 0029 validates the constraints.
    """

    atomic = False
    dependencies: ClassVar = [
        ("telephony", "0027_inbound_sms_once"),
        ("accounts", "0008_departments_and_twins_checked"),
    ]

    operations: ClassVar = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AddField(
                    "phonenumber",
                    "invented_for",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        editable=False,
                        help_text="The test twin for which iris has invented the number. Empty for real numbers.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="invented_numbers",
                        to="accounts.account",
                    ),
                ),
                migrations.AddConstraint(
                    "phonenumber",
                    models.CheckConstraint(
                        condition=Q(invented_for=None) | Q(owner=None) | Q(owner=models.F("invented_for")),
                        name="invented_number_stays_with_its_twin",
                    ),
                ),
            ],
        ),
        migrations.RunSQL(TRUNK, migrations.RunSQL.noop),
        migrations.RunSQL(NUMBERS, migrations.RunSQL.noop),
        migrations.RunSQL(DELIVERIES, REVERSED),
    ]
