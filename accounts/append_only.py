"""SQL for a migration: a trigger with which PostgreSQL refuses changes of the ledger, whichever program makes them."""

FORBID_CHANGES = """
CREATE OR REPLACE FUNCTION accounts_creditentry_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The ledger is append-only: book another entry instead of changing this one.'
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE ON accounts_creditentry
   FOR EACH ROW EXECUTE FUNCTION accounts_creditentry_append_only();
"""

ALLOW_CHANGES = """
DROP TRIGGER IF EXISTS append_only ON accounts_creditentry;
DROP FUNCTION IF EXISTS accounts_creditentry_append_only();
"""
