"""SQL for migrations: the triggers that write the audit log, and those that keep it append-only.

A trigger on a table writes an entry for each changed row, whichever program changes it. Only tables in which people change
single rows have such a trigger. The tables of deliveries, recipients, holds and captures have none, so sending and importing
cost nothing more. Each trigger names the columns that matter. PostgreSQL does not call it for statements that set only other
columns.
"""

from accounts.append_only import allow_changes_of, forbid_changes_of

# `campaigns` and `telephony` call this function in triggers of their own.
CREATE_FUNCTION = """
CREATE FUNCTION accounts_audit(
    account bigint, what text, kind text, object bigint, called text, campaign bigint, more jsonb
) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    -- What accounts.actors has told this session. Processes that tell nothing act as the server.
    actor jsonb := nullif(current_setting('iris.actor', true), '')::jsonb;
BEGIN
    INSERT INTO accounts_auditentry (account_id, action, kind, object_id, object_name, campaign_id, details,
                                     actor_kind, user_id, key_id, actor_name, actor_email, address, request)
    VALUES (account, what, kind, object, left(called, 255), campaign, jsonb_strip_nulls(more),
            coalesce(actor->>'kind', 'server'), (actor->>'user_id')::bigint, (actor->>'key_id')::bigint,
            coalesce(actor->>'name', ''), coalesce(actor->>'email', ''), coalesce(actor->>'address', ''),
            coalesce(actor->>'request', ''));
END $$;
"""
NEVER_EMPTIED = """
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON accounts_auditentry
   FOR EACH STATEMENT EXECUTE FUNCTION accounts_auditentry_append_only();
"""
KEPT = "The audit log is append-only: its entries are neither changed nor deleted."
CREATE_LOG = CREATE_FUNCTION + forbid_changes_of("accounts_auditentry", KEPT) + NEVER_EMPTIED

DROP_LOG = """
DROP TRIGGER never_emptied ON accounts_auditentry;
DROP FUNCTION accounts_audit(bigint, text, text, bigint, text, bigint, jsonb);
""" + allow_changes_of("accounts_auditentry")

# While this setting of the session is "yes", a new password is set by a link that was mailed to the person.
BY_LINK = "iris.password_by_link"

WATCH_ACCOUNTS = """
CREATE FUNCTION accounts_account_audit() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM accounts_audit(NEW.id, 'account_created', 'account', NEW.id, NEW.name, NULL, '{}');
        RETURN NULL;
    END IF;
    IF NEW.is_suspended <> OLD.is_suspended THEN
        PERFORM accounts_audit(NEW.id, CASE WHEN NEW.is_suspended THEN 'account_suspended' ELSE 'account_restored' END,
                               'account', NEW.id, NEW.name, NULL, '{}');
    END IF;
    IF (NEW.name, NEW.approval_above, NEW.approval_hours) IS DISTINCT FROM
       (OLD.name, OLD.approval_above, OLD.approval_hours) THEN
        -- `off` stands for null, because entries contain no nulls.
        PERFORM accounts_audit(NEW.id, 'settings_changed', 'account', NEW.id, NEW.name, NULL,
            CASE WHEN NEW.name <> OLD.name
                 THEN jsonb_build_object('name', jsonb_build_array(OLD.name, NEW.name)) ELSE '{}' END ||
            CASE WHEN NEW.approval_above IS DISTINCT FROM OLD.approval_above
                 THEN jsonb_build_object('approval_above', jsonb_build_array(
                     coalesce(OLD.approval_above::text, 'off'), coalesce(NEW.approval_above::text, 'off')))
                 ELSE '{}' END ||
            CASE WHEN NEW.approval_hours <> OLD.approval_hours
                 THEN jsonb_build_object('approval_hours', jsonb_build_array(
                     OLD.approval_hours::text, NEW.approval_hours::text)) ELSE '{}' END);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_insert AFTER INSERT ON accounts_account
   FOR EACH ROW EXECUTE FUNCTION accounts_account_audit();
CREATE TRIGGER audit_update AFTER UPDATE OF name, is_suspended, approval_above, approval_hours ON accounts_account
   FOR EACH ROW EXECUTE FUNCTION accounts_account_audit();

CREATE FUNCTION accounts_member_audit() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    one accounts_member;
    grants jsonb;
BEGIN
    IF TG_OP = 'DELETE' THEN one := OLD; ELSE one := NEW; END IF;
    grants := CASE WHEN one.is_owner THEN '["owner"]' ELSE to_jsonb(one.permissions) END;
    IF TG_OP = 'UPDATE' AND (NEW.is_owner, NEW.permissions) IS NOT DISTINCT FROM (OLD.is_owner, OLD.permissions) THEN
        RETURN NULL;
    END IF;
    PERFORM accounts_audit(one.account_id,
        CASE TG_OP WHEN 'INSERT' THEN 'member_added' WHEN 'UPDATE' THEN 'member_changed' ELSE 'member_removed' END,
        'member', one.id, (SELECT email FROM accounts_person WHERE id = one.user_id), NULL,
        jsonb_build_object('permissions', grants, 'user', one.user_id));
    RETURN NULL;
END $$;
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON accounts_member
   FOR EACH ROW EXECUTE FUNCTION accounts_member_audit();

-- The members of an account create the keys of its test twin, so both logs have them.
CREATE FUNCTION accounts_apikey_audit() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
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
CREATE TRIGGER audit_insert AFTER INSERT ON accounts_apikey
   FOR EACH ROW EXECUTE FUNCTION accounts_apikey_audit();
CREATE TRIGGER audit_update AFTER UPDATE OF revoked_at ON accounts_apikey FOR EACH ROW
  WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL) EXECUTE FUNCTION accounts_apikey_audit();

-- A person's password, logins and second factors concern all accounts of which the person is a member.
CREATE FUNCTION accounts_audit_person(person bigint, email text, what text, more jsonb) RETURNS void
   LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM accounts_audit(account_id, what, 'person', person, email, NULL, more)
       FROM (SELECT account_id FROM accounts_member WHERE user_id = person
              UNION ALL
             SELECT NULL WHERE NOT EXISTS (SELECT FROM accounts_member WHERE user_id = person)) AS concerned;
END $$;

CREATE FUNCTION accounts_person_audit() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM accounts_audit_person(NEW.id, NEW.email, CASE
        WHEN NEW.password <> OLD.password
            THEN CASE current_setting('iris.password_by_link', true)
                 WHEN 'yes' THEN 'password_reset' ELSE 'password_changed' END
        WHEN NEW.is_active <> OLD.is_active
            THEN CASE WHEN NEW.is_active THEN 'person_activated' ELSE 'person_deactivated' END
        WHEN NEW.email <> OLD.email THEN 'email_changed'
        ELSE 'logins_ended' END, '{}');
    RETURN NULL;
END $$;
CREATE TRIGGER audit AFTER UPDATE OF password, is_active, email, token_version ON accounts_person FOR EACH ROW
  WHEN (current_setting('iris.same_password', true) IS DISTINCT FROM 'yes'
        AND (OLD.password, OLD.is_active, OLD.email, OLD.token_version)
            IS DISTINCT FROM (NEW.password, NEW.is_active, NEW.email, NEW.token_version))
  EXECUTE FUNCTION accounts_person_audit();

CREATE FUNCTION accounts_person_verified() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM accounts_audit_person(NEW.id, NEW.email, 'email_verified', '{}');
    RETURN NULL;
END $$;
CREATE TRIGGER audit_verified AFTER UPDATE OF is_verified_email ON accounts_person FOR EACH ROW
  WHEN (NEW.is_verified_email AND NOT OLD.is_verified_email) EXECUTE FUNCTION accounts_person_verified();
"""

UNWATCH_ACCOUNTS = """
DROP TRIGGER audit_verified ON accounts_person;
DROP TRIGGER audit ON accounts_person;
DROP TRIGGER audit_update ON accounts_apikey;
DROP TRIGGER audit_insert ON accounts_apikey;
DROP TRIGGER audit ON accounts_member;
DROP TRIGGER audit_update ON accounts_account;
DROP TRIGGER audit_insert ON accounts_account;
DROP FUNCTION accounts_person_verified();
DROP FUNCTION accounts_person_audit();
DROP FUNCTION accounts_audit_person(bigint, text, text, jsonb);
DROP FUNCTION accounts_apikey_audit();
DROP FUNCTION accounts_member_audit();
DROP FUNCTION accounts_account_audit();
"""

# Replaces the trigger on updates above, which knows only the settings of its time.
SETTINGS = (
    "approval_above", "approval_hours", "time_zone", "language", "default_voice", "default_caller", "default_services",
    "default_spending_limit", "announce_recording", "keep_messages_days", "keep_recordings_days", "keep_recipients_days",
    "retry", "calling_hours", "opt_out_words", "opt_out_key", "duplicates", "frequency_cap", "waves",
    "alerts_past_opt_outs", "low_credit_level",
)  # fmt: skip
# Those that the migrations 0015, 0018, 0020, 0022 and 0024 watched.
FIRST_SETTINGS, SETTINGS_WITH_RULES = SETTINGS[:12], SETTINGS[:14]
SETTINGS_WITH_OPT_OUTS, SETTINGS_WITH_LIMITS = SETTINGS[:16], SETTINGS[:19]
SETTINGS_WITH_ALERTS = SETTINGS[:20]


def watch_settings(names: tuple[str, ...]) -> str:
    """Return the SQL that logs changes of an account's name and of these settings."""
    return f"""
CREATE OR REPLACE FUNCTION accounts_account_audit() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    before jsonb;
    since jsonb;
    changed jsonb;
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM accounts_audit(NEW.id, 'account_created', 'account', NEW.id, NEW.name, NULL, '{{}}');
        RETURN NULL;
    END IF;
    IF NEW.is_suspended <> OLD.is_suspended THEN
        PERFORM accounts_audit(NEW.id, CASE WHEN NEW.is_suspended THEN 'account_suspended' ELSE 'account_restored' END,
                               'account', NEW.id, NEW.name, NULL, '{{}}');
    END IF;
    before := to_jsonb(OLD);
    since := to_jsonb(NEW);
    -- `off` stands for a setting without a value, because entries contain no nulls.
    SELECT jsonb_object_agg(one, CASE WHEN one = 'name' THEN jsonb_build_array(before->>one, since->>one)
               ELSE jsonb_build_array(coalesce(nullif(before->>one, ''), 'off'),
                                      coalesce(nullif(since->>one, ''), 'off')) END)
      INTO changed
      FROM unnest(ARRAY['name', {", ".join(f"'{name}'" for name in names)}]) AS one
     WHERE before->>one IS DISTINCT FROM since->>one;
    IF changed IS NOT NULL THEN
        PERFORM accounts_audit(NEW.id, 'settings_changed', 'account', NEW.id, NEW.name, NULL, changed);
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER audit_update AFTER UPDATE OF name, is_suspended, {", ".join(names)} ON accounts_account
   FOR EACH ROW EXECUTE FUNCTION accounts_account_audit();
"""


WATCH_FIRST_SETTINGS = watch_settings(FIRST_SETTINGS)
WATCH_SETTINGS_WITH_RULES = watch_settings(SETTINGS_WITH_RULES)
WATCH_SETTINGS_WITH_OPT_OUTS = watch_settings(SETTINGS_WITH_OPT_OUTS)
WATCH_SETTINGS_WITH_LIMITS = watch_settings(SETTINGS_WITH_LIMITS)
WATCH_SETTINGS_WITH_ALERTS = watch_settings(SETTINGS_WITH_ALERTS)
WATCH_SETTINGS = watch_settings(SETTINGS)
UNWATCH_SETTINGS = watch_settings(SETTINGS[:2])
