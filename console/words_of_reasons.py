"""The words for what holds a campaign or a person back: one sentence for each code of `campaigns.reports.why`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from campaigns.reports.why import Hold, Reason
from console import vocabulary
from console.numerals import grouped, in_digits
from telephony.engine.held_back import TrunkHold
from telephony.engine.lifecycle.conditions import Wait
from telephony.models import Cause

SENTENCES: dict[str, Promise] = {
    Hold.NOT_BEGUN: _("It has not begun, so nothing is sent."),
    Hold.IMPORT: _("The sheet is being imported: %(imported)s people so far. You can begin when it is done."),
    Hold.APPROVAL: _("A second person must approve it. Without approval it ends by itself."),
    Hold.SCHEDULED: _("It starts by itself at its time."),
    Hold.PAUSED: _("Somebody paused it. It continues when somebody resumes it."),
    Hold.SET_ASIDE: _("The server paused it, because it could not continue. Resume it after a correction."),
    Hold.STOPPED: _("It is being stopped. What is under way already ends by itself."),
    Hold.HOURS: _("It is outside the hours in which people are contacted. It continues by itself."),
    Hold.CREDITS: _(
        "The most that it may cost is used up, or reserved for what is under way. What that does not use pays for the next"
        " people; otherwise it ends."
    ),
    Hold.FAILING: _("The server cannot prepare the next ones, and tries again."),
    Hold.STALLED: _(
        "The part of this server that prepares calls and text messages is stuck. Tell its operator."
    ),
    Hold.IN_TURN: _("Enough of it is in the queue. The next people follow as these are sent."),
    Hold.HOUSEHOLD: _("Another number of the same household is called first."),
    Hold.WAVE: _("Wave %(wave)s is complete. The next one begins when somebody sends it."),
    Hold.DUPLICATE: _("The same number comes earlier in this campaign, and each number is contacted once."),
    Hold.FREQUENCY_CAP: _("This number was contacted as often lately as the settings allow."),
    Hold.NOT_IN_RUN: _("This person does not belong to what is sent now. The next time can include them."),
    Hold.ENDED: _("It has ended for this person, and nothing more is planned."),
    Hold.INVALID: vocabulary.CAUSES[Cause.INVALID],
    Hold.OPTED_OUT: vocabulary.CAUSES[Cause.OPTED_OUT],
    Hold.BLOCKED: vocabulary.CAUSES[Cause.BLOCKED],
    Wait.NEXT_TRY: _("An earlier try did not succeed, so there is another one later."),
    Wait.CARRIER: _("The carrier does not take more at the moment, so it is sent later."),
    Wait.LATER: _("It waits for a later time."),
    Wait.EXPIRED: _("It is too late to be of use, so it is not sent."),
    TrunkHold.RESTORED: _(
        "This server was restored from a backup. It sends nothing until its operator allows it."
    ),
    TrunkHold.NO_WORKER: _(
        "The part of this server that sends does not work. Tell its operator. Nothing is lost meanwhile."
    ),
    TrunkHold.NOT_CONFIGURED: _("The carrier is no longer set up on this server. Tell its operator."),
    TrunkHold.PAUSED: _(
        "The carrier accepts nothing at the moment, until the operator of this server acts or a trial succeeds."
    ),
    TrunkHold.RESTS: _("The carrier accepts nothing at the moment. The server tries again by itself."),
    TrunkHold.OTHERS_FIRST: _("Urgent campaigns and one-time passwords go first."),
    TrunkHold.NO_FREE_CHANNELS: _(
        "All %(of)s lines of the carrier are busy. The next call begins when one is free."
    ),
    TrunkHold.SLOW: _("The carrier is slower than it is set up for."),
    TrunkHold.PACE: _("It is sent as fast as the carrier allows: %(of)s a second."),
}
WAVE_OF_RESULTS = _(
    "Wave %(wave)s is sent. The next one begins when %(percent)s%% of it were reached, or when somebody sends it."
)
# Reasons about which somebody must do something. The others end by themselves, or are what somebody has decided.
BAD = frozenset(
    {
        Hold.SET_ASIDE,
        Hold.CREDITS,
        Hold.FAILING,
        Hold.STALLED,
        Hold.INVALID,
        Hold.BLOCKED,
        Wait.EXPIRED,
        TrunkHold.RESTORED,
        TrunkHold.NO_WORKER,
        TrunkHold.NOT_CONFIGURED,
        TrunkHold.PAUSED,
    }
)
# The reasons whose `count` is not that of calls and text messages that wait for this reason.
_COUNTS_OTHERS = frozenset({TrunkHold.OTHERS_FIRST, TrunkHold.NO_FREE_CHANNELS, Hold.HOUSEHOLD})


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """A sentence, with the words of the server or the carrier in English if there are some, and two moments."""

    sentence: str
    words: str = ""
    since: datetime | None = None
    until: datetime | None = None
    is_bad: bool = False


def explain(reason: Reason) -> Explanation:
    """Return what pages say about a reason. One with the code of a later release is explained in English."""
    sentence = SENTENCES.get(reason.code)
    if sentence is None:
        return Explanation(sentence=reason.message, since=reason.since, until=reason.until)
    if reason.values.get("percent") is not None:
        sentence = WAVE_OF_RESULTS
    values = {name: _shown(value) for name, value in reason.values.items()}
    return Explanation(
        sentence=" ".join([str(sentence) % values, *_waiting(reason)]),
        words=": ".join(part for part in (reason.trunk, reason.words) if part) if reason.words else "",
        since=reason.since,
        until=reason.until,
        is_bad=reason.code in BAD,
    )


def _waiting(reason: Reason) -> list[str]:
    """Return how many calls and text messages wait for this reason, as a list of at most one sentence."""
    if not reason.count or reason.code in _COUNTS_OTHERS:
        return []
    sentence = ngettext(
        "%(count)s call or text message waits.", "%(count)s calls and text messages wait.", reason.count
    )
    return [sentence % {"count": grouped(reason.count)}]


def _shown(value: object) -> str:
    return (
        grouped(value)
        if isinstance(value, int)
        else in_digits(f"{value:g}" if isinstance(value, float) else "")
    )
