"""SQL for a migration: the triggers that log a person's second factors and verified address, and test keys in both logs.

A second factor concerns all accounts of which the person is a member, as a password does (`accounts.audit_triggers`). The
triggers also log what the operator removes with `removesecondfactor` or in the admin pages.
"""

from accounts.audit_triggers import KEY_FUNCTION, PERSON_FUNCTION

# While this setting of the session is "yes", a new password is set by a link that was mailed to the person.
BY_LINK = "iris.password_by_link"

_CONCERNED = """
CREATE FUNCTION accounts_audit_person(person bigint, email text, what text, more jsonb) RETURNS void
   LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM accounts_audit(account_id, what, 'person', person, email, NULL, more)
       FROM (SELECT account_id FROM accounts_member WHERE user_id = person
              UNION ALL
             SELECT NULL WHERE NOT EXISTS (SELECT FROM accounts_member WHERE user_id = person)) AS concerned;
END $$;
"""

_PERSON = f"""
CREATE OR REPLACE FUNCTION accounts_person_audit() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM accounts_audit_person(NEW.id, NEW.email, CASE
        WHEN NEW.password <> OLD.password
            THEN CASE current_setting('{BY_LINK}', true) WHEN 'yes' THEN 'password_reset' ELSE 'password_changed' END
        WHEN NEW.is_active <> OLD.is_active
            THEN CASE WHEN NEW.is_active THEN 'person_activated' ELSE 'person_deactivated' END
        WHEN NEW.email <> OLD.email THEN 'email_changed'
        ELSE 'logins_ended' END, '{{}}');
    RETURN NULL;
END $$;

CREATE FUNCTION accounts_person_verified() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM accounts_audit_person(NEW.id, NEW.email, 'email_verified', '{{}}');
    RETURN NULL;
END $$;
CREATE TRIGGER audit_verified AFTER UPDATE OF is_verified_email ON accounts_person FOR EACH ROW
  WHEN (NEW.is_verified_email AND NOT OLD.is_verified_email) EXECUTE FUNCTION accounts_person_verified();
"""

# Recovery codes are made with the first factor, are replaced as a whole, and end with the last factor.
_FACTORS = """
CREATE FUNCTION accounts_factor_audit() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    one mfa_authenticator;
    what text;
BEGIN
    IF TG_OP = 'DELETE' THEN one := OLD; ELSE one := NEW; END IF;
    what := CASE one.type WHEN 'totp' THEN 'app' WHEN 'webauthn' THEN 'passkey' ELSE 'codes' END;
    IF what <> 'codes' OR TG_OP = 'INSERT' THEN
        PERFORM accounts_audit_person(one.user_id, (SELECT email FROM accounts_person WHERE id = one.user_id),
            what || CASE WHEN what = 'codes' THEN '_created' WHEN TG_OP = 'INSERT' THEN '_added' ELSE '_removed' END,
            CASE what WHEN 'passkey' THEN jsonb_build_object('name', left(one.data->>'name', 100)) ELSE '{}' END);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER audit AFTER INSERT OR DELETE ON mfa_authenticator
   FOR EACH ROW EXECUTE FUNCTION accounts_factor_audit();
"""

# The members of an account create the keys of its test twin, so both logs have them.
_KEYS = """
CREATE OR REPLACE FUNCTION accounts_apikey_audit() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    twin_of bigint := (SELECT twin_of_id FROM accounts_account WHERE id = NEW.user_id);
BEGIN
    PERFORM accounts_audit(account, CASE TG_OP WHEN 'INSERT' THEN 'key_created' ELSE 'key_revoked' END,
        'key', NEW.id, CASE WHEN NEW.name = '' AND NEW.is_of_v1 THEN 'v1' ELSE NEW.name END, NULL,
        CASE TG_OP WHEN 'INSERT' THEN jsonb_build_object('scopes', to_jsonb(NEW.scopes), 'expires_at', NEW.expires_at)
                   ELSE '{}' END
        || CASE WHEN twin_of IS NOT NULL THEN '{"test": true}'::jsonb ELSE '{}' END)
       FROM unnest(array_remove(ARRAY[NEW.user_id, twin_of], NULL)) AS account;
    RETURN NULL;
END $$;
"""

# In the order in which `services.remove_second_factor` locks these tables.
WATCH_SIGN_IN = _CONCERNED + _FACTORS + _PERSON + _KEYS

UNWATCH_SIGN_IN = (
    KEY_FUNCTION
    + PERSON_FUNCTION
    + """
DROP TRIGGER audit ON mfa_authenticator;
DROP TRIGGER audit_verified ON accounts_person;
DROP FUNCTION accounts_factor_audit();
DROP FUNCTION accounts_person_verified();
DROP FUNCTION accounts_audit_person(bigint, text, text, jsonb);
"""
)
