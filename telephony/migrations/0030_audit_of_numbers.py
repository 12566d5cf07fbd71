from typing import ClassVar

from django.db import migrations

WATCH = """
CREATE FUNCTION telephony_phonenumber_audit() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.owner_id IS NOT NULL THEN
        PERFORM accounts_audit(OLD.owner_id, 'number_released', 'number', OLD.id, OLD.number, NULL, '{}');
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.owner_id IS NOT NULL THEN
        PERFORM accounts_audit(NEW.owner_id, 'number_bought', 'number', NEW.id, NEW.number, NULL, '{}');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER audit AFTER INSERT OR DELETE ON telephony_phonenumber
   FOR EACH ROW EXECUTE FUNCTION telephony_phonenumber_audit();
CREATE TRIGGER audit_update AFTER UPDATE OF owner_id ON telephony_phonenumber FOR EACH ROW
  WHEN (OLD.owner_id IS DISTINCT FROM NEW.owner_id) EXECUTE FUNCTION telephony_phonenumber_audit();
"""

UNWATCH = """
DROP TRIGGER audit_update ON telephony_phonenumber;
DROP TRIGGER audit ON telephony_phonenumber;
DROP FUNCTION telephony_phonenumber_audit();
"""


class Migration(migrations.Migration):
    """Log which account buys and releases which phone number (accounts.audit_triggers)."""

    dependencies: ClassVar = [
        ("telephony", "0029_test_twins_checked"),
        ("accounts", "0009_audit_and_approval_settings"),
    ]
    operations: ClassVar = [migrations.RunSQL(WATCH, UNWATCH)]
