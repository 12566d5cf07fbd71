import decimal

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.text
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import accounts.models.keys
from accounts.previous_release import CREATE_PEOPLE

PERMISSIONS = ["view", "prepare", "send", "manage_credits", "manage_account", "urgent"]
SCOPES = PERMISSIONS[:-1]


def account(related_name, on_delete=django.db.models.deletion.PROTECT, **options):
    """Return the foreign key to the account, whose column keeps its name."""
    return models.ForeignKey(
        on_delete=on_delete, related_name=related_name, db_column="user_id", to="accounts.account", **options
    )


class Migration(migrations.Migration):
    """Create the tables of people and members, and describe the models as they are after 0006.

    0006 holds the locks, so it consists of nothing but its SQL. It needs all foreign keys to `accounts_user`, hence the
    dependencies.
    """

    dependencies = [
        ("accounts", "0004_limits_and_tokens"),
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("telephony", "0024_inbound_ref"),
        ("campaigns", "0018_campaigns_to_measure"),
        ("otp", "0001_initial"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveConstraint("user", "accounts_user_balance_not_negative"),
                migrations.RemoveField("user", "balance"),
                migrations.AlterModelTable("user", "accounts_person"),
                migrations.AlterField(
                    "user",
                    "groups",
                    models.ManyToManyField(
                        blank=True,
                        db_table="accounts_user_groups",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.group",
                    ),
                ),
                migrations.AlterField(
                    "user",
                    "user_permissions",
                    models.ManyToManyField(
                        blank=True,
                        db_table="accounts_user_user_permissions",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.permission",
                    ),
                ),
                migrations.CreateModel(
                    name="Account",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("name", models.CharField(blank=True, db_default="", default="", max_length=255)),
                        (
                            "balance",
                            models.DecimalField(
                                decimal_places=2,
                                default=decimal.Decimal("0"),
                                editable=False,
                                help_text="Credits that can be spent now; those on hold are not among them.",
                                max_digits=14,
                            ),
                        ),
                        (
                            "is_suspended",
                            models.BooleanField(
                                db_default=False,
                                default=False,
                                help_text="Nobody can act for a suspended account. What it has begun continues.",
                                verbose_name="suspended",
                            ),
                        ),
                        (
                            "created_at",
                            models.DateTimeField(
                                db_column="date_joined", default=django.utils.timezone.now, editable=False
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("balance__gte", 0)),
                                name="accounts_account_balance_not_negative",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Member",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        (
                            "is_owner",
                            models.BooleanField(
                                default=False, help_text="An owner has every permission.", verbose_name="owner"
                            ),
                        ),
                        (
                            "permissions",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.CharField(
                                    choices=[(one, one) for one in PERMISSIONS], max_length=20
                                ),
                                blank=True,
                                default=list,
                                help_text="Not used for owners, who have every permission.",
                                size=None,
                            ),
                        ),
                        (
                            "joined_at",
                            models.DateTimeField(default=django.utils.timezone.now, editable=False),
                        ),
                        (
                            "account",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="members",
                                to="accounts.account",
                            ),
                        ),
                        (
                            "user",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="memberships",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                    ],
                    options={
                        "ordering": ("joined_at", "pk"),
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("account", "user"), name="accounts_member_once"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("is_owner", True), ("permissions__contains", ["view"]), _connector="OR"
                                ),
                                name="accounts_member_may_view",
                            ),
                        ],
                    },
                ),
                # Credits
                migrations.RenameField("credithold", "user", "account"),
                migrations.AlterField("credithold", "account", account("credit_holds")),
                migrations.RemoveIndex("creditentry", "accounts_creditentry_newest"),
                migrations.RemoveIndex("creditentry", "accounts_creditentry_bought"),
                migrations.RenameField("creditentry", "user", "account"),
                migrations.AlterField("creditentry", "account", account("credit_entries", db_index=False)),
                migrations.AddIndex(
                    "creditentry",
                    models.Index(fields=["account", "id"], name="accounts_creditentry_newest"),
                ),
                migrations.AddIndex(
                    "creditentry",
                    models.Index(
                        condition=models.Q(("kind__in", ("topup", "charge"))),
                        fields=["account", "kind"],
                        name="accounts_creditentry_bought",
                    ),
                ),
                # Keys
                migrations.RemoveConstraint("apikey", "accounts_apikey_one_each"),
                migrations.RemoveIndex("apikey", "accounts_apikey_newest"),
                migrations.RenameField("apikey", "user", "account"),
                migrations.AlterField(
                    "apikey",
                    "account",
                    account("api_keys", on_delete=django.db.models.deletion.CASCADE, db_index=False),
                ),
                migrations.AddField(
                    "apikey",
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                migrations.AddField(
                    "apikey",
                    "name",
                    models.CharField(blank=True, db_default="", default="", max_length=100),
                ),
                migrations.AddField(
                    "apikey",
                    "scopes",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(
                            choices=[(one, one) for one in PERMISSIONS], max_length=20
                        ),
                        db_default=SCOPES,
                        default=accounts.models.keys.all_key_scopes,
                        size=None,
                    ),
                ),
                migrations.AddField(
                    "apikey",
                    "is_of_v1",
                    models.BooleanField(
                        db_default=True,
                        default=True,
                        help_text="v1's generate-api-keys made it, and revokes it when it makes the next one.",
                        verbose_name="made by v1",
                    ),
                ),
                migrations.AddField("apikey", "expires_at", models.DateTimeField(blank=True, null=True)),
                migrations.AddIndex(
                    "apikey", models.Index(fields=["account", "-id"], name="accounts_apikey_newest")
                ),
                migrations.AddConstraint(
                    "apikey",
                    models.UniqueConstraint(
                        condition=models.Q(("is_of_v1", True), ("revoked_at", None)),
                        fields=("account",),
                        name="accounts_apikey_one_of_v1",
                    ),
                ),
            ],
        ),
        # Last, so that its locks do not last while Django computes the state above.
        migrations.RunSQL(CREATE_PEOPLE),
    ]
