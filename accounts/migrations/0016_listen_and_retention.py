from typing import Any, ClassVar

import django.contrib.postgres.fields
import django.db.models.deletion
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


def scopes(**options: Any) -> django.contrib.postgres.fields.ArrayField[Any, Any]:
    one = models.CharField(choices=[(name, name) for name in PERMISSIONS], max_length=20)
    return django.contrib.postgres.fields.ArrayField(base_field=one, size=None, **options)


class Migration(migrations.Migration):
    """Add the permission to listen to recorded answers, and a table of what was erased for each account."""

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
    ]
