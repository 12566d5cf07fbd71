"""Why a campaign does not move, and what its buttons do, as sentences with numbers."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from campaigns.models import Campaign, RunStatus, Service
from campaigns.reports.why import Hold, Reason
from console.campaign_state import State
from console.numerals import grouped
from console.words_of_reasons import Explanation, explain

# What the status beside it says already, and what is said of a campaign only if nothing else is.
_SAID_BY_STATUS = frozenset({Hold.NOT_BEGUN, Hold.ENDED})


def of(state: State) -> list[Explanation]:
    """Return why the campaign does not move."""
    shown = [one for one in state.reasons if one.code not in _SAID_BY_STATUS]
    if len(shown) > 1:
        shown = [one for one in shown if one.code != Hold.IN_TURN]
    found = [explain(one) for one in shown]
    if state.failed_import is not None:
        sentence = _("The last sheet could not be imported. Correct it and upload it again.")
        found.append(Explanation(sentence=sentence, words=state.failed_import.message, is_bad=True))
    if not found and _waits_for_reports(state):
        sentence = _("All were sent. The carrier still has to report on %(count)s of them.")
        found.append(Explanation(sentence=sentence % {"count": grouped(state.figures.under_way)}))
    if state.run is not None and state.run.too_long:
        found.append(
            Explanation(
                sentence=_(
                    "%(count)s calls were not made, because their speech was longer than the credits on hold allow. "
                    "Nothing was charged for them. Send it again to those that failed."
                )
                % {"count": grouped(state.run.too_long)},
                is_bad=True,
            )
        )
    return found


def _waits_for_reports(state: State) -> bool:
    is_running = state.run is not None and state.run.status == RunStatus.RUNNING
    return is_running and state.figures.under_way > 0 and not state.figures.left


def of_recipient(reasons: list[Reason]) -> list[Explanation]:
    """Return what holds one person back, without what the page says already: the outcome, and the opt-out."""
    return [explain(one) for one in reasons if one.code not in _SAID_BY_STATUS | {Hold.OPTED_OUT}]


def action(campaign: Campaign, count: int) -> str:
    """Return what the button does that begins a run for so many people."""
    numbers = {"count": grouped(count)}
    match Service(campaign.service):
        case Service.SMS:
            return ngettext("Send %(count)s text message", "Send %(count)s text messages", count) % numbers
        case Service.BOTH:
            return (
                ngettext("Call and text %(count)s person", "Call and text %(count)s people", count) % numbers
            )
        case Service.SURVEY:
            return ngettext("Ask %(count)s person by phone", "Ask %(count)s people by phone", count) % numbers
    return ngettext("Call %(count)s person", "Call %(count)s people", count) % numbers
