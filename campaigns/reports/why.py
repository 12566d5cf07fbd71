"""Say why a campaign, or one recipient, does not go on at this moment. Each reason has a stable code and a sentence.

`CHECKS` is the registry. Each check looks at one kind of condition, with the functions that also decide: those of runs
(`campaigns.runs`), of claims (`telephony.engine.held_back`) and of imports. A new rule of reaching people adds a check and
its codes here. Codes are part of the API; `docs/api-v0.md` lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

from django.utils import timezone

from campaigns.models import (
    AlertRecipient,
    AlertState,
    Campaign,
    ImportStatus,
    LeftOut,
    Recipient,
    Run,
    RunStatus,
    Service,
    SheetImport,
)
from campaigns.reports.why_sentences import REFUSALS, TRUNKS, WAITS, shown_moment
from campaigns.runs import delivery_requests, hopper, intake, left_out, run_hours, run_statuses
from campaigns.runs.rules import rules_of
from telephony.engine import held_back, stalls
from telephony.engine.held_back import Waiting
from telephony.engine.lifecycle.conditions import Wait
from telephony.models import Cause, Channel, Purpose


class Hold(StrEnum):
    """The codes of the reasons that hold back a whole run, or a recipient for whom nothing is queued."""

    NOT_BEGUN = "not_begun"
    IMPORT = "import"
    APPROVAL = "approval"
    SCHEDULED = "scheduled"
    PAUSED = "paused"
    SET_ASIDE = "set_aside"
    STOPPED = "stopped"
    HOURS = "outside_hours"
    CREDITS = "credits"
    FAILING = "preparation_fails"
    STALLED = "preparation_stalled"
    IN_TURN = "in_turn"
    HOUSEHOLD = "household"
    WAVE = "wave"
    DUPLICATE = LeftOut.DUPLICATE.value
    FREQUENCY_CAP = LeftOut.FREQUENCY_CAP.value
    NOT_IN_RUN = "not_in_run"
    ENDED = "ended"
    INVALID = "invalid_number"
    OPTED_OUT = Cause.OPTED_OUT.value
    BLOCKED = Cause.BLOCKED.value


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """A reason, with a `message` for people. `count` is how many calls and SMS it holds back, if they are queued.

    `words` are the part of the message that the carrier or the server wrote, in English. `values` are the figures in the
    message, by name. The console puts both into its own translated sentence.
    """

    code: str
    message: str
    count: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    trunk: str | None = None
    words: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


class Situation:
    """What the checks look at: a campaign, its live run if it has one, and one recipient or all.

    A caller that has read the live run passes it as `live`.
    """

    def __init__(
        self, campaign: Campaign, *, recipient: Recipient | None = None, live: Run | None = None
    ) -> None:
        self.campaign = campaign
        self.recipient = recipient
        self.now = timezone.now()
        self._live = live

    @cached_property
    def run(self) -> Run | None:
        run = self._live or run_statuses.live_run(self.campaign.pk)
        if run is not None:
            run.campaign = self.campaign
        return None if run is None or run.trial else run

    @cached_property
    def waiting(self) -> list[Waiting]:
        """What the unfinished deliveries wait for."""
        if self.run is None:
            return []
        items = None if self.recipient is None else [self.recipient.pk]
        return held_back.waits(purpose=Purpose.CAMPAIGN, batch=self.run.pk, items=items)

    @cached_property
    def next_untouched(self) -> list[delivery_requests.Addressee]:
        """The next recipient for whom nothing has been queued, as a list of at most one."""
        if self.run is None or self.run.filled_at is not None:
            return []
        rows = self.run.untouched()
        if self.recipient is not None:
            rows = rows.filter(pk=self.recipient.pk)
        return delivery_requests.addressees(rows[:1])

    @property
    def passes_opt_outs(self) -> bool:
        urgent = None if self.run is None else rules_of(self.run).urgent
        return urgent is not None and urgent.past_opt_outs

    @cached_property
    def waits_for_household(self) -> int:
        """How many numbers of an alert wait for a call to another number of their household."""
        if self.run is None or not delivery_requests.asks_if_heard(self.run):
            return 0
        rows = AlertRecipient.objects.filter(run=self.run, state__lte=AlertState.DUE)
        return (rows if self.recipient is None else rows.filter(recipient=self.recipient)).count()

    @property
    def queued(self) -> int:
        return sum(one.count for one in self.waiting if not one.is_under_way)

    @property
    def under_way(self) -> int:
        return sum(one.count for one in self.waiting if one.is_under_way)


Check = Callable[[Situation], Iterator[Reason]]


def reasons(situation: Situation) -> list[Reason]:
    """Return what holds the campaign or the recipient back, the most general reasons first; empty if nothing does."""
    return [reason for check in CHECKS for reason in check(situation)]


def _import(situation: Situation) -> Iterator[Reason]:
    running = SheetImport.objects.filter(campaign=situation.campaign, status=ImportStatus.IMPORTING).first()
    if running is not None:
        because = f" The import waits: {running.message}" if running.message else ""
        yield Reason(
            code=Hold.IMPORT,
            message=f"The numbers of this campaign are still being imported: {running.imported:,} so far.{because}",
            since=running.created_at,
            words=running.message,
            values={"imported": running.imported},
        )


def _run(situation: Situation) -> Iterator[Reason]:
    """Yield why the run as a whole does not go on."""
    run = situation.run
    if run is None:
        if situation.recipient is None:
            yield Reason(
                code=Hold.NOT_BEGUN, message="This campaign is not running. Begin it to reach its numbers."
            )
        return
    match run.status:
        case RunStatus.AWAITING:
            until = f" before {shown_moment(run.approve_until)}" if run.approve_until else ""
            yield Reason(
                code=Hold.APPROVAL,
                message=f"The run waits until another person with the permission “send” approves it{until}.",
                since=run.created_at,
                until=run.approve_until,
            )
        case RunStatus.SCHEDULED:
            yield Reason(
                code=Hold.SCHEDULED,
                message=f"The run is scheduled for {shown_moment(run.starts_at)}.",
                until=run.starts_at,
            )
        case RunStatus.PAUSED if run.pause_reason:
            yield Reason(
                code=Hold.SET_ASIDE,
                message=f"iris has paused the run: {run.pause_reason}",
                words=run.pause_reason,
            )
        case RunStatus.PAUSED:
            yield Reason(code=Hold.PAUSED, message="The run is paused. Resume it, and it goes on.")
        case RunStatus.STOPPING:
            yield Reason(
                code=Hold.STOPPED,
                message="The run was stopped: only calls and SMS that were already sent end.",
            )


def _filling(situation: Situation) -> Iterator[Reason]:
    """Yield why nothing is queued for the next recipients."""
    run = situation.run
    if run is None or run.status != RunStatus.RUNNING or not situation.next_untouched:
        return
    opens = run_hours.opens_at(run, situation.now)
    if opens > situation.now:
        yield Reason(
            code=Hold.HOURS,
            message=f"It is outside the calling hours. They begin at {shown_moment(opens)}.",
            until=opens,
        )
        return
    if waits := left_out.reason_of_run(run):
        yield Reason(
            code=Hold(waits.code), message=waits.message, since=run.waits_since, values=_of_wave(run)
        )
        return
    if run.is_capped and not intake.count_affordable(run, situation.next_untouched):
        yield Reason(
            code=Hold.CREDITS,
            message="The credit limit of the campaign is used up, or reserved for the calls and SMS under way. What they do"
            " not use pays for the next ones; otherwise the run ends.",
        )
        return
    if run.failing_since is not None:
        yield Reason(
            code=Hold.FAILING,
            message=f"This server has failed to prepare the next calls or SMS since"
            f" {shown_moment(run.failing_since)}. It keeps trying for some minutes, and then pauses the run.",
            since=run.failing_since,
        )
    for sentence in stalls.stalled():
        yield Reason(code=Hold.STALLED, message=sentence, words=sentence)
    if not hopper.room_of(run):
        yield Reason(
            code=Hold.IN_TURN,
            message="Enough calls and SMS of this run are queued. The next recipients follow as these are sent.",
        )


def _households(situation: Situation) -> Iterator[Reason]:
    """Yield how many numbers of an alert wait for another number of their household."""
    if count := situation.waits_for_household:
        numbers = "This number waits" if situation.recipient is not None else f"{count:,} numbers wait"
        yield Reason(
            code=Hold.HOUSEHOLD,
            message=f"{numbers} until a call to another number of the household has ended and nobody has heard.",
            count=count,
        )


def _deliveries(situation: Situation) -> Iterator[Reason]:
    """Yield why queued deliveries are not due. If the run is paused, `_run` has said so, and it is not repeated."""
    run = situation.run
    for one in situation.waiting:
        if one.wait is None or (
            one.wait is Wait.PAUSED and run is not None and run.status == RunStatus.PAUSED
        ):
            continue
        yield Reason(
            code=one.wait,
            message=WAITS[one.wait](one),
            count=one.count,
            until=_future(one, situation.now),
            words=one.words if one.wait is Wait.CARRIER else "",
        )


def _trunks(situation: Situation) -> Iterator[Reason]:
    """Yield why due deliveries are not submitted."""
    for held in held_back.trunk_holds(situation.waiting):
        yield Reason(
            code=held.hold,
            message=TRUNKS[held.hold](held),
            count=held.count,
            since=held.since,
            until=held.until,
            trunk=held.alias or None,
            words=held.words,
            values={"of": held.of},
        )


def _server(situation: Situation) -> Iterator[Reason]:
    """Yield what holds back every run of this server."""
    has_work = situation.waiting or situation.next_untouched
    if situation.run is not None and has_work:
        for held in held_back.server_holds():
            yield Reason(code=held.hold, message=TRUNKS[held.hold](held), since=held.since)


def _recipient(situation: Situation) -> Iterator[Reason]:
    """Yield what concerns only this recipient."""
    recipient = situation.recipient
    if recipient is None:
        return
    if not recipient.to:
        yield Reason(code=Hold.INVALID, message=f"“{recipient.number}” is not a phone number that can exist.")
    elif cause := held_back.refusal_of(
        owner_id=situation.campaign.owner_id,
        to=recipient.to,
        channel=Channel.CALL if Service(situation.campaign.service).calls else Channel.SMS,
        past_opt_outs=situation.passes_opt_outs,
    ):
        yield Reason(code=cause, message=REFUSALS[cause])
    if situation.waiting or situation.next_untouched or situation.waits_for_household:
        return
    if reason := left_out.reason_of_recipient(recipient):
        yield Reason(code=Hold(reason.code), message=reason.message)
    elif recipient.status is not None:
        yield Reason(
            code=Hold.ENDED,
            message="The last call or SMS to this number has ended, and nothing more is queued for it.",
        )
    elif situation.run is not None:
        yield Reason(
            code=Hold.NOT_IN_RUN,
            message="This number does not belong to the present run. The next run can include it.",
        )
    else:
        yield Reason(code=Hold.NOT_BEGUN, message="The campaign of this number is not running.")


def _of_wave(run: Run) -> dict[str, Any]:
    """Return the number of the run's wave, and the share that it must reach; None if the run waits for a person."""
    rule = rules_of(run).waves
    waits_for_results = rule is not None and run.waits_since is None
    return {"wave": run.wave, "percent": rule.success_percent if rule and waits_for_results else None}


# In the order of the result. A new rule of reaching people that can hold something back adds its check here.
CHECKS: tuple[Check, ...] = (_recipient, _import, _run, _filling, _households, _server, _deliveries, _trunks)


def _future(one: Waiting, now: datetime) -> datetime | None:
    return one.first_at if one.first_at is not None and one.first_at > now else None
