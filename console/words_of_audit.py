"""The audit log in the language of the person. `accounts.audit_sentences` says the same in English, for the API."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext_lazy, pgettext_lazy

from accounts.actors import ActorKind
from accounts.audit_sentences import sentence_of as english_sentence_of
from accounts.models import AuditEntry
from accounts.permissions import Permission
from console.numerals import grouped, in_digits
from console.vocabulary import OPERATORS
from console.words_of_people import PERMISSIONS
from console.words_of_rules import TITLES
from console.words_of_settings import SETTINGS, shown_setting
from telephony.numbering import Operator

OBJECTS: dict[str, Promise] = {
    "account": pgettext_lazy("audit", "The account and its settings"),
    "campaign": pgettext_lazy("audit", "Campaigns"),
    "credits": pgettext_lazy("audit", "Credits"),
    "key": pgettext_lazy("audit", "API keys"),
    "list": pgettext_lazy("audit", "Lists"),
    "member": pgettext_lazy("audit", "Members"),
    "number": pgettext_lazy("audit", "Phone numbers"),
    "person": pgettext_lazy("audit", "Sign-ins"),
    "recipient": pgettext_lazy("audit", "People of campaigns"),
    "opt_out": pgettext_lazy("audit", "Opt-outs"),
    "run": pgettext_lazy("audit", "Sending"),
    "sender": pgettext_lazy("audit", "Senders"),
    "sheet": pgettext_lazy("audit", "Uploaded sheets"),
    "template": pgettext_lazy("audit", "Templates"),
    "webhook": pgettext_lazy("audit", "Webhooks"),
}

NUMBER = "number"  # of the values of a sentence: which of its two forms is used

# Actions whose details decide about the sentence have several, named action:variant.
SENTENCES: dict[str, Promise] = {
    "signed_in": gettext_lazy("%(who)s signed in."),
    "sign_in_failed": gettext_lazy("%(who)s failed to sign in as %(name)s."),
    "signed_out": gettext_lazy("%(who)s signed out."),
    "logins_ended": gettext_lazy("%(who)s ended all logins of %(name)s."),
    "password_changed": gettext_lazy("%(who)s changed the password of %(name)s."),
    "password_reset": gettext_lazy("%(who)s set a new password of %(name)s with a link from an e-mail."),
    "sessions_ended": ngettext_lazy(
        "%(who)s ended %(count)s other session of %(name)s.",
        "%(who)s ended %(count)s other sessions of %(name)s.",
        NUMBER,
    ),
    "app_added": gettext_lazy("%(who)s set up an authenticator app for %(name)s."),
    "app_removed": gettext_lazy("%(who)s removed the authenticator app of %(name)s."),
    "passkey_added": gettext_lazy("%(who)s added the passkey “%(key)s” of %(name)s."),
    "passkey_removed": gettext_lazy("%(who)s removed the passkey “%(key)s” of %(name)s."),
    "codes_created": gettext_lazy("%(who)s made new recovery codes for %(name)s."),
    "email_verified": gettext_lazy("%(who)s verified the e-mail address %(name)s."),
    "email_changed": gettext_lazy("%(who)s changed the e-mail address of a member to %(name)s."),
    "person_activated": gettext_lazy("%(who)s activated %(name)s."),
    "person_deactivated": gettext_lazy("%(who)s switched %(name)s off."),
    "account_created": gettext_lazy("%(who)s created the account %(name)s."),
    "department_created": gettext_lazy("%(who)s created the department %(name)s."),
    "twin_created": gettext_lazy("%(who)s created the test account %(name)s."),
    "twin_filled_up": gettext_lazy("%(who)s filled up the test account with %(credits)s credits."),
    "account_suspended": gettext_lazy("%(who)s suspended the account %(name)s."),
    "account_restored": gettext_lazy("%(who)s ended the suspension of the account %(name)s."),
    "settings_changed": gettext_lazy("%(who)s changed settings."),
    "member_added": gettext_lazy("%(who)s added the member %(name)s, who may %(permissions)s."),
    "member_changed": gettext_lazy(
        "%(who)s changed the permissions of %(name)s, who now may %(permissions)s."
    ),
    "member_removed": gettext_lazy("%(who)s removed the member %(name)s."),
    "key_created": gettext_lazy("%(who)s created the API key %(name)s, which may %(permissions)s."),
    "key_created:test": gettext_lazy("%(who)s created the test key %(name)s, which may %(permissions)s."),
    "key_revoked": gettext_lazy("%(who)s revoked the API key %(name)s."),
    "key_revoked:test": gettext_lazy("%(who)s revoked the test key %(name)s."),
    "credits_added": gettext_lazy("%(who)s added %(credits)s credits."),
    "credits_charged": gettext_lazy("%(who)s spent %(credits)s credits."),
    "credits_sent": gettext_lazy("%(who)s moved %(credits)s credits to another account."),
    "credits_received": gettext_lazy("%(who)s moved %(credits)s credits here from another account."),
    "number_bought": gettext_lazy("%(who)s bought the phone number %(name)s."),
    "number_bought:operator": gettext_lazy("%(who)s assigned the phone number %(name)s."),
    "number_released": gettext_lazy("%(who)s released the phone number %(name)s."),
    "number_retired": gettext_lazy("%(who)s withdrew the phone number %(name)s."),
    "sender_requested": gettext_lazy(
        "%(who)s asked for the sender %(name)s for text messages to %(operator)s."
    ),
    "sender_approved": gettext_lazy(
        "%(who)s approved the sender %(name)s for text messages to %(operator)s."
    ),
    "sender_refused": gettext_lazy("%(who)s refused the sender %(name)s for text messages to %(operator)s."),
    "sender_removed": gettext_lazy("%(who)s removed the sender %(name)s for text messages to %(operator)s."),
    "campaign_created": gettext_lazy("%(who)s created the campaign %(name)s."),
    "campaign_changed": gettext_lazy("%(who)s changed the campaign %(name)s."),
    "campaign_deleted": gettext_lazy("%(who)s deleted the campaign %(name)s."),
    "recipients_added": ngettext_lazy(
        "%(who)s added %(count)s person to the campaign %(name)s.",
        "%(who)s added %(count)s people to the campaign %(name)s.",
        NUMBER,
    ),
    "recipients_removed": ngettext_lazy(
        "%(who)s removed %(count)s person from the campaign %(name)s.",
        "%(who)s removed %(count)s people from the campaign %(name)s.",
        NUMBER,
    ),
    "recipients_imported": ngettext_lazy(
        "%(who)s added %(count)s person from a sheet to the campaign %(name)s.",
        "%(who)s added %(count)s people from a sheet to the campaign %(name)s.",
        NUMBER,
    ),
    "recipient_changed": gettext_lazy("%(who)s changed a person of the campaign %(name)s."),
    "sheet_uploaded": gettext_lazy("%(who)s uploaded a sheet for the campaign %(name)s."),
    "import_failed": gettext_lazy("%(who)s could not import a sheet into the campaign %(name)s."),
    "list_created": gettext_lazy("%(who)s created the list %(name)s."),
    "list_changed": gettext_lazy("%(who)s changed the name or the note of the list %(name)s."),
    "list_sheet_uploaded": gettext_lazy("%(who)s uploaded a sheet for the list %(name)s."),
    "list_import_failed": gettext_lazy("%(who)s could not import a sheet into the list %(name)s."),
    "list_deleted": ngettext_lazy(
        "%(who)s deleted the list %(name)s with %(count)s person.",
        "%(who)s deleted the list %(name)s with %(count)s people.",
        NUMBER,
    ),
    "contacts_added": ngettext_lazy(
        "%(who)s added %(count)s person to the list %(name)s.",
        "%(who)s added %(count)s people to the list %(name)s.",
        NUMBER,
    ),
    "contacts_removed": ngettext_lazy(
        "%(who)s removed %(count)s person from the list %(name)s.",
        "%(who)s removed %(count)s people from the list %(name)s.",
        NUMBER,
    ),
    "template_created": gettext_lazy("%(who)s created the template %(name)s."),
    "template_renamed": gettext_lazy("%(who)s renamed a template to %(name)s."),
    "template_changed": gettext_lazy("%(who)s changed the words of the template %(name)s."),
    "template_deleted": gettext_lazy("%(who)s deleted the template %(name)s."),
    "survey_changed": gettext_lazy("%(who)s changed the questions of %(name)s."),
    "run_begun": ngettext_lazy(
        "%(who)s sent the campaign %(name)s to %(count)s person.",
        "%(who)s sent the campaign %(name)s to %(count)s people.",
        NUMBER,
    ),
    "run_begun:trial": gettext_lazy("%(who)s made a trial of the campaign %(name)s."),
    "run_begun:awaiting": ngettext_lazy(
        "%(who)s asked to send the campaign %(name)s to %(count)s person, which needs approval.",
        "%(who)s asked to send the campaign %(name)s to %(count)s people, which needs approval.",
        NUMBER,
    ),
    "run_begun:scheduled": ngettext_lazy(
        "%(who)s scheduled the campaign %(name)s for %(count)s person.",
        "%(who)s scheduled the campaign %(name)s for %(count)s people.",
        NUMBER,
    ),
    "run_paused": gettext_lazy("%(who)s paused the campaign %(name)s."),
    "run_resumed": gettext_lazy("%(who)s resumed the campaign %(name)s."),
    "run_stopped": gettext_lazy("%(who)s stopped the campaign %(name)s."),
    "run_withdrawn": gettext_lazy("%(who)s withdrew the campaign %(name)s before it started."),
    "run_approved": gettext_lazy("%(who)s approved the campaign %(name)s."),
    "run_rejected": gettext_lazy("%(who)s rejected the campaign %(name)s."),
    "run_expired": gettext_lazy("%(who)s ended the campaign %(name)s, because nobody approved it in time."),
    "exported:survey": gettext_lazy("%(who)s downloaded the answers to %(name)s."),
    "exported:contacts": gettext_lazy("%(who)s downloaded the people of the campaign %(name)s."),
    "exported:list": gettext_lazy("%(who)s downloaded the people of the list %(name)s."),
    "exported:statement": gettext_lazy("%(who)s downloaded the statement of credits."),
    "exported": gettext_lazy("%(who)s downloaded the audit log."),
    "wave_begun": gettext_lazy("%(who)s let the next wave of the campaign %(name)s begin."),
    "seed_numbers_changed": ngettext_lazy(
        "%(who)s changed the seed numbers. There is %(count)s now.",
        "%(who)s changed the seed numbers. There are %(count)s now.",
        NUMBER,
    ),
    "webhook_created": gettext_lazy("%(who)s created the webhook %(name)s."),
    "webhook_changed": gettext_lazy("%(who)s changed the webhook %(name)s."),
    "webhook_rotated": gettext_lazy("%(who)s gave the webhook %(name)s a new secret."),
    "webhook_deleted": gettext_lazy("%(who)s deleted the webhook %(name)s."),
    "webhook_disabled": gettext_lazy("%(who)s switched off the webhook %(name)s."),
    "webhook_replayed": ngettext_lazy(
        "%(who)s sent %(count)s event again to the webhook %(name)s.",
        "%(who)s sent %(count)s events again to the webhook %(name)s.",
        NUMBER,
    ),
    "opt_outs_added": ngettext_lazy(
        "%(who)s added %(count)s number to the opt-out list.",
        "%(who)s added %(count)s numbers to the opt-out list.",
        NUMBER,
    ),
    "opt_outs_added:one": gettext_lazy("%(who)s added the number %(name)s to the opt-out list."),
    "opt_out_removed": gettext_lazy("%(who)s removed the number %(name)s from the opt-out list."),
    "trunk_paused": gettext_lazy("%(who)s paused the trunk %(name)s."),
    "trunk_resumed": gettext_lazy("%(who)s resumed the trunk %(name)s."),
    "trunk_pace_set": gettext_lazy("%(who)s set the pace of the trunk %(name)s to %(pace)s a second."),
    "trunk_pace_set:default": gettext_lazy(
        "%(who)s set the pace of the trunk %(name)s to that of the carriers file."
    ),
    "support_began": gettext_lazy("%(who)s began to look at this account as its members see it."),
    "support_ended": gettext_lazy("%(who)s stopped looking at this account."),
    "person_exported": gettext_lazy("%(who)s asked for an export of a person's data."),
    "person_erased": gettext_lazy("%(who)s asked to erase a person's data."),
}


def sentence_of(entry: AuditEntry) -> str:
    """Return the sentence; an action of a later release, after a downgrade, is described in English."""
    sentence: Any = SENTENCES.get(_key(entry))
    if sentence is None:
        return english_sentence_of(entry)
    details = entry.details
    count = _count(details)
    said: str = sentence % {
        "who": actor_of(entry),
        "name": f"“{entry.object_name}”" if entry.object_name else _("without a name"),
        "key": details.get("name", ""),
        "count": grouped(count),
        NUMBER: count,
        "credits": grouped(_amount(details)),
        "permissions": ", ".join(_permissions(details)),
        "operator": _operator(details),
        "pace": in_digits(str(details.get("pace", ""))),
    }
    return said


def actor_of(entry: AuditEntry) -> str:
    """Return who acted."""
    name = {"name": entry.actor_name}
    match entry.actor_kind:
        case ActorKind.PERSON:
            return entry.actor_name or entry.actor_email or _("Somebody")
        case ActorKind.KEY:
            return _("The API key “%(name)s”") % name
        case ActorKind.OPERATOR:
            return _("The operator (%(name)s)") % name if entry.actor_name else _("The operator")
    return _("Somebody who has not signed in") if entry.address else _("The server")


def changes_of(entry: AuditEntry) -> list[str]:
    """Return what a change of settings changed, one sentence for each setting; of an urgent campaign, why it is urgent."""
    if entry.action == "run_begun" and entry.details.get("urgent"):
        return [_urgency_of(entry.details)]
    if entry.action != "settings_changed":
        return []
    return [
        _("%(setting)s: %(after)s (before: %(before)s)")
        % {
            "setting": SETTINGS.get(name, name),
            "after": shown_setting(name, after),
            "before": shown_setting(name, before),
        }
        for name, (before, after) in entry.details.items()
    ]


def _urgency_of(details: Mapping[str, Any]) -> str:
    said = f"{TITLES['urgent']}: “{details['urgent']}”"
    return (
        f"{said} {_('It also reaches people who have opted out.')}" if details.get("past_opt_outs") else said
    )


def reason_of(entry: AuditEntry) -> str:
    """Return the words that somebody gave as the reason, or that the server did, in English."""
    return str(entry.details.get("reason") or entry.details.get("note") or "")


def _key(entry: AuditEntry) -> str:
    details = entry.details
    variant = ""
    match entry.action:
        case "key_created" | "key_revoked" if details.get("test"):
            variant = "test"
        case "number_bought" if entry.actor_kind == ActorKind.OPERATOR:
            variant = "operator"
        case "opt_outs_added" if entry.object_name:
            variant = "one"
        case "trunk_pace_set" if details.get("pace") == "default":
            variant = "default"
        case "run_begun":
            chosen = ("trial", "awaiting", "starts_at")
            variant = next((name for name in chosen if details.get(name)), "").replace(
                "starts_at", "scheduled"
            )
        case "exported" if details.get("what") in ("survey", "contacts", "list", "statement"):
            variant = str(details["what"])
    return f"{entry.action}:{variant}" if variant else entry.action


def _count(details: Mapping[str, Any]) -> int:
    known = ("recipients", "contacts", "sessions", "numbers", "after", "events")
    return next((int(details[name]) for name in known if details.get(name)), 0)


def _amount(details: Mapping[str, Any]) -> Decimal:
    try:
        return Decimal(str(details.get("amount") or 0))
    except InvalidOperation:
        return Decimal(0)


def _permissions(details: Mapping[str, Any]) -> list[str]:
    given = details.get("permissions") or details.get("scopes") or ()
    if "owner" in given:
        return [_("do everything, as an owner")]
    known = set(Permission)
    return [str(PERMISSIONS[Permission(one)]) if one in known else str(one) for one in given]


def _operator(details: Mapping[str, Any]) -> str:
    name = str(details.get("operator") or "").upper()
    return str(OPERATORS[Operator[name]]) if name in Operator.__members__ else _("every operator")
