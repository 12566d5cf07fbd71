"""Rules of retries: after which outcomes a recipient is tried again, how often, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from iris.errors import InvalidInput
from telephony.engine.lifecycle import Changed
from telephony.engine.tries import NEVER_RETRIED
from telephony.models import Cause, DeliveryStatus

MAX_TRIES = 5
MIN_DELAY_SECONDS, MAX_DELAY_SECONDS = 1, 7 * 24 * 3600


class Outcome(StrEnum):
    """The outcomes of a try that a rule can retry. They do not overlap: `unanswered` does not include `busy`."""

    BUSY = "busy"
    UNANSWERED = "unanswered"
    FAILED = "failed"
    HUNGUP = "hungup"


class Backoff(StrEnum):
    """How the delays grow: they stay the same, or double with each try."""

    FIXED = "fixed"
    EXPONENTIAL = "exponential"


# The outcomes of an SMS that a rule can retry.
OF_SMS = frozenset({Outcome.FAILED})
_FIELDS = ("tries", "on", "delay_seconds", "backoff")


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryRule:
    """At most `tries` tries for each recipient. `delays` has the seconds before the second try, by outcome of the first."""

    tries: int
    delays: Mapping[Outcome, int]
    backoff: Backoff

    @classmethod
    def parse(cls, sent: object) -> RetryRule:
        """Read a rule, as clients send it and as it is stored. Raises InvalidInput for unknown or contradictory values."""
        if not isinstance(sent, Mapping):
            raise InvalidInput(
                'This must be an object, such as {"tries": 3, "on": ["busy", "unanswered"], "delay_seconds": 600}.'
            )
        if unknown := [str(name) for name in sent if name not in _FIELDS]:
            raise InvalidInput(
                f"Unknown field “{unknown[0][:40]}”. A rule of retries has: {', '.join(_FIELDS)}."
            )
        tries = sent.get("tries")
        if not isinstance(tries, int) or isinstance(tries, bool) or not 2 <= tries <= MAX_TRIES:
            raise InvalidInput(
                f"“tries” must be a whole number from 2 to {MAX_TRIES}: the first try and the retries. For no retries,"
                " send “off” instead of the rule."
            )
        rule = cls(tries=tries, delays=_delays(sent), backoff=_backoff(sent.get("backoff", Backoff.FIXED)))
        longest = max(rule.delay_seconds(outcome, after=tries - 1) for outcome in rule.delays)
        if longest > MAX_DELAY_SECONDS:
            raise InvalidInput(
                f"With this backoff, the last try would wait {longest:,} seconds. At most {MAX_DELAY_SECONDS:,} are"
                " allowed (7 days): send a shorter delay, fewer tries or the backoff “fixed”.",
                code="delay_too_long",
            )
        return rule

    @property
    def json(self) -> dict[str, Any]:
        """The rule as `parse` reads it. One delay for all outcomes is written once."""
        delays = set(self.delays.values())
        shown: dict[str, Any] = {"tries": self.tries}
        if len(delays) == 1:
            shown |= {"on": [outcome.value for outcome in self.delays], "delay_seconds": delays.pop()}
        else:
            shown["on"] = {outcome.value: seconds for outcome, seconds in self.delays.items()}
        return {**shown, "backoff": self.backoff.value}

    @property
    def paid_tries(self) -> int:
        """How many tries of a recipient can cost credits: all, if calls that were cut off are retried, otherwise one."""
        return self.tries if Outcome.HUNGUP in self.delays else 1

    def delay_seconds(self, outcome: Outcome, *, after: int) -> int:
        """Return the seconds between the try with the number `after`, which ended with this outcome, and the next try."""
        return self.delays[outcome] * (2 ** (after - 1) if self.backoff is Backoff.EXPONENTIAL else 1)

    def delay(self, ended: Changed) -> timedelta | None:
        """Return the time from the end of this try to the next one; None if it was the last try."""
        outcome = outcome_of(ended)
        if outcome not in self.delays or ended.try_number >= self.tries:
            return None
        assert outcome is not None
        return timedelta(seconds=self.delay_seconds(outcome, after=ended.try_number))


def outcome_of(ended: Changed) -> Outcome | None:
    """Return the outcome of a try; None if no rule can retry it."""
    if ended.is_late or ended.cause in NEVER_RETRIED:
        return None
    if ended.status == DeliveryStatus.UNANSWERED:
        return Outcome.BUSY if ended.cause == Cause.BUSY else Outcome.UNANSWERED
    return {DeliveryStatus.FAILED: Outcome.FAILED, DeliveryStatus.HUNGUP: Outcome.HUNGUP}.get(ended.status)


def _delays(sent: Mapping[str, Any]) -> dict[Outcome, int]:
    """Return the delay after each outcome: `delay_seconds` if `on` is a list, otherwise the values of `on`."""
    on = sent.get("on")
    if not isinstance(on, list | tuple | Mapping) or not on:
        raise InvalidInput(f"“on” must list the outcomes to retry. They are: {', '.join(Outcome)}.")
    if isinstance(on, Mapping):
        if sent.get("delay_seconds") is not None:
            raise InvalidInput("Send the delays in “on” or as “delay_seconds”, not both.")
        named = dict(on)
    else:
        if "delay_seconds" not in sent:
            raise InvalidInput("“delay_seconds” is missing: how many seconds to wait before the next try.")
        named = dict.fromkeys(map(str, on), sent["delay_seconds"])
    delays = {}
    for word, seconds in named.items():
        if word not in set(Outcome):
            raise InvalidInput(f"“{str(word)[:40]}” cannot be retried. Outcomes are: {', '.join(Outcome)}.")
        if not _is_whole(seconds) or not MIN_DELAY_SECONDS <= seconds <= MAX_DELAY_SECONDS:
            raise InvalidInput(
                f"A delay must be a whole number of seconds from {MIN_DELAY_SECONDS} to {MAX_DELAY_SECONDS:,} (7 days)."
            )
        delays[Outcome(word)] = seconds
    return {outcome: delays[outcome] for outcome in Outcome if outcome in delays}


def _backoff(sent: object) -> Backoff:
    if sent not in list(Backoff):
        raise InvalidInput(f"“backoff” must be one of: {', '.join(Backoff)}.")
    return Backoff(str(sent))


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
