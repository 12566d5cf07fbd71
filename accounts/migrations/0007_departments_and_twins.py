import django.db.models.deletion
from django.db import migrations, models
from django.db.models import F, Q

from accounts.kinship import DROP_KINSHIP, KEEP_KINSHIP

COLUMNS = """
ALTER TABLE accounts_account
    ADD COLUMN IF NOT EXISTS parent_id bigint NULL,
    ADD COLUMN IF NOT EXISTS twin_of_id bigint NULL,
    DROP CONSTRAINT IF EXISTS accounts_account_parent,
    ADD CONSTRAINT accounts_account_parent FOREIGN KEY (parent_id) REFERENCES accounts_account (id)
        DEFERRABLE INITIALLY DEFERRED NOT VALID,
    DROP CONSTRAINT IF EXISTS accounts_account_twin_of,
    ADD CONSTRAINT accounts_account_twin_of FOREIGN KEY (twin_of_id) REFERENCES accounts_account (id)
        DEFERRABLE INITIALLY DEFERRED NOT VALID,
    DROP CONSTRAINT IF EXISTS accounts_account_twin_is_no_department,
    ADD CONSTRAINT accounts_account_twin_is_no_department
        CHECK (parent_id IS NULL OR twin_of_id IS NULL) NOT VALID;
"""

# Under the same name, in one statement: without any moment at which nothing is checked. 0008 validates it.
LEDGER = """
ALTER TABLE accounts_creditentry
    ADD COLUMN IF NOT EXISTS counterpart_id bigint NULL,
    DROP CONSTRAINT IF EXISTS accounts_creditentry_deltas_fit_kind,
    ADD CONSTRAINT accounts_creditentry_deltas_fit_kind CHECK (
        kind = 'topup' AND balance_delta = amount AND held_delta = 0 AND hold_id IS NULL
        OR kind = 'charge' AND balance_delta = -amount AND held_delta = 0 AND hold_id IS NULL
        OR kind = 'hold' AND balance_delta = -amount AND held_delta = amount AND hold_id IS NOT NULL
        OR kind = 'capture' AND balance_delta = 0 AND held_delta = -amount AND hold_id IS NOT NULL
        OR kind = 'release' AND balance_delta = amount AND held_delta = -amount AND hold_id IS NOT NULL
        OR kind = 'transfer' AND balance_delta IN (amount, -amount) AND held_delta = 0 AND hold_id IS NULL
           AND counterpart_id IS NOT NULL
    ) NOT VALID;
"""


def related(related_name, help_text, **options):
    """Return a foreign key to an account, which is empty for most rows."""
    return models.ForeignKey(
        blank=True,
        db_index=False,
        help_text=help_text,
        null=True,
        on_delete=django.db.models.deletion.PROTECT,
        related_name=related_name,
        to="accounts.account",
        **options,
    )


class Migration(migrations.Migration):
    """Add the columns of departments and test twins. No row is read or written: 0008 validates, and builds the indexes.

    Not atomic, so that no transaction locks two tables: it could deadlock with processes that move credits. Each statement
    can be repeated.
    """

    atomic = False
    dependencies = [("accounts", "0006_accounts")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AddField(
                    "account",
                    "parent",
                    related("departments", "The account of which this one is a department.", editable=False),
                ),
                migrations.AddField(
                    "account",
                    "twin_of",
                    related("twins", "The account of which this one is the test twin.", editable=False),
                ),
                migrations.AddConstraint(
                    "account",
                    models.CheckConstraint(
                        condition=Q(parent=None) | Q(twin_of=None), name="accounts_account_twin_is_no_department"
                    ),
                ),
                migrations.AddField(
                    "creditentry",
                    "counterpart",
                    related("+", "The other account of a transfer.", db_constraint=False),
                ),
                migrations.AlterField(
                    "creditentry",
                    "kind",
                    models.CharField(
                        choices=[
                            ("topup", "top-up"),
                            ("hold", "Hold"),
                            ("capture", "Capture"),
                            ("release", "Release"),
                            ("charge", "Charge"),
                            ("transfer", "Transfer"),
                        ],
                        max_length=8,
                    ),
                ),
                migrations.RemoveConstraint("creditentry", "accounts_creditentry_deltas_fit_kind"),
                migrations.AddConstraint(
                    "creditentry",
                    models.CheckConstraint(
                        condition=(
                            Q(kind="topup", balance_delta=F("amount"), held_delta=0, hold=None)
                            | Q(kind="charge", balance_delta=-F("amount"), held_delta=0, hold=None)
                            | Q(
                                kind="hold",
                                balance_delta=-F("amount"),
                                held_delta=F("amount"),
                                hold__isnull=False,
                            )
                            | Q(kind="capture", balance_delta=0, held_delta=-F("amount"), hold__isnull=False)
                            | Q(
                                kind="release",
                                balance_delta=F("amount"),
                                held_delta=-F("amount"),
                                hold__isnull=False,
                            )
                            | (
                                Q(kind="transfer", held_delta=0, hold=None, counterpart__isnull=False)
                                & (Q(balance_delta=F("amount")) | Q(balance_delta=-F("amount")))
                            )
                        ),
                        name="accounts_creditentry_deltas_fit_kind",
                    ),
                ),
                migrations.AlterField(
                    "apikey",
                    "beginning",
                    models.CharField(help_text="By which its owner knows it again.", max_length=16),
                ),
            ],
        ),
        migrations.RunSQL("ALTER TABLE accounts_apikey ALTER COLUMN beginning TYPE varchar(16)", migrations.RunSQL.noop),
        migrations.RunSQL(COLUMNS),
        migrations.RunSQL(LEDGER),
        migrations.RunSQL(KEEP_KINSHIP, DROP_KINSHIP),
    ]
