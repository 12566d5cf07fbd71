import django.db.models.deletion
from django.db import migrations, models

from accounts.append_only import allow_changes_of, forbid_changes_of

MESSAGE = "Statements are never changed."


def amount():
    return models.DecimalField(decimal_places=2, max_digits=14)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0010_audit_of_accounts")]

    operations = [
        migrations.CreateModel(
            name="ClosedDay",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField(unique=True)),
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField(help_text="The end, which belongs to the next day.")),
                (
                    "next_entry",
                    models.BigIntegerField(
                        help_text="All entries that were booked after this day have this id or a higher one."
                    ),
                ),
                ("closed_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={"ordering": ("-day",)},
        ),
        migrations.CreateModel(
            name="Statement",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField()),
                ("opening_balance", amount()),
                ("opening_held", amount()),
                ("closing_balance", amount()),
                ("closing_held", amount()),
                ("entries", models.BigIntegerField()),
                ("lines", models.JSONField()),
                ("digest", models.CharField(help_text="SHA-256 of the day's ledger entries.", max_length=64)),
                (
                    "previous",
                    models.CharField(blank=True, help_text="The hash of the statement before.", max_length=64),
                ),
                ("hash", models.CharField(max_length=64)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="statements",
                        to="accounts.account",
                    ),
                ),
            ],
            options={
                "ordering": ("-id",),
                "constraints": [
                    models.UniqueConstraint(fields=("account", "day"), name="accounts_statement_once_a_day")
                ],
            },
        ),
        *(
            migrations.RunSQL(forbid_changes_of(table, MESSAGE), allow_changes_of(table))
            for table in ("accounts_closedday", "accounts_statement")
        ),
    ]
