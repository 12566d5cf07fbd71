"""The words of the operator area: the state of the parts of the server, and why trunks are paused.

The parts describe their problems in English, for logs and programs. What is known here is said in the language of the
person. The rest stays as it is, and pages mark it as English.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import get_language, gettext_lazy, pgettext_lazy
from django.utils.translation import gettext as _

from console.numerals import in_digits
from iris.languages import ENGLISH
from telephony.engine.stalls import BACKGROUND, FILL, FILL_MORE, PROBLEMS
from telephony.engine.trunk_summary import TrunkSummary
from telephony.models import PauseCause

# The parts that `iris.health` checks.
PARTS: dict[str, Promise] = {
    "database": pgettext_lazy("part", "Database"),
    "broker": pgettext_lazy("part", "Broker of tasks"),
    "worker": pgettext_lazy("part", "Workers"),
    "media": pgettext_lazy("part", "Storage of recordings"),
}

# What `iris.health` says of parts that do not work.
STATES: dict[str, Promise] = {
    "does not answer": gettext_lazy("It does not answer."),
    "fails: see the log": gettext_lazy("It fails. The log of the server says why."),
    "accepts no changes": gettext_lazy("It accepts no changes."),
    "shares its sessions: a pooler must have pool_mode=session": gettext_lazy(
        "It shares its sessions. A pooler must have pool_mode=session."
    ),
    "unknown: the database does not answer": gettext_lazy("Not known, because the database does not answer."),
    "unknown: the database accepts no changes": gettext_lazy(
        "Not known, because the database accepts no changes."
    ),
}
_NOT_SEEN = re.compile(r"not seen for (\d+) s")
_NOT_WRITABLE = re.compile(r"cannot be written: (.+)")
_STALLED = re.compile(r"No progress for (\d+) minutes: (.+)\.")
STALLED: dict[str, Promise] = {
    FILL: gettext_lazy("the calls and text messages of campaigns are not being queued"),
    FILL_MORE: gettext_lazy("the second process that prepares calls and text messages is stuck"),
    BACKGROUND: gettext_lazy(
        "sheets are not being imported, and speech for scheduled campaigns is not being prepared"
    ),
}
_STALLED_KEYS = {problem: key for key, problem in PROBLEMS.items()}

PAUSES: dict[str, Promise] = {
    PauseCause.OPERATOR: gettext_lazy("An operator has paused it."),
    PauseCause.MISCONFIGURED: gettext_lazy("Its configuration is wrong."),
    PauseCause.FUNDS: gettext_lazy("The account at the carrier has no credit."),
    PauseCause.ERRORS: gettext_lazy("The carrier accepts nothing."),
    PauseCause.SILENCE: gettext_lazy("The carrier reports nothing any more."),
}
RESTS = gettext_lazy("It rests for some seconds after a failure.")
_OPERATORS_REASON = "An operator has paused it."  # what `circuit_breaker.pause` writes without a reason


@dataclass(frozen=True)
class Said:
    """A sentence for a page. `is_english` says that it is English whatever the language of the page."""

    text: str
    is_english: bool


@dataclass(frozen=True)
class ShownTrunk:
    """A trunk, why it is paused, and the words of the operator or the carrier about that, if there are any."""

    trunk: TrunkSummary
    cause: Promise | str
    words: str


def said(state: str) -> Said:
    """Return a problem of a part in the language of the person, as far as it is known here."""
    if get_language() == ENGLISH:
        return Said(state, is_english=True)
    translated = _translated(state)
    return (
        Said(state, is_english=True) if translated is None else Said(in_digits(translated), is_english=False)
    )


def _translated(state: str) -> str | None:
    if state in STATES:
        return str(STATES[state])
    if found := _NOT_SEEN.fullmatch(state):
        return _("No worker was seen for %(count)s seconds.") % {"count": found[1]}
    if found := _NOT_WRITABLE.fullmatch(state):
        return _("It cannot be written: %(words)s") % {"words": found[1]}
    sentences = state.replace(". No progress", ".\nNo progress").split("\n")
    stalls = [_STALLED.fullmatch(one) for one in sentences]
    if all(found and found[2] in _STALLED_KEYS for found in stalls):
        return " ".join(
            _("No progress for %(count)s minutes: %(problem)s.")
            % {"count": found[1], "problem": STALLED[_STALLED_KEYS[found[2]]]}
            for found in stalls
            if found
        )
    return None


def shown_trunks(trunks: Iterable[TrunkSummary]) -> list[ShownTrunk]:
    """Return the trunks with the causes of their pauses."""
    return [
        ShownTrunk(
            trunk=trunk,
            cause=PAUSES.get(trunk.pause_cause, RESTS if trunk.paused_until else ""),
            words="" if trunk.pause_reason == _OPERATORS_REASON else trunk.pause_reason,
        )
        for trunk in trunks
    ]


def decided(count: int, *, approved: bool) -> str:
    """Return what happened to a sender. It may have been decided or withdrawn meanwhile."""
    if not count:
        return _("Nothing was changed: this request was decided or withdrawn meanwhile.")
    return _("The sender is approved.") if approved else _("The sender is refused.")
