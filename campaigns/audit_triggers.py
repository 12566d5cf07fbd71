"""SQL for a migration: the triggers that log changes of campaigns, runs and imports (`accounts.audit_triggers`).

Recipients have no trigger: each change of recipients in a set also changes the count in their campaign, once. A run's
cursor, a campaign's tag sizes and everything else that workers write while they send or import are not among the named
columns.
"""

FIELDS = (
    "name", "service", "description", "message", "sms_message", "voice", "speed", "audio_id", "source",
    "failover_statuses", "spending_limit", "caller_ids", "schedule_at", "draft", "rules",
)  # fmt: skip
# Those that the migration 0023 watched.
FIRST_FIELDS = FIELDS[:14]


def _watch_runs(reason: str, *, begun: str = "") -> str:
    """Return the SQL of the function that logs changes of runs. `reason` is the SQL of the reason why a run is paused.

    `begun` is the SQL of further details of a run that begins, each as a name and a value.
    """
    return f"""
-- What people decide. That a run starts at its time, ends, or finishes its stop, follows from that and is not logged.
CREATE OR REPLACE FUNCTION campaigns_run_audit() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    what text;
    more jsonb := jsonb_build_object('run', NEW.id);
BEGIN
    IF TG_OP = 'INSERT' THEN
        what := 'run_begun';
        more := more || jsonb_build_object('recipients', NEW.recipient_count,{begun}
            'trial', CASE WHEN NEW.trial THEN true END,
            'awaiting', CASE WHEN NEW.status = 'awaiting' THEN true END,
            'starts_at', CASE WHEN NEW.starts_at > statement_timestamp() THEN NEW.starts_at END);
    ELSIF NEW.status = 'stopping' THEN
        what := 'run_stopped';
    ELSIF NEW.status = 'paused' THEN
        what := 'run_paused';
        more := more || jsonb_build_object('reason', nullif({reason}, ''));
    ELSIF OLD.status = 'paused' THEN
        what := 'run_resumed';
    ELSIF OLD.status = 'awaiting' AND NEW.status IN ('scheduled', 'running') THEN
        what := 'run_approved';
        more := more || jsonb_build_object('recipients', NEW.recipient_count);
    ELSIF NEW.status = 'withdrawn' THEN
        what := CASE NEW.not_started WHEN 'rejected' THEN 'run_rejected' WHEN 'expired' THEN 'run_expired'
                ELSE 'run_withdrawn' END;
        more := more || jsonb_build_object('reason', nullif(NEW.rejection, ''));
    ELSE
        RETURN NULL;
    END IF;
    PERFORM accounts_audit(owner_id, what, 'run', NEW.id, name, id, more)
       FROM campaigns_campaign WHERE id = NEW.campaign_id;
    RETURN NULL;
END $$;
"""


def watch_campaigns(fields: tuple[str, ...]) -> str:
    """Return the SQL that logs changes of these fields of campaigns."""
    changed = ",\n".join(
        f"        CASE WHEN NEW.{field} IS DISTINCT FROM OLD.{field} THEN '{field.removesuffix('_id')}' END"
        for field in fields
    )
    new, old = (", ".join(f"{row}.{field}" for field in fields) for row in ("NEW", "OLD"))
    return f"""
CREATE OR REPLACE FUNCTION campaigns_campaign_audit() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    more jsonb := '{{}}';
    what text := 'campaign_changed';
BEGIN
    IF TG_OP = 'INSERT' THEN
        what := 'campaign_created';
    ELSIF NEW.deleted_at IS NOT NULL AND OLD.deleted_at IS NULL THEN
        what := 'campaign_deleted';
    ELSE
        -- Only the names of the fields, because the log contains no message texts.
        more := jsonb_build_object('fields', to_jsonb(array_remove(ARRAY[
{changed}], NULL)));
    END IF;
    PERFORM accounts_audit(NEW.owner_id, what, 'campaign', NEW.id, NEW.name, NEW.id, more);
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER audit_update AFTER UPDATE OF {", ".join(fields)}, deleted_at ON campaigns_campaign FOR EACH ROW
  WHEN (({new}) IS DISTINCT FROM ({old})
        OR (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL))
  EXECUTE FUNCTION campaigns_campaign_audit();
"""


WATCH_FIRST_FIELDS = watch_campaigns(FIRST_FIELDS)
WATCH_FIELDS = watch_campaigns(FIELDS)

WATCH = (
    WATCH_FIRST_FIELDS
    + """
CREATE TRIGGER audit_insert AFTER INSERT ON campaigns_campaign
   FOR EACH ROW EXECUTE FUNCTION campaigns_campaign_audit();

-- A background import changes the count in each of its chunks. It is logged once, when it ends.
CREATE FUNCTION campaigns_recipients_audit() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF current_setting('iris.importing', true) = 'yes' OR (NEW.number_count > OLD.number_count AND EXISTS (
           SELECT FROM campaigns_sheetimport WHERE campaign_id = NEW.id AND status = 'importing')) THEN
        RETURN NULL;
    END IF;
    PERFORM accounts_audit(NEW.owner_id,
        CASE WHEN NEW.number_count > OLD.number_count THEN 'recipients_added' ELSE 'recipients_removed' END,
        'campaign', NEW.id, NEW.name, NEW.id,
        jsonb_build_object('recipients', abs(NEW.number_count - OLD.number_count), 'total', NEW.number_count));
    RETURN NULL;
END $$;
CREATE TRIGGER audit_recipients AFTER UPDATE OF number_count ON campaigns_campaign FOR EACH ROW
  WHEN (OLD.number_count <> NEW.number_count) EXECUTE FUNCTION campaigns_recipients_audit();

CREATE FUNCTION campaigns_sheetimport_audit() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM accounts_audit(owner_id,
        CASE WHEN TG_OP = 'INSERT' THEN 'sheet_uploaded'
             WHEN NEW.status = 'done' THEN 'recipients_imported' ELSE 'import_failed' END,
        'sheet', NEW.id, name, id, CASE WHEN TG_OP = 'UPDATE' AND NEW.status = 'done'
            THEN jsonb_build_object('recipients', NEW.imported, 'total', number_count) ELSE '{}' END)
       FROM campaigns_campaign WHERE id = NEW.campaign_id;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_insert AFTER INSERT ON campaigns_sheetimport
   FOR EACH ROW EXECUTE FUNCTION campaigns_sheetimport_audit();
CREATE TRIGGER audit_update AFTER UPDATE OF status ON campaigns_sheetimport FOR EACH ROW
  WHEN (OLD.status = 'importing' AND NEW.status <> 'importing') EXECUTE FUNCTION campaigns_sheetimport_audit();

"""
    + _watch_runs("NEW.pause_reason")
    + """
CREATE TRIGGER audit_insert AFTER INSERT ON campaigns_run
   FOR EACH ROW EXECUTE FUNCTION campaigns_run_audit();
CREATE TRIGGER audit_update AFTER UPDATE OF status ON campaigns_run FOR EACH ROW
  WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION campaigns_run_audit();
"""
)

UNWATCH = """
DROP TRIGGER audit_update ON campaigns_run;
DROP TRIGGER audit_insert ON campaigns_run;
DROP TRIGGER audit_update ON campaigns_sheetimport;
DROP TRIGGER audit_insert ON campaigns_sheetimport;
DROP TRIGGER audit_recipients ON campaigns_campaign;
DROP TRIGGER audit_update ON campaigns_campaign;
DROP TRIGGER audit_insert ON campaigns_campaign;
DROP FUNCTION campaigns_run_audit();
DROP FUNCTION campaigns_sheetimport_audit();
DROP FUNCTION campaigns_recipients_audit();
DROP FUNCTION campaigns_campaign_audit();
"""

# The log contains no message texts, but a reason may quote a text that could not be spoken.
QUOTE_NOTHING = _watch_runs("regexp_replace(NEW.pause_reason, '“[^”]*”', '“…”', 'g')")
QUOTE = _watch_runs("NEW.pause_reason")
# Also logs why a run is urgent.
WATCH_URGENT_RUNS = _watch_runs(
    "regexp_replace(NEW.pause_reason, '“[^”]*”', '“…”', 'g')",
    begun="""
            'urgent', NEW.rules #>> '{urgent,reason}',
            'past_opt_outs', CASE WHEN NEW.rules @> '{"urgent": {"past_opt_outs": true}}' THEN true END,""",
)
