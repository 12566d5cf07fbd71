"""Why a campaign does not move, and what its buttons do, as sentences with numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from campaigns.models import Campaign, Service
from campaigns.reports.hindrances import Hindrance, Kind
from console.campaign_state import State
from console.numerals import grouped
from iris import health


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """A sentence, with the words of the server or the carrier in English if there are some, and a moment."""

    sentence: str
    words: str = ""
    at: datetime | None = None
    is_bad: bool = False


def of(state: State) -> list[Explanation]:
    """Return why the campaign does not move. Takes one query while it should move."""
    found = [_explain(one) for one in state.hindrances]
    if state.polls and not health.worker_is_alive():
        sentence = _(
            "The part of this server that sends does not work. Tell its operator. Nothing is lost meanwhile."
        )
        found.insert(0, Explanation(sentence=sentence, is_bad=True))
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


def _explain(one: Hindrance) -> Explanation:
    bad = False
    match one.kind:
        case Kind.IMPORTING:
            sentence = _(
                "The sheet is being imported: %(count)s people so far. You can begin when it is done."
            ) % {"count": grouped(one.count)}
        case Kind.IMPORT_FAILED:
            sentence, bad = _("The last sheet could not be imported. Correct it and upload it again."), True
        case Kind.AWAITING:
            sentence = _("A second person must approve it. Without approval it ends at this time:")
        case Kind.SCHEDULED:
            sentence = _("It starts by itself at this time:")
        case Kind.PAUSED:
            sentence = _("Somebody paused it. It continues when somebody resumes it.")
        case Kind.SET_ASIDE:
            sentence, bad = (
                _("The server paused it, because it could not continue. Resume it after a correction."),
                True,
            )
        case Kind.HELD:
            sentence, bad = (
                _("This server was restored from a backup. It sends nothing until its operator allows it."),
                True,
            )
        case Kind.TRUNK_PAUSED if one.at is None:
            sentence, bad = (
                _("The carrier accepts nothing at the moment, until the operator of this server acts."),
                True,
            )
        case Kind.TRUNK_PAUSED:
            sentence = _("The carrier accepts nothing at the moment. The server tries again at this time:")
        case Kind.NO_CHANNELS:
            sentence = _(
                "All %(count)s lines of the carrier are busy. The next call begins when one is free."
            ) % {"count": grouped(one.count)}
        case Kind.FAILING:
            sentence, bad = (
                _("The server cannot prepare the next ones, and tries again. It fails since:"),
                True,
            )
        case Kind.REPORTS:
            sentence = _("All were sent. The carrier still has to report on %(count)s of them.") % {
                "count": grouped(one.count)
            }
        case Kind.STOPPING:
            sentence = _("It is being stopped. %(count)s are still under way.") % {
                "count": grouped(one.count)
            }
    return Explanation(sentence=sentence, words=one.words, at=one.at, is_bad=bad)


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
