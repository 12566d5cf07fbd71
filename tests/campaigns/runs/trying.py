"""Runs with retries and calling hours: an engine in steps, with a carrier whose calls end as the test says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings

from accounts.ledger import check_ledger
from campaigns import runs
from campaigns.models import Campaign, Run, Service
from campaigns.reports import states
from campaigns.runs import hopper, run_hours, run_statuses
from telephony.carriers.base import Accepted
from telephony.engine import lifecycle as deliveries
from telephony.engine import pacing
from telephony.engine.lifecycle import Claimed, Report
from telephony.engine.submission import withdrawal
from telephony.models import Cause, Delivery, DeliveryStatus
from tests.factories import make_account, make_audio, make_campaign

S = DeliveryStatus
TRUNK = "sandbox"

# How a try can end, as the carrier reports it.
ENDS: dict[str, dict[str, Any]] = {
    "completed": {"status": S.COMPLETED, "seconds": 3.0, "playback": 100},
    "hungup": {"status": S.HUNGUP, "cause": Cause.CUT_OFF, "seconds": 1.0, "playback": 40},
    "busy": {"status": S.UNANSWERED, "cause": Cause.BUSY},
    "unanswered": {"status": S.UNANSWERED, "cause": Cause.NO_ANSWER},
    "failed": {"status": S.FAILED, "cause": Cause.REFUSED},
    "invalid": {"status": S.FAILED, "cause": Cause.INVALID},
    "lost": {"status": S.FAILED, "cause": Cause.LOST},
    "opted_out": {"status": S.FAILED, "cause": Cause.OPTED_OUT},
    "expired": {"status": S.FAILED, "cause": Cause.EXPIRED},
}

RETRY = {"tries": 3, "on": ["busy", "unanswered", "failed", "hungup"], "delay_seconds": 600}
NUMBERS = (9841000001, 9841000002)
ONCE_A_WEEK = {"contacts": 1, "days": 7}


def another(
    campaign: Campaign, *, numbers: Any = NUMBERS, service: Service = Service.CALL, **rules: Any
) -> Run:
    """Begin another campaign of the same account."""
    other = make_campaign(owner=campaign.owner, numbers=list(numbers), service=service)
    if service is not Service.SMS:
        other.audio = make_audio(seconds=3.0)
        other.save()
    return runs.begin(campaign=other, message="Hi" if service is Service.SMS else None, **rules)


def begun(
    *,
    service: Service = Service.CALL,
    numbers: Iterable[int | str] = (9841000001,),
    credits: int = 1000,
    fields: dict[str, Any] | None = None,
    **rules: Any,
) -> tuple[Campaign, Run]:
    """Begin a campaign that plays a recording and has these rules."""
    campaign = make_campaign(
        owner=make_account(credits=credits), service=service, numbers=list(numbers), **(fields or {})
    )
    if service is not Service.SMS:
        campaign.audio = make_audio(seconds=3.0)
        campaign.save()
    message = "Hi" if service is Service.SMS else None
    return campaign, runs.begin(campaign=campaign, message=message, **rules)


def tick() -> None:
    """Do what the ticks do: move runs and deliveries on as the time says."""
    run_statuses.start_due()
    run_statuses.reconcile_all()
    run_hours.move_after_hours()
    hopper.fill_all(budget=0)
    run_statuses.finish_all()


def claim(*, limit: int | None = None) -> list[Claimed]:
    """Claim what is due on the trunk, as a dispatcher does, and accept it. Return it without what iris itself refuses."""
    claimed: list[Claimed] = []
    while batch := pacing.claim(TRUNK, max_count=limit).deliveries:
        deliveries.apply_results(
            [
                withdrawal(one.id, Cause.OPTED_OUT)
                if one.opted_out
                else Accepted(key=str(one.id), ref=f"r{one.id}")
                for one in batch
            ],
            report_timeout=settings.IRIS_REPORT_TIMEOUT_SECONDS,
        )
        claimed += [one for one in batch if not one.opted_out]
        if limit is not None:
            break
    return claimed


def end(claimed: Iterable[Claimed], how: str | Callable[[Claimed], str]) -> None:
    """Report how these calls and SMS ended."""
    deliveries.apply_reports(
        [Report(id=one.id, at=None, **ENDS[how if isinstance(how, str) else how(one)]) for one in claimed]
    )


def forget_counts() -> None:
    """Let the hopper count again what is queued: it remembers counts for moments of real time."""
    hopper._older_queued.clear()
    hopper._next_looks.clear()


def step(how: str | Callable[[Claimed], str]) -> list[Claimed]:
    """Queue, claim and end what is due now; return what was tried."""
    tick()
    claimed = claim()
    end(claimed, how)
    tick()
    return claimed


def tries() -> list[tuple[int, str]]:
    return [
        (number, S(status).name)
        for number, status in Delivery.objects.order_by("pk").values_list("try_number", "status")
    ]


def shown(campaign: Campaign) -> states.RecipientState:
    (state,) = states.states_of(campaign, list(campaign.recipients.all()))
    return state


def assert_settled(run: Run) -> None:
    run.refresh_from_db()
    run.hold.refresh_from_db()
    assert run.hold.remaining == 0
    assert check_ledger().differences == ()
