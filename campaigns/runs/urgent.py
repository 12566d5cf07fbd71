"""Urgent runs: the stated reason, the rules that they ignore, and what iris does for people who have not heard the message.

An urgent run goes before all others, and ignores calling hours, frequency caps and waves. Its rule is sent with the request
that begins it, and is not stored with the campaign: the next run is an ordinary one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from campaigns.models import Campaign, Service
from iris.errors import InvalidInput, NotAllowed

MAX_REASON_CHARACTERS = 300
# Rules that an urgent run does not obey.
IGNORED = ("calling_hours", "frequency_cap", "waves")
_FIELDS = ("reason", "past_opt_outs", "heard")
_HEARD_FIELDS = ("sms", "household")
_EXAMPLE = '{"reason": "Flood warning for ward 5"}'


class OptOutsHold(NotAllowed):
    """The account does not let urgent runs reach people who have opted out."""

    default_code = "opt_outs_hold"


@dataclass(frozen=True, kw_only=True, slots=True)
class HeardRule:
    """Calls ask people to press a key to confirm that they have heard the message. People who pressed it “have heard”.

    With `sms`, a number that has not heard receives an SMS. `household` is a tag: numbers with the same value of the tag are
    one household. iris calls one number of a household at a time, until one has heard.
    """

    sms: bool = False
    household: str | None = None

    @classmethod
    def parse(cls, sent: object) -> HeardRule | None:
        if sent is None or sent is False:
            return None
        if sent is True:
            return cls()
        if not isinstance(sent, Mapping):
            raise InvalidInput(
                '“heard” must be true, or an object such as {"sms": true, "household": "house"}.'
            )
        _refuse_unknown(sent, _HEARD_FIELDS, "“heard” has")
        household = sent.get("household")
        if household is not None and not (isinstance(household, str) and household.strip()):
            raise InvalidInput("“household” must be the name of a tag that numbers of one household share.")
        return cls(sms=_flag(sent, "sms"), household=None if household is None else household.strip())

    @property
    def json(self) -> dict[str, Any]:
        return {"sms": self.sms, "household": self.household}


@dataclass(frozen=True, kw_only=True, slots=True)
class UrgentRule:
    """Why a run is urgent, whether it also reaches people who have opted out, and whether it asks if they have heard."""

    reason: str
    past_opt_outs: bool = False
    heard: HeardRule | None = None

    @classmethod
    def parse(cls, sent: object) -> UrgentRule:
        """Read the rule, as clients send it and as runs store it. Raises InvalidInput."""
        if not isinstance(sent, Mapping):
            raise InvalidInput(f"This must be an object with the reason, such as {_EXAMPLE}.")
        _refuse_unknown(sent, _FIELDS, "An urgent run has")
        reason = sent.get("reason")
        if not isinstance(reason, str) or not reason.strip():
            raise InvalidInput(f"State the “reason” why this run is urgent, such as {_EXAMPLE}.")
        if len(reason) > MAX_REASON_CHARACTERS:
            raise InvalidInput(
                f"The “reason” has {len(reason):,} characters; at most {MAX_REASON_CHARACTERS} are allowed."
            )
        return cls(
            reason=" ".join(reason.split()),
            past_opt_outs=_flag(sent, "past_opt_outs"),
            heard=HeardRule.parse(sent.get("heard")),
        )

    @property
    def json(self) -> dict[str, Any]:
        heard = None if self.heard is None else self.heard.json
        return {"reason": self.reason, "past_opt_outs": self.past_opt_outs, "heard": heard}


def check_urgent(rule: UrgentRule, campaign: Campaign, *, sent: Mapping[str, Any]) -> None:
    """Raise InvalidInput if the rule contradicts the campaign or other rules that were `sent`.

    Raises OptOutsHold if the account does not allow `past_opt_outs`. The views check the permission.
    """
    if obeyed := [name for name in IGNORED if sent.get(name) is not None]:
        raise _wrong(f"An urgent run ignores “{obeyed[0]}”. Send one of them, not both.")
    if rule.past_opt_outs and not campaign.owner.alerts_past_opt_outs:
        raise OptOutsHold(
            "People who have opted out are not reached, not even by urgent runs, because the settings of this account do not"
            " allow it (alerts_past_opt_outs)."
        )
    if rule.heard is None:
        return
    service = Service(campaign.service)
    if service is Service.SURVEY:
        raise _wrong("A survey asks its own questions. “heard” is for campaigns that call with a message.")
    if not service.calls:
        raise _wrong("An SMS cannot ask to press a key. “heard” is for campaigns that call.")
    if rule.heard.sms and service.texts:
        raise _wrong("This campaign sends an SMS to every number. Leave “sms” out.")
    household = rule.heard.household
    if household is not None and household not in campaign.tags:
        tags = ", ".join(campaign.tags) or "none"
        raise _wrong(f"“household” names the unknown tag “{household[:40]}”. Tags of this campaign: {tags}.")


def _flag(sent: Mapping[Any, Any], name: str) -> bool:
    value = sent.get(name)
    if value is not None and not isinstance(value, bool):
        raise InvalidInput(f"“{name}” must be true or false.")
    return bool(value)


def _refuse_unknown(sent: Mapping[Any, Any], known: tuple[str, ...], subject: str) -> None:
    if unknown := [str(name) for name in sent if name not in known]:
        raise InvalidInput(f"Unknown field “{unknown[0][:40]}”. {subject}: {', '.join(known)}.")


def _wrong(message: str) -> InvalidInput:
    return InvalidInput(f"urgent: {message}", errors=[{"field": "urgent", "message": message}])
