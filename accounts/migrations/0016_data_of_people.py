from typing import Any, ClassVar

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

import accounts.models.keys

PERMISSIONS = ("view", "prepare", "send", "manage_credits", "manage_account", "listen", "urgent")
SCOPES = ["view", "prepare", "send", "manage_credits", "manage_account", "listen"]
# Keys that could read reports until now had the addresses of recordings in them.
KEEP_LISTENING = """
UPDATE accounts_apikey SET scopes = array_append(scopes, 'listen')
 WHERE 'view' = ANY(scopes) AND NOT 'listen' = ANY(scopes);
"""
STOP_LISTENING = """
UPDATE accounts_apikey SET scopes = array_remove(scopes, 'listen') WHERE 'listen' = ANY(scopes);
"""


NOW = django.db.models.functions.datetime.Now()


def scopes(**options: Any) -> django.contrib.postgres.fields.ArrayField[Any, Any]:
    one = models.CharField(choices=[(name, name) for name in PERMISSIONS], max_length=20)
    return django.contrib.postgres.fields.ArrayField(base_field=one, size=None, **options)


class Migration(migrations.Migration):
    """Add the permission to listen to recorded answers, and tables for the export, erasure and retention of people's data.

    The new tables are empty, so their indexes lock nothing.
    """

    dependencies: ClassVar = [("accounts", "0015_audit_of_settings")]
    operations: ClassVar = [
        migrations.AlterField(
            "apikey", "scopes", scopes(db_default=SCOPES, default=accounts.models.keys.all_key_scopes)
        ),
        migrations.AlterField(
            "member",
            "permissions",
            scopes(blank=True, default=list, help_text="Not used for owners, who have every permission."),
        ),
        migrations.RunSQL(KEEP_LISTENING, STOP_LISTENING),
        migrations.CreateModel(
            name="Retention",
            fields=[
                (
                    "account",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="retention",
                        serialize=False,
                        to="accounts.account",
                    ),
                ),
                ("marks", models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict)),
                ("counts", models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict)),
                ("erased_at", models.DateTimeField(blank=True, null=True)),
                ("passed_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="PersonRequest",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(choices=[("export", "Export"), ("erase", "Erase")], max_length=6)),
                ("number", models.CharField(blank=True, help_text="In E.164, while it is needed.", max_length=32)),
                ("digest", models.CharField(help_text="A keyed hash of the number.", max_length=32)),
                (
                    "stage",
                    models.CharField(
                        choices=[
                            ("scan", "read the recipients of all campaigns"),
                            ("settle", "make sure that nothing read before is queued any more"),
                            ("wait", "erase calls and SMS that have ended, until none is under way"),
                            ("done", "Done"),
                        ],
                        db_default="scan",
                        default="scan",
                        max_length=6,
                    ),
                ),
                (
                    "marks",
                    models.JSONField(
                        db_default=models.Value({}, models.JSONField()),
                        default=dict,
                        help_text="How far each app has read its rows in this scan; null if it has read all.",
                    ),
                ),
                (
                    "scans_again",
                    models.BooleanField(
                        db_default=False,
                        default=False,
                        help_text="Sheets were being imported when the scan began, so another one follows.",
                    ),
                ),
                ("found", models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict)),
                (
                    "result",
                    models.JSONField(
                        blank=True, help_text="What an export has found. Erased after some days.", null=True
                    ),
                ),
                (
                    "settled_at",
                    models.DateTimeField(
                        blank=True, help_text="Calls and SMS until this time are erased when they have ended.", null=True
                    ),
                ),
                ("not_before", models.DateTimeField(db_default=NOW)),
                ("waits_for", models.CharField(blank=True, db_default="", default="", max_length=200)),
                (
                    "failures",
                    models.SmallIntegerField(
                        db_default=0, default=0, help_text="Failed steps since the last successful one."
                    ),
                ),
                ("requested_at", models.DateTimeField(db_default=NOW)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.account",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["account", "-id"], name="person_request_newest"),
                    models.Index(
                        condition=models.Q(("finished_at", None)), fields=["not_before"], name="person_request_due"
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("finished_at", None)),
                        fields=("account", "kind", "digest"),
                        name="person_request_once_at_a_time",
                    )
                ],
            },
        ),
    ]
