"""Say in the language of the person what went wrong: the errors of the domain, as sentences and as pages.

Domain errors have a stable code and an English sentence. The sentences here are for the codes that pages can meet. An
error with another code is shown in English, which is better than not at all.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.functional import Promise
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from console.render import render_page
from iris.api.exceptions import explain
from iris.errors import IrisError
from iris.languages import ENGLISH

SENTENCES: dict[str, Promise] = {
    "account_suspended": _("This account is suspended. Ask the operator of this server."),
    "approval_expired": _(
        "The time to approve this run is over, so it does not start. Begin the campaign again."
    ),
    "approval_outdated": _("The campaign was changed since you opened this page. Look at it again."),
    "campaign_live": _(
        "This campaign is running or waits to start. Stop it first, or wait until it is done."
    ),
    "empty_list": _("This list has no people. Add some to it, or choose another list."),
    "importing": _("A sheet is being imported here. Wait until it is done."),
    "insufficient_credits": _(
        "The account has too few credits for this. Ask for a top-up, or choose fewer people."
    ),
    "invalid_number": _("This is not a phone number. Write 7 to 15 digits, such as 9841234567."),
    "exceeds_own_permissions": _(
        "You cannot give permissions that you do not have, nor change people who have more."
    ),
    "last_owner": _("This is the only owner of the account. Make another person an owner first."),
    "live_account_needed": _("This is a test account, which does not have this page."),
    "message_too_long": _("The message is too long. Shorten it."),
    "missing_permission": _(
        "You do not have the permission for this in this account. Ask one of its owners."
    ),
    "not_a_member": _("You are not a member of this account. Choose one of your accounts."),
    "not_awaiting_approval": _("Nothing waits for approval here any more. Look at the campaign again."),
    "not_found": _("This does not exist, or belongs to another account."),
    "not_in_that_state": _("The campaign is in another state by now, so nothing was changed."),
    "only_a_visit": _("You look at this account as the operator, so you can only read."),
    "second_factor_needed": _(
        "Set up two-step sign-in first. Only then can you look at an account as its members do."
    ),
    "too_many_reports": _("Too many reports are being prepared. Wait until one of them is ready."),
    "too_many_entries": _("These are too many entries for one file. Choose fewer days."),
    "own_run": _("You began this run or changed it, so another person must approve it."),
    "quota_used": _("This account has listened to enough samples for today. Try again tomorrow."),
    "too_many_tags": _("A campaign cannot have so many columns. Choose another list, or remove columns."),
    "too_many_lines": _("This statement would be too long. Choose fewer days."),
    "too_many_webhooks": _("The account has as many webhooks as it may have. Delete one of them first."),
    "webhook_disabled": _("This webhook is switched off. Switch it on first."),
    "unavailable": _("This server cannot do that at the moment. Try again in a few seconds."),
    "unknown_caller": _("The account no longer has this phone number. Choose another one."),
    "unknown_tag": _("The message uses a tag that the list of people does not have."),
}


def sentence_of(error: IrisError) -> str:
    """Return what to tell a person about an error: the domain's own sentence in English, ours in other languages."""
    known = SENTENCES.get(error.code)
    if known is None or get_language() == ENGLISH:
        return error.message
    return str(known)


def error_page(request: HttpRequest, error: IrisError) -> HttpResponse:
    """Return the page that says why a page cannot be shown, with the status that the API would answer with."""
    failure = explain(error)
    status = 500 if failure is None else failure.status
    response = render_page(request, "console/error.html", {"sentence": sentence_of(error)}, status=status)
    for name, value in ({} if failure is None else failure.headers).items():
        response.headers[name] = value
    return response
