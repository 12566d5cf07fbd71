from django.db import migrations, models

import accounts.models.audit
from accounts.audit_triggers import CREATE_LOG, DROP_LOG


class Migration(migrations.Migration):
    """Create the audit log, and the settings of accounts. The table is new, so its indexes lock nothing."""

    dependencies = [("accounts", "0008_departments_and_twins_checked")]

    operations = [
        migrations.AddField(
            model_name="account",
            name="approval_above",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="Runs for more recipients wait until a second person approves them. Empty: no run does.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="account",
            name="approval_hours",
            field=models.PositiveSmallIntegerField(
                db_default=72,
                default=72,
                help_text="A run that is not approved within this time ends without having started.",
            ),
        ),
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "account_id",
                    models.BigIntegerField(
                        blank=True, help_text="Empty if it concerns no account.", null=True
                    ),
                ),
                ("at", models.DateTimeField(db_default=accounts.models.audit.ClockTimestamp())),
                ("action", models.CharField(max_length=32)),
                (
                    "kind",
                    models.CharField(
                        blank=True, db_default="", default="", help_text="Kind of the object.", max_length=16
                    ),
                ),
                ("object_id", models.BigIntegerField(blank=True, null=True)),
                ("object_name", models.CharField(blank=True, db_default="", default="", max_length=255)),
                ("campaign_id", models.BigIntegerField(blank=True, null=True)),
                (
                    "details",
                    models.JSONField(
                        blank=True, db_default=models.Value({}, models.JSONField()), default=dict
                    ),
                ),
                ("actor_kind", models.CharField(db_default="server", default="server", max_length=8)),
                ("user_id", models.BigIntegerField(blank=True, null=True)),
                ("key_id", models.BigIntegerField(blank=True, null=True)),
                ("actor_name", models.CharField(blank=True, db_default="", default="", max_length=254)),
                ("actor_email", models.CharField(blank=True, db_default="", default="", max_length=254)),
                ("address", models.CharField(blank=True, db_default="", default="", max_length=64)),
                (
                    "request",
                    models.CharField(
                        blank=True,
                        db_default="", default="",
                        help_text="Entries of one request have the same value.",
                        max_length=32,
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "audit entries",
                "ordering": ("-at", "-id"),
                "indexes": [
                    models.Index(fields=["account_id", "at", "id"], name="accounts_audit_of_account"),
                    models.Index(
                        condition=models.Q(("campaign_id__isnull", False)),
                        fields=["account_id", "campaign_id", "at", "id"],
                        name="accounts_audit_of_campaign",
                    ),
                ],
            },
        ),
        migrations.RunSQL(CREATE_LOG, DROP_LOG),
    ]
