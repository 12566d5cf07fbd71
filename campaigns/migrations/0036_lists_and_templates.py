from typing import ClassVar

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    """Contact lists, and text templates with their versions. Only new tables."""

    dependencies: ClassVar = [("campaigns", "0035_report_files"), ("accounts", "0025_ledger_checks")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="ContactList",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                ("description", models.TextField(blank=True)),
                (
                    "tags",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=200), default=list, size=None
                    ),
                ),
                ("tag_sizes", models.JSONField(default=dict)),
                ("spoken_sizes", models.JSONField(default=dict)),
                ("number_count", models.IntegerField(default=0)),
                ("created_at", models.DateTimeField(db_default=Now())),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "used_at",
                    models.DateTimeField(
                        blank=True, help_text="When a campaign last got recipients from it.", null=True
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="contact_lists",
                        to="accounts.account",
                    ),
                ),
            ],
            options={"indexes": [models.Index(fields=["owner", "-id"], name="contact_list_newest_first")]},
        ),
        migrations.CreateModel(
            name="Contact",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.CharField(help_text="As the client sent it.", max_length=40)),
                (
                    "to",
                    models.CharField(
                        blank=True, help_text="In E.164. Empty if the number cannot exist.", max_length=32
                    ),
                ),
                (
                    "tags",
                    models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict),
                ),
                ("updated_at", models.DateTimeField(db_default=Now())),
                (
                    "contact_list",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="contacts",
                        to="campaigns.contactlist",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["contact_list", "id"], name="contact_of_list"),
                    models.Index(fields=["contact_list", "to"], name="contact_by_number"),
                ]
            },
        ),
        migrations.CreateModel(
            name="ListUse",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "last_contact",
                    models.BigIntegerField(
                        help_text="Id of the last contact of the list when the campaign got its recipients."
                    ),
                ),
                ("recipients", models.IntegerField(help_text="Number of recipients that the campaign got.")),
                ("used_at", models.DateTimeField(auto_now=True)),
                (
                    "contact_list",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="list_uses",
                        to="campaigns.contactlist",
                    ),
                ),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="list_uses",
                        to="campaigns.campaign",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("contact_list", "campaign"), name="one_use_of_list_by_campaign"
                    )
                ]
            },
        ),
        migrations.CreateModel(
            name="TextTemplate",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                (
                    "latest",
                    models.IntegerField(
                        default=0, help_text="The number of the latest version, and of all versions."
                    ),
                ),
                ("created_at", models.DateTimeField(db_default=Now())),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "deleted_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="Campaigns keep referring to the versions of a deleted template.",
                        null=True,
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="text_templates",
                        to="accounts.account",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("deleted_at__isnull", True)),
                        fields=["owner", "-id"],
                        name="text_template_newest_first",
                    )
                ]
            },
        ),
        migrations.CreateModel(
            name="TextVersion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "number",
                    models.IntegerField(help_text="The first version of a template has the number 1."),
                ),
                ("message", models.TextField(blank=True, help_text="The words of the call or the SMS.")),
                (
                    "sms_message",
                    models.TextField(
                        blank=True,
                        help_text="The words of the SMS of campaigns that call and send SMS. If empty, `message`.",
                    ),
                ),
                (
                    "voice",
                    models.CharField(
                        blank=True, help_text="If empty, campaigns keep their voice.", max_length=50
                    ),
                ),
                (
                    "author",
                    models.BigIntegerField(
                        blank=True,
                        help_text="Id of the person who wrote it, or who created the API key that did.",
                        null=True,
                    ),
                ),
                ("created_at", models.DateTimeField(db_default=Now())),
                (
                    "template",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="versions",
                        to="campaigns.texttemplate",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("template", "number"), name="one_version_of_each_number")
                ]
            },
        ),
    ]
