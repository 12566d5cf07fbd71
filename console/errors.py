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
    "delay_too_long": _(
        "The last try would come more than 7 days later. Choose fewer minutes or fewer tries."
    ),
    "campaign_live": _(
        "This campaign is running or waits to start. Stop it first, or wait until it is done."
    ),
    "days_in_wrong_order": _("The first day is after the last one. Swap them."),
    "days_out_of_range": _("These days are too far away. Choose others."),
    "empty_list": _("This list has no people. Add some to it, or choose another list."),
    "hours_reversed": _(
        "The first time must be before the second. Hours over midnight are two lines, until 24:00 and from 00:00."
    ),
    "importing": _("A sheet is being imported here. Wait until it is done."),
    "insufficient_credits": _(
        "The account has too few credits for this. Ask for a top-up, or choose fewer people."
    ),
    "invalid_number": _("This is not a phone number. Write 7 to 15 digits, such as 9841234567."),
    "exceeds_own_permissions": _(
        "You cannot give permissions that you do not have, nor change people who have more."
    ),
    "invalid_sender": _(
        "Phones cannot show this sender, or it is not yours. Write a name of up to 11 Latin letters and digits, a phone"
        " number of yours with its country code, or a short code of 3 to 6 digits."
    ),
    "keyword_of_both": _("This word already has the other meaning."),
    "last_owner": _("This is the only owner of the account. Make another person an owner first."),
    "live_account_needed": _("This is a test account, which does not have this page."),
    "message_too_long": _("The message is too long. Shorten it."),
    "missing_permission": _(
        "You do not have the permission for this in this account. Ask one of its owners."
    ),
    "call_ended": _("This call has ended, so nobody can press a key any more."),
    "no_hours": _("Fill in at least one line."),
    "no_outcome": _("Fill in the minutes of at least one outcome."),
    "no_valid_number": _("None of the numbers is a phone number."),
    "no_valid_row": _(
        "The sheet has no row with a valid phone number. Put the numbers into its first column, or into a column with the"
        " heading number."
    ),
    "no_waves": _("Write the number of people of each wave, such as 100, 1000."),
    "not_a_date": _("This is not a date. Write it as 2083-07-22 (BS) or 2026-11-08 (AD)."),
    "not_a_keyword": _("A word for opting out has 1 to 3 words and at most 40 letters."),
    "not_a_time": _("This is not a time. Write it as 09:00, up to 24:00."),
    "not_waiting": _("The campaign does not wait for its next wave any more. Look at it again."),
    "opt_outs_hold": _(
        "The settings of this account do not let urgent campaigns reach people who have opted out."
    ),
    "wave_size": _("A wave has from 1 to 10,000,000 people."),
    "not_a_member": _("You are not a member of this account. Choose one of your accounts."),
    "not_awaiting_approval": _("Nothing waits for approval here any more. Look at the campaign again."),
    "not_related": _("Credits can move only between an account and its own departments."),
    "not_found": _("This does not exist, or belongs to another account."),
    "not_in_that_state": _("The campaign is in another state by now, so nothing was changed."),
    "only_a_visit": _("You look at this account as the operator, so you can only read."),
    "second_factor_needed": _(
        "Set up two-step sign-in first. Only then can you look at an account as its members do."
    ),
    "too_many_days": _("These are more than 366 days. Choose fewer."),
    "sender_exists": _("You have asked for this sender already. The list shows its state."),
    "too_many_senders": _("These are too many senders and requests. Remove those that you do not use."),
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
