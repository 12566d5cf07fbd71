import uuid
from decimal import Decimal
from typing import ClassVar

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
from django.db import migrations, models
from django.db.models.functions import Now

CHANNELS = [("call", "Call"), ("sms", "Sms")]

# Each statement that changes prices raises the revision of their tariffs, so that the next run freezes the new prices.
COUNT_REVISIONS = """
CREATE FUNCTION telephony_tariff_revision() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        UPDATE telephony_tariff SET revision = revision + 1;
    ELSIF TG_OP = 'INSERT' THEN
        UPDATE telephony_tariff SET revision = revision + 1 WHERE id IN (SELECT tariff_id FROM added);
    ELSIF TG_OP = 'DELETE' THEN
        UPDATE telephony_tariff SET revision = revision + 1 WHERE id IN (SELECT tariff_id FROM removed);
    ELSE
        UPDATE telephony_tariff SET revision = revision + 1
         WHERE id IN (SELECT tariff_id FROM removed UNION SELECT tariff_id FROM added);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER revision_of_added AFTER INSERT ON telephony_tariffprice REFERENCING NEW TABLE AS added
   FOR EACH STATEMENT EXECUTE FUNCTION telephony_tariff_revision();
CREATE TRIGGER revision_of_removed AFTER DELETE ON telephony_tariffprice REFERENCING OLD TABLE AS removed
   FOR EACH STATEMENT EXECUTE FUNCTION telephony_tariff_revision();
CREATE TRIGGER revision_of_changed AFTER UPDATE ON telephony_tariffprice
   REFERENCING OLD TABLE AS removed NEW TABLE AS added
   FOR EACH STATEMENT EXECUTE FUNCTION telephony_tariff_revision();
CREATE TRIGGER revision_of_all AFTER TRUNCATE ON telephony_tariffprice
   FOR EACH STATEMENT EXECUTE FUNCTION telephony_tariff_revision();

-- Runs that use a list have agreed to its prices.
CREATE FUNCTION telephony_pricelist_unchanged() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'A list of frozen prices never changes.' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER unchanged BEFORE UPDATE ON telephony_pricelist
   FOR EACH ROW EXECUTE FUNCTION telephony_pricelist_unchanged();
"""

STOP_COUNTING = """
DROP TRIGGER unchanged ON telephony_pricelist;
DROP FUNCTION telephony_pricelist_unchanged();
DROP TRIGGER revision_of_all ON telephony_tariffprice;
DROP TRIGGER revision_of_changed ON telephony_tariffprice;
DROP TRIGGER revision_of_removed ON telephony_tariffprice;
DROP TRIGGER revision_of_added ON telephony_tariffprice;
DROP FUNCTION telephony_tariff_revision();
"""


class Migration(migrations.Migration):
    """Tariffs, and lists of frozen prices."""

    dependencies: ClassVar = [
        ("telephony", "0030_audit_of_numbers"),
        ("accounts", "0008_departments_and_twins_checked"),
    ]

    operations: ClassVar = [
        migrations.CreateModel(
            name="Tariff",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100, unique=True)),
                (
                    "is_default",
                    models.BooleanField(
                        default=False,
                        help_text="It applies to all accounts that have no other tariff.",
                        verbose_name="default",
                    ),
                ),
                (
                    "refuses_unpriced",
                    models.BooleanField(
                        default=False,
                        help_text="Refuse calls and SMS to destinations without a price here. Otherwise they cost what "
                        "the settings say.",
                        verbose_name="refuse other destinations",
                    ),
                ),
                ("revision", models.BigIntegerField(db_default=0, default=0, editable=False)),
                ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("is_default", True)),
                        fields=("is_default",),
                        name="one_default_tariff",
                        violation_error_message="Another tariff is the default. Change that one first.",
                    )
                ]
            },
        ),
        migrations.CreateModel(
            name="TariffPrice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("channel", models.CharField(choices=CHANNELS, max_length=4)),
                (
                    "prefix",
                    models.CharField(
                        help_text="The first digits of the number, with the country code and without +.",
                        max_length=15,
                        validators=[
                            django.core.validators.RegexValidator(
                                "\\A[1-9][0-9]*\\Z",
                                "Write digits that begin with a country code, such as 977 or 97798.",
                            )
                        ],
                    ),
                ),
                (
                    "credits",
                    models.DecimalField(
                        decimal_places=4,
                        help_text="For each segment of an SMS, or each started pulse of a call.",
                        max_digits=12,
                        validators=[
                            django.core.validators.MinValueValidator(Decimal("0")),
                            django.core.validators.MaxValueValidator(Decimal("10000")),
                        ],
                    ),
                ),
                (
                    "pulse_seconds",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Length of a pulse. Only calls have one.",
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(3600),
                        ],
                    ),
                ),
                (
                    "tariff",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="prices",
                        to="telephony.tariff",
                    ),
                ),
            ],
            options={
                "verbose_name": "price",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tariff", "channel", "prefix"),
                        name="one_price_for_prefix",
                        violation_error_message="The tariff already has a price for this channel and prefix.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("prefix__regex", "^[1-9][0-9]*$")),
                        name="price_has_a_prefix",
                        violation_error_message="The prefix must be digits that begin with a country code.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("credits__gte", 0), ("credits__lte", Decimal("10000"))),
                        name="price_is_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("channel", "sms"), ("pulse_seconds__isnull", True)),
                            models.Q(
                                ("channel", "call"),
                                ("pulse_seconds__gte", 1),
                                ("pulse_seconds__isnull", False),
                                ("pulse_seconds__lte", 3600),
                            ),
                            _connector="OR",
                        ),
                        name="only_calls_have_pulses",
                        violation_error_message="A price for calls needs the length of a pulse, and one for SMS has "
                        "none.",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="TariffOfAccount",
            fields=[
                (
                    "account",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="accounts.account",
                    ),
                ),
                (
                    "tariff",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="accounts",
                        to="telephony.tariff",
                    ),
                ),
            ],
            options={
                "verbose_name": "account with this tariff",
                "verbose_name_plural": "accounts with this tariff",
            },
        ),
        migrations.CreateModel(
            name="PriceList",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "key",
                    models.CharField(
                        help_text="Hash of the tariff, its revision and the settings.", db_index=True, max_length=64
                    ),
                ),
                (
                    "tariff_name",
                    models.CharField(blank=True, help_text="Empty: only the settings count.", max_length=100),
                ),
                (
                    "starts",
                    django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None),
                ),
                (
                    "places",
                    django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), size=None),
                ),
                (
                    "rates",
                    models.JSONField(
                        help_text="[SMS, call, pulse seconds] each: first the settings, then other destinations."
                    ),
                ),
                ("created_at", models.DateTimeField(db_default=Now())),
            ],
        ),
        migrations.RunSQL(COUNT_REVISIONS, STOP_COUNTING),
    ]
