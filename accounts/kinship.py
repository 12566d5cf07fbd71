"""SQL for a migration: a trigger that keeps departments and test twins in order, whichever program writes them.

A department has no departments. A twin has neither departments nor a twin. Neither ever becomes another kind of account: a
twin that became an ordinary account could call people with credits that nobody paid for.
"""

KEEP_KINSHIP = """
CREATE OR REPLACE FUNCTION accounts_account_kinship() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        RAISE EXCEPTION 'The parent of an account, and the account of a test twin, never change.'
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF EXISTS (SELECT FROM accounts_account
                WHERE id = NEW.parent_id AND (parent_id IS NOT NULL OR twin_of_id IS NOT NULL OR id = NEW.id)) THEN
        RAISE EXCEPTION 'Departments and test twins have no departments.' USING ERRCODE = 'restrict_violation';
    END IF;
    IF EXISTS (SELECT FROM accounts_account
                WHERE id = NEW.twin_of_id AND (twin_of_id IS NOT NULL OR id = NEW.id)) THEN
        RAISE EXCEPTION 'A test twin has no test twin.' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER kinship_of_new BEFORE INSERT ON accounts_account FOR EACH ROW
  WHEN (NEW.parent_id IS NOT NULL OR NEW.twin_of_id IS NOT NULL)
  EXECUTE FUNCTION accounts_account_kinship();
CREATE OR REPLACE TRIGGER kinship BEFORE UPDATE OF parent_id, twin_of_id ON accounts_account FOR EACH ROW
  WHEN (OLD.parent_id IS DISTINCT FROM NEW.parent_id OR OLD.twin_of_id IS DISTINCT FROM NEW.twin_of_id)
  EXECUTE FUNCTION accounts_account_kinship();
"""

DROP_KINSHIP = """
DROP TRIGGER IF EXISTS kinship_of_new ON accounts_account;
DROP TRIGGER IF EXISTS kinship ON accounts_account;
DROP FUNCTION IF EXISTS accounts_account_kinship();
"""
