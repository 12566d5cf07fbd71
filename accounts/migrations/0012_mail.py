import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

NOW = django.db.models.functions.datetime.Now()


class Migration(migrations.Migration):
    dependencies = [("accounts", "0011_statements")]
    # The tables of allauth refer to people, who are in a table of their own only from `0006_accounts` on.
    run_before = [("account", "0001_initial"), ("mfa", "0001_initial"), ("usersessions", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="LinkRequest",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("reset", "set a new password"),
                            ("invitation", "set the first password"),
                            ("verification", "verify the address"),
                        ],
                        max_length=12,
                    ),
                ),
                ("email", models.CharField(max_length=254)),
                ("requested_at", models.DateTimeField(db_default=NOW)),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        help_text="The account to which the person is invited.",
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.account",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="OutgoingMail",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("to", models.EmailField(max_length=254)),
                ("subject", models.CharField(max_length=200)),
                ("body", models.TextField()),
                ("attempts", models.SmallIntegerField(db_default=0, default=0)),
                ("not_before", models.DateTimeField(db_default=NOW, db_index=True)),
                ("last_error", models.CharField(blank=True, db_default="", default="", max_length=200)),
                ("created_at", models.DateTimeField(db_default=NOW)),
            ],
        ),
    ]
