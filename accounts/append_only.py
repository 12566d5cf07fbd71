"""SQL for migrations: triggers with which PostgreSQL refuses changes of a table's rows, whichever program makes them."""


def forbid_changes_of(table: str, message: str) -> str:
    """Return the SQL that makes a table append-only. `message` is the error of every UPDATE and DELETE."""
    return f"""
CREATE OR REPLACE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '{message}'
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table}
   FOR EACH ROW EXECUTE FUNCTION {table}_append_only();
"""


def allow_changes_of(table: str) -> str:
    """Return the SQL that makes a table changeable again."""
    return f"""
DROP TRIGGER IF EXISTS append_only ON {table};
DROP FUNCTION IF EXISTS {table}_append_only();
"""


FORBID_CHANGES = forbid_changes_of(
    "accounts_creditentry", "The ledger is append-only: book another entry instead of changing this one."
)
ALLOW_CHANGES = allow_changes_of("accounts_creditentry")
