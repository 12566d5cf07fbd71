"""SQL for a migration: a trigger that ends all tokens of a person. `same_password` suppresses the trigger.

The trigger acts when any program changes the password or deactivates the person. Code that stores a new hash of the
same password does so inside `same_password`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

CREATE_TRIGGER = """
CREATE OR REPLACE FUNCTION accounts_user_end_tokens() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.token_version := OLD.token_version + 1;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER end_tokens BEFORE UPDATE OF password, is_active ON accounts_user FOR EACH ROW
  WHEN ((OLD.is_active AND NOT NEW.is_active)
        OR (OLD.password IS DISTINCT FROM NEW.password
            AND current_setting('iris.same_password', true) IS DISTINCT FROM 'yes'))
  EXECUTE FUNCTION accounts_user_end_tokens();
"""

DROP_TRIGGER = """
DROP TRIGGER IF EXISTS end_tokens ON accounts_user;
DROP FUNCTION IF EXISTS accounts_user_end_tokens();
"""


@contextmanager
def same_password() -> Iterator[None]:
    """Keep tokens valid while the block stores a new hash of the same password. Needs a transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('iris.same_password', 'yes', true)")
        yield
        cursor.execute("SELECT set_config('iris.same_password', '', true)")
