from typing import ClassVar

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

COLUMNS = """
ALTER TABLE telephony_phonenumber
    ADD COLUMN IF NOT EXISTS trunks varchar(50)[] DEFAULT '{}' NOT NULL,
    ADD COLUMN IF NOT EXISTS is_reserved boolean DEFAULT false NOT NULL,
    ADD COLUMN IF NOT EXISTS reserved_for_id bigint NULL,
    ADD COLUMN IF NOT EXISTS retired_at timestamp with time zone NULL,
    DROP CONSTRAINT IF EXISTS telephony_phonenumber_reserved_for,
    ADD CONSTRAINT telephony_phonenumber_reserved_for FOREIGN KEY (reserved_for_id) REFERENCES accounts_account (id)
        DEFERRABLE INITIALLY DEFERRED NOT VALID,
    DROP CONSTRAINT IF EXISTS sold_number_is_neither_reserved_nor_retired,
    ADD CONSTRAINT sold_number_is_neither_reserved_nor_retired
        CHECK (owner_id IS NULL OR (retired_at IS NULL AND NOT is_reserved AND reserved_for_id IS NULL)) NOT VALID;
"""
DROP = """
ALTER TABLE telephony_phonenumber
    DROP CONSTRAINT IF EXISTS sold_number_is_neither_reserved_nor_retired,
    DROP COLUMN IF EXISTS trunks, DROP COLUMN IF EXISTS is_reserved, DROP COLUMN IF EXISTS reserved_for_id,
    DROP COLUMN IF EXISTS retired_at;
"""

AUDIT = """
CREATE OR REPLACE FUNCTION telephony_phonenumber_audit() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.owner_id IS NOT NULL THEN
        PERFORM accounts_audit(OLD.owner_id, {released}, 'number', OLD.id, OLD.number, NULL, '{{}}');
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.owner_id IS NOT NULL THEN
        PERFORM accounts_audit(NEW.owner_id, 'number_bought', 'number', NEW.id, NEW.number, NULL, '{{}}');
    END IF;
    RETURN NULL;
END $$;
"""
RETIRED = "CASE WHEN TG_OP = 'UPDATE' AND to_jsonb(NEW)->>'retired_at' IS NOT NULL THEN 'number_retired' ELSE 'number_released' END"


class Migration(migrations.Migration):
    """The state of phone numbers: reserved and retired ones, and the trunks that show them.

    Processes of the previous release know no states, so the constraint keeps them from selling a reserved or retired number.
    Not atomic, so that no transaction locks two tables. Each statement can be repeated. 0034 validates the constraints.
    """

    atomic = False
    dependencies: ClassVar = [
        ("telephony", "0032_prices_of_calls"),
        ("accounts", "0009_audit_and_approval_settings"),
    ]

    operations: ClassVar = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(COLUMNS, DROP)],
            state_operations=[
                migrations.AddField(
                    "phonenumber",
                    "trunks",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=50),
                        blank=True,
                        db_default=[],
                        default=list,
                        help_text="Aliases of the trunks that can show the number, separated by commas. Empty: all of"
                        " them.",
                        size=None,
                    ),
                ),
                migrations.AddField(
                    "phonenumber",
                    "is_reserved",
                    models.BooleanField(
                        db_default=False,
                        default=False,
                        help_text="Not for sale, except to the account below.",
                        verbose_name="reserved",
                    ),
                ),
                migrations.AddField(
                    "phonenumber",
                    "reserved_for",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        help_text="The account that can buy the reserved number.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="reserved_numbers",
                        to="accounts.account",
                    ),
                ),
                migrations.AddField(
                    "phonenumber",
                    "retired_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="When the operator withdrew the number. Nobody can buy it, or call from it.",
                        null=True,
                    ),
                ),
                migrations.AlterField(
                    "phonenumber",
                    "capabilities",
                    models.CharField(
                        default="Voice, SMS",
                        help_text="Voice, SMS, or both. The account's calls or SMS come from another number if this one"
                        " cannot show them.",
                        max_length=100,
                    ),
                ),
                migrations.AddConstraint(
                    "phonenumber",
                    models.CheckConstraint(
                        condition=Q(owner=None) | Q(retired_at=None, is_reserved=False, reserved_for=None),
                        name="sold_number_is_neither_reserved_nor_retired",
                        violation_error_message="A sold number is neither reserved nor retired.",
                    ),
                ),
            ],
        ),
        migrations.RunSQL(AUDIT.format(released=RETIRED), AUDIT.format(released="'number_released'")),
    ]
