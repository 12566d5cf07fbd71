"""Say in a plain English sentence what an entry of the audit log means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from accounts.actors import ActorKind
from accounts.models import AuditEntry

Details = Mapping[str, Any]
Predicate = str | Callable[[AuditEntry, Details], str]

OBJECT_KINDS = (
    "account", "campaign", "credits", "key", "list", "member", "number", "opt_out", "person", "recipient", "run", "sender",
    "sheet", "template", "webhook",
)  # fmt: skip

_SETTINGS = {
    "name": "the name",
    "approval_above": "the number of recipients above which runs need approval",
    "approval_hours": "the hours in which a run must be approved",
    "time_zone": "the time zone",
    "language": "the language",
    "default_voice": "the voice of new campaigns",
    "default_caller": "the caller number of new campaigns",
    "default_services": "the services of new campaigns",
    "default_spending_limit": "the credit limit of new campaigns",
    "low_credit_level": "the credits below which its people are warned",
    "retry": "the retries",
    "calling_hours": "the calling hours",
    "opt_out_words": "the words with which recipients opt out",
    "opt_out_key": "the offer to opt out by a key",
    "announce_recording": "the announcement that answers are recorded",
    "alerts_past_opt_outs": "whether urgent runs can reach people who have opted out",
    "keep_messages_days": "the days for which calls and SMS are kept",
    "keep_recordings_days": "the days for which recorded answers are kept",
    "keep_recipients_days": "the days for which recipients are kept",
}
_OPERATORS = {"ntc": "Nepal Telecom", "ncell": "Ncell", "smart": "Smart Telecom"}
_FIELDS = {
    "sms_message": "SMS message",
    "audio": "recording",
    "source": "choice between message and recording",
    "failover_statuses": "SMS after missed calls",
    "spending_limit": "credit limit",
    "caller_ids": "caller numbers",
    "schedule_at": "start time",
    "service": "services",
}


def sentence_of(entry: AuditEntry) -> str:
    """Return the sentence, such as “Sita Rai began the campaign “Meeting” for 1,200 recipients.”"""
    predicate = PREDICATES.get(entry.action)
    if predicate is None:  # an action of a later release, after a downgrade
        said = f"did “{entry.action}”"
    elif isinstance(predicate, str):
        said = predicate.format(name=f"“{entry.object_name}”" if entry.object_name else "without a name")
    else:
        said = predicate(entry, entry.details)
    return f"{actor_of(entry)} {said}."


def actor_of(entry: AuditEntry) -> str:
    """Return the subject of the sentence."""
    match entry.actor_kind:
        case ActorKind.PERSON:
            return entry.actor_name or entry.actor_email or "Somebody"
        case ActorKind.KEY:
            return f"The API key “{entry.actor_name}”"
        case ActorKind.OPERATOR:
            return f"The operator ({entry.actor_name})" if entry.actor_name else "The operator"
    return "Somebody who has not signed in" if entry.address else "The server"


def _many(count: Any, noun: str) -> str:
    number = int(count or 0)
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _campaign(entry: AuditEntry) -> str:
    return f"the campaign “{entry.object_name}”"


def _begun(entry: AuditEntry, details: Details) -> str:
    to = f"for {_many(details.get('recipients'), 'recipient')}"
    if details.get("trial"):
        return f"made a trial of {_campaign(entry)} {to}"
    if details.get("awaiting"):
        return f"asked to begin {_campaign(entry)} {to}, which needs approval{_urgently(details)}"
    if starts := details.get("starts_at"):
        return f"scheduled {_campaign(entry)} {to}, to start at {starts}{_urgently(details)}"
    return f"began {_campaign(entry)} {to}{_urgently(details)}"


def _urgently(details: Details) -> str:
    """Return what the sentence adds if the run is urgent: its reason, and whether it passes opt-outs."""
    if not (reason := details.get("urgent")):
        return ""
    passes = " and past opt-outs" if details.get("past_opt_outs") else ""
    return f", urgently{passes}, because: {str(reason).rstrip('.')}"


def _paused(entry: AuditEntry, details: Details) -> str:
    reason = details.get("reason")
    return f"paused {_campaign(entry)}" + (f", because: {str(reason).rstrip('.')}" if reason else "")


def _rejected(entry: AuditEntry, details: Details) -> str:
    reason = details.get("reason")
    return f"rejected the run of {_campaign(entry)}" + (f": {str(reason).rstrip('.')}" if reason else "")


def _changed(entry: AuditEntry, details: Details) -> str:
    fields = [_FIELDS.get(field, str(field)) for field in details.get("fields", ())]
    return f"changed {_campaign(entry)}: {', '.join(fields)}"


def _added(entry: AuditEntry, details: Details) -> str:
    return f"added {_many(details.get('recipients'), 'recipient')} to {_campaign(entry)}"


def _imported(entry: AuditEntry, details: Details) -> str:
    return (
        f"added {_many(details.get('recipients'), 'recipient')} from an uploaded sheet to {_campaign(entry)}"
    )


def _removed(entry: AuditEntry, details: Details) -> str:
    return f"removed {_many(details.get('recipients'), 'recipient')} from {_campaign(entry)}"


def _contacts(said: str) -> Predicate:
    def predicate(entry: AuditEntry, details: Details) -> str:
        return said.format(contacts=_many(details.get("contacts"), "contact"), name=f"“{entry.object_name}”")

    return predicate


def _money(said: str) -> Predicate:
    def predicate(entry: AuditEntry, details: Details) -> str:
        amount = Decimal(str(details.get("amount", 0)))
        why = f" ({details['note']})" if details.get("note") else ""
        return said.format(credits=f"{amount:,f} credit{'' if amount == 1 else 's'}") + why

    return predicate


def _member(said: str) -> Predicate:
    def predicate(entry: AuditEntry, details: Details) -> str:
        return said.format(name=entry.object_name, permissions=", ".join(details.get("permissions", ())))

    return predicate


def _settings(entry: AuditEntry, details: Details) -> str:
    return "changed settings: " + "; ".join(
        f"{_SETTINGS.get(name, name)} from {before} to {after}" for name, (before, after) in details.items()
    )


def _bought(entry: AuditEntry, details: Details) -> str:
    # An operator assigns a number in the admin pages, and the account pays nothing.
    verb = "assigned" if entry.actor_kind == ActorKind.OPERATOR else "bought"
    return f"{verb} the phone number {entry.object_name}"


def _sender(said: str) -> Predicate:
    def predicate(entry: AuditEntry, details: Details) -> str:
        reason = f", because: {str(details['reason']).rstrip('.')}" if details.get("reason") else ""
        name = f"“{entry.object_name}”"
        return (
            said.format(name=name, operator=_OPERATORS.get(details.get("operator", ""), "every operator"))
            + reason
        )

    return predicate


def _exported(entry: AuditEntry, details: Details) -> str:
    match details.get("what"):
        case "survey":
            return f"exported the survey responses of {_campaign(entry)}"
        case "contacts":
            return f"exported the contacts of {_campaign(entry)}"
        case "list":
            return f"exported the contacts of the list “{entry.object_name}”"
        case "statement":
            return f"exported the statement of credits from {details.get('first')} to {details.get('last')}"
        case "opt-outs":
            return "exported the opt-out list"
    return "exported the audit log"


def _key(entry: AuditEntry, details: Details) -> str:
    kind = "test key" if details.get("test") else "API key"
    return f"created the {kind} “{entry.object_name}” with the scopes {', '.join(details.get('scopes', ()))}"


def _key_revoked(entry: AuditEntry, details: Details) -> str:
    return f"revoked the {'test key' if details.get('test') else 'API key'} “{entry.object_name}”"


def _passkey(said: str) -> Predicate:
    def predicate(entry: AuditEntry, details: Details) -> str:
        return said.format(key=f"“{details.get('name', '')}”", name=f"“{entry.object_name}”")

    return predicate


def _sessions_ended(entry: AuditEntry, details: Details) -> str:
    return f"ended {_many(details.get('sessions'), 'other session')} of “{entry.object_name}”"


def _filled_up(entry: AuditEntry, details: Details) -> str:
    amount = Decimal(str(details.get("amount", 0)))
    return f"filled up the test twin “{entry.object_name}” with {amount:,f} credits"


def _support(entry: AuditEntry, details: Details) -> str:
    return (
        f"began to look at the account as its members see it, for {details.get('minutes')} minutes, "
        f"because: {str(details.get('reason', '')).rstrip('.')}"
    )


def _sign_in_failed(entry: AuditEntry, details: Details) -> str:
    return f"failed to sign in as {entry.object_name}"


def _opted_out(entry: AuditEntry, details: Details) -> str:
    numbers = entry.object_name or _many(details.get("numbers"), "number")
    return f"added {numbers} to the opt-out list"


def _seed_numbers(entry: AuditEntry, details: Details) -> str:
    return f"changed the seed numbers: {_many(details.get('after'), 'number')}"


def _trunk_paused(entry: AuditEntry, details: Details) -> str:
    reason = str(details.get("reason", "")).rstrip(".")
    return f"paused the trunk “{entry.object_name}”" + (f", because: {reason}" if reason else "")


def _trunk_pace(entry: AuditEntry, details: Details) -> str:
    pace = details.get("pace")
    to = "that of the carriers file" if pace == "default" else f"{pace} a second"
    return f"set the pace of the trunk “{entry.object_name}” to {to}"


PREDICATES: Mapping[str, Predicate] = {
    "signed_in": "signed in",
    "sign_in_failed": _sign_in_failed,
    "signed_out": "signed out",
    "logins_ended": "ended all logins of {name}",
    "password_changed": "changed the password of {name}",
    "password_reset": "set a new password of {name} with a link that was sent by e-mail",
    "sessions_ended": _sessions_ended,
    "app_added": "set up an authenticator app for {name}",
    "app_removed": "removed the authenticator app of {name}",
    "passkey_added": _passkey("added the passkey {key} of {name}"),
    "passkey_removed": _passkey("removed the passkey {key} of {name}"),
    "codes_created": "made new recovery codes for {name}",
    "email_verified": "verified the e-mail address {name}",
    "email_changed": "changed the e-mail address of a member to {name}",
    "person_activated": "activated {name}",
    "person_deactivated": "deactivated {name}",
    "account_created": "created the account {name}",
    "department_created": "created the department {name}",
    "twin_created": "created the test twin {name}",
    "twin_filled_up": _filled_up,
    "account_suspended": "suspended the account {name}",
    "account_restored": "ended the suspension of the account {name}",
    "settings_changed": _settings,
    "seed_numbers_changed": _seed_numbers,
    "member_added": _member("added {name} as a member: {permissions}"),
    "member_changed": _member("changed the permissions of {name} to: {permissions}"),
    "member_removed": _member("removed the member {name}"),
    "key_created": _key,
    "key_revoked": _key_revoked,
    "credits_added": _money("added {credits}"),
    "credits_charged": _money("spent {credits}"),
    "credits_sent": _money("moved {credits} to another account"),
    "credits_received": _money("moved {credits} here from another account"),
    "number_bought": _bought,
    "number_released": "released the phone number {name}",
    "number_retired": "withdrew the phone number {name}",
    "sender_requested": _sender("requested the sender {name} for SMS to {operator}"),
    "sender_approved": _sender("approved the sender {name} for SMS to {operator}"),
    "sender_refused": _sender("refused the sender {name} for SMS to {operator}"),
    "sender_removed": _sender("removed the sender {name} for SMS to {operator}"),
    "trunk_paused": _trunk_paused,
    "trunk_resumed": "resumed the trunk {name}",
    "trunk_pace_set": _trunk_pace,
    "campaign_created": "created the campaign {name}",
    "campaign_changed": _changed,
    "campaign_deleted": "deleted the campaign {name}",
    "recipients_added": _added,
    "recipients_removed": _removed,
    "recipients_imported": _imported,
    "recipient_changed": "changed a recipient of the campaign {name}",
    "sheet_uploaded": "uploaded a sheet of recipients for the campaign {name}",
    "import_failed": "could not import a sheet into the campaign {name}",
    "list_created": "created the list {name}",
    "list_changed": "changed the name or the description of the list {name}",
    "list_sheet_uploaded": "uploaded a sheet of contacts for the list {name}",
    "list_import_failed": "could not import a sheet into the list {name}",
    "list_deleted": _contacts("deleted the list {name} with {contacts}"),
    "contacts_added": _contacts("added {contacts} to the list {name}"),
    "contacts_removed": _contacts("removed {contacts} from the list {name}"),
    "template_created": "created the template {name}",
    "template_renamed": "renamed a template to {name}",
    "template_changed": lambda entry, details: (
        f"changed the words of the template “{entry.object_name}”, which now has the version {details.get('version')}"
    ),
    "template_deleted": "deleted the template {name}",
    "survey_changed": "changed the steps of the survey {name}",
    "run_begun": _begun,
    "run_paused": _paused,
    "run_resumed": "resumed the campaign {name}",
    "wave_begun": "let the next wave of the campaign {name} begin",
    "run_stopped": "stopped the campaign {name}",
    "run_withdrawn": "withdrew the run of the campaign {name} that had not started",
    "run_approved": "approved the run of the campaign {name}",
    "run_rejected": _rejected,
    "run_expired": "ended the run of the campaign {name}, because nobody approved it in time",
    "exported": _exported,
    "support_began": _support,
    "support_ended": "stopped looking at the account",
    "person_exported": "asked for an export of a person's data",
    "person_erased": "asked to erase a person's data",
    "webhook_created": "created the webhook {name}",
    "webhook_changed": "changed the webhook {name}",
    "webhook_rotated": "gave the webhook {name} a new secret",
    "webhook_deleted": "deleted the webhook {name}",
    "webhook_disabled": "switched off the webhook {name}, because its server asked to stop",
    "webhook_replayed": "sent events again to the webhook {name}",
    "opt_outs_added": _opted_out,
    "opt_out_removed": lambda entry, details: f"removed {entry.object_name} from the opt-out list",
}
ACTIONS = tuple(PREDICATES)
