"""SQL for a migration: a trigger on allauth's table that logs when a person's second factor is added or removed.

So the audit log also has the factors that the operator removes with `removesecondfactor` or in the admin pages.
"""

# Of recovery codes, only the creation is logged: they are created with the first factor, replaced as a whole, and removed
# with the last factor.
WATCH_FACTORS = """
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

UNWATCH_FACTORS = """
DROP TRIGGER audit ON mfa_authenticator;
DROP FUNCTION accounts_factor_audit();
"""
