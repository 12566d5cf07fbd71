from typing import ClassVar

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models

STATUSES = [
    ("awaiting", "awaiting approval"),
    ("scheduled", "Scheduled"),
    ("running", "Running"),
    ("paused", "Paused"),
    ("stopping", "stopping: waits for calls and SMS in progress"),
    ("completed", "Completed"),
    ("terminated", "Terminated"),
    ("withdrawn", "withdrawn before its start time"),
]


class Migration(migrations.Migration):
    """Runs that wait for approval. The columns have defaults, so processes of the previous release insert rows, too."""

    dependencies: ClassVar = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("campaigns", "0020_help_texts"),
    ]

    operations: ClassVar = [
        migrations.AlterField("run", "status", models.CharField(choices=STATUSES, max_length=10)),
        migrations.AddField(
            model_name="run",
            name="needs_approval",
            field=models.BooleanField(
                db_default=False, default=False, help_text="A second person must approve it before it starts."
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="authors",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.BigIntegerField(),
                blank=True,
                db_default=[],
                default=list,
                help_text="Ids of the people who began it or changed it while it waited. They cannot approve it.",
                size=None,
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="approve_until",
            field=models.DateTimeField(
                blank=True,
                help_text="It ends without having started if it is not approved before this time.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="run", name="approved_at", field=models.DateTimeField(blank=True, null=True)
        ),
        migrations.AddField(
            model_name="run",
            name="decided_by",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="not_started",
            field=models.CharField(
                blank=True,
                choices=[
                    ("replaced", "replaced or withdrawn, because the campaign was changed"),
                    ("rejected", "Rejected"),
                    ("expired", "nobody approved it in time"),
                ],
                db_default="",
                help_text="Why it was withdrawn.",
                max_length=8,
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="rejection",
            field=models.CharField(
                blank=True, db_default="", help_text="The words of the rejection.", max_length=300
            ),
        ),
        migrations.AddField(
            model_name="sheetimport",
            name="uploaded_by",
            field=models.BigIntegerField(
                blank=True, help_text="Id of the person who uploaded it, or who created the API key that did.", null=True
            ),
        ),
        AddConstraintNotValid(
            model_name="run",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("needs_approval", False),
                    ("approved_at__isnull", False),
                    models.Q(("status__in", ["scheduled", "running"]), _negated=True),
                    _connector="OR",
                ),
                name="run_starts_after_approval",
            ),
        ),
    ]
