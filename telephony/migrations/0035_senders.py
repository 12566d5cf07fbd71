from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q
from django.db.models.functions import Now

WATCH = """
CREATE FUNCTION telephony_sender_audit() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    one telephony_sender;
BEGIN
    IF TG_OP = 'DELETE' THEN one := OLD; ELSE one := NEW; END IF;
    PERFORM accounts_audit(one.owner_id, CASE TG_OP WHEN 'DELETE' THEN 'sender_removed' ELSE 'sender_' || one.status END,
        'sender', one.id, one.address, NULL, jsonb_build_object(
            'operator', nullif(one.operator, ''), 'trunk', nullif(one.trunk, ''),
            'reason', CASE WHEN TG_OP <> 'DELETE' THEN nullif(one.reason, '') END));
    RETURN NULL;
END $$;
CREATE TRIGGER audit AFTER INSERT OR DELETE ON telephony_sender
   FOR EACH ROW EXECUTE FUNCTION telephony_sender_audit();
CREATE TRIGGER audit_update AFTER UPDATE OF status ON telephony_sender FOR EACH ROW
  WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION telephony_sender_audit();
"""

UNWATCH = """
DROP TRIGGER audit_update ON telephony_sender;
DROP TRIGGER audit ON telephony_sender;
DROP FUNCTION telephony_sender_audit();
"""


class Migration(migrations.Migration):
    """The senders of SMS with their approval, and the log of who requests and decides them."""

    dependencies: ClassVar = [
        ("telephony", "0034_number_inventory_checked"),
        ("accounts", "0009_audit_and_approval_settings"),
    ]

    operations: ClassVar = [
        migrations.CreateModel(
            name="Sender",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "address",
                    models.CharField(
                        help_text="A name of up to 11 characters, a number with its country code, or a short code of 3"
                        " to 6 digits.",
                        max_length=16,
                        verbose_name="sender",
                    ),
                ),
                (
                    "trunk",
                    models.CharField(
                        blank=True, default="", help_text="Alias of the trunk. Empty: every trunk.", max_length=50
                    ),
                ),
                (
                    "operator",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "every operator"),
                            ("ntc", "Nepal Telecom"),
                            ("ncell", "Ncell"),
                            ("smart", "Smart Telecom"),
                        ],
                        default="",
                        help_text="The recipients' operator.",
                        max_length=5,
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[("requested", "Requested"), ("approved", "Approved"), ("refused", "Refused")],
                        default="requested",
                        max_length=9,
                    ),
                ),
                ("note", models.CharField(blank=True, default="", help_text="Words of the account.", max_length=300)),
                (
                    "reason",
                    models.CharField(
                        blank=True,
                        default="",
                        help_text="Why it was refused. The account sees this.",
                        max_length=300,
                    ),
                ),
                ("requested_at", models.DateTimeField(db_default=Now())),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                (
                    "owner",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        help_text="Its departments use it, too. Empty: all accounts use it.",
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="senders",
                        to="accounts.account",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["status", "id"], name="sender_by_status")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("owner", "address", "trunk", "operator"),
                        name="sender_once",
                        violation_error_message="The account has this sender already, for the same trunk and operator.",
                    ),
                    models.UniqueConstraint(
                        condition=Q(("owner", None)),
                        fields=("address", "trunk", "operator"),
                        name="sender_of_all_once",
                        violation_error_message="This sender exists already, for the same trunk and operator.",
                    ),
                    models.CheckConstraint(
                        condition=Q(
                            (
                                "address__regex",
                                "^(\\+[1-9][0-9]{6,14}|[0-9]{3,6}"
                                "|[A-Za-z0-9._&-]([A-Za-z0-9 ._&-]{0,9}[A-Za-z0-9._&-])?)$",
                            )
                        ),
                        name="sender_can_be_shown",
                        violation_error_message="No phone can show this sender.",
                    ),
                ],
            },
        ),
        migrations.RunSQL(WATCH, UNWATCH),
    ]
