"""The sentences of `campaigns.reports.why` about deliveries and trunks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django.utils import timezone

from telephony.engine.held_back import HeldTrunk, TrunkHold, Waiting
from telephony.engine.lifecycle.conditions import Wait
from telephony.models import Cause, Channel


def shown_moment(moment: datetime | None) -> str:
    return "" if moment is None else f"{timezone.localtime(moment):%Y-%m-%d %H:%M}"


def _things(one: Waiting) -> str:
    """Return the deliveries as the subject of a sentence in the singular or the plural, with its verb “wait”."""
    noun = "call" if one.channel is Channel.CALL else "SMS"
    if one.count == 1:
        return f"1 {noun} waits"
    return f"{one.count:,} {noun}{'s' if one.channel is Channel.CALL else ''} wait"


def _first(one: Waiting) -> str:
    return f" The first is due at {shown_moment(one.first_at)}." if one.first_at is not None else ""


REFUSALS = {
    Cause.OPTED_OUT: "The recipient has opted out, so this account does not contact this number.",
    Cause.BLOCKED: "The operator of this server has blocked this number for all accounts.",
}
WAITS: dict[Wait, Callable[[Waiting], str]] = {
    Wait.PAUSED: lambda one: f"{_things(one)} until the run is resumed.",
    Wait.NEXT_TRY: lambda one: (
        f"{_things(one)} for the next try, because an earlier one did not succeed.{_first(one)}"
    ),
    Wait.CARRIER: lambda one: (
        f"{_things(one)}, because the carrier does not take more now: {one.words.rstrip('.')}.{_first(one)}"
    ),
    Wait.HOURS: lambda one: f"{_things(one)} for the calling hours.{_first(one)}",
    Wait.LATER: lambda one: f"{_things(one)} for a later time.{_first(one)}",
    Wait.EXPIRED: lambda one: f"{_things(one)} no longer: it is too late to be of use.",
}


def _because(held: HeldTrunk) -> str:
    since = f" since {shown_moment(held.since)}" if held.since is not None else ""
    return f"{since}, because: {held.words.rstrip('.')}."


TRUNKS: dict[TrunkHold, Callable[[HeldTrunk], str]] = {
    TrunkHold.RESTORED: lambda held: (
        "This server was restored from a backup, and sends nothing until its operator allows it."
    ),
    TrunkHold.NO_WORKER: lambda held: (
        f"No worker serves the trunk {held.alias}: ask the operator of this server."
        if held.alias
        else "No worker of this server is running: ask its operator."
    ),
    TrunkHold.NOT_CONFIGURED: lambda held: (
        f"The trunk {held.alias} is no longer configured: ask the operator."
    ),
    TrunkHold.PAUSED: lambda held: (
        f"The trunk {held.alias} is paused{_because(held)} It is tried again now and then, or an operator opens it."
    ),
    TrunkHold.RESTS: lambda held: (
        f"The trunk {held.alias} rests until {timezone.localtime(held.until):%H:%M:%S}{_because(held)}"
    ),
    TrunkHold.OTHERS_FIRST: lambda held: (
        f"{held.count:,} calls or SMS of urgent runs or with passwords go first on the trunk {held.alias}."
    ),
    TrunkHold.NO_FREE_CHANNELS: lambda held: (
        f"All {held.of} channels of the trunk {held.alias} are busy: {held.count} calls are under way."
    ),
    TrunkHold.SLOW: lambda held: (
        f"The trunk {held.alias} is slower than its setting: {held.words.rstrip('.')}."
    ),
    TrunkHold.PACE: lambda held: (
        f"{held.count:,} queued calls and SMS are sent at the pace of the trunk {held.alias}: {held.of:g} a second."
    ),
}
