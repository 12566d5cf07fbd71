"""Show in both dialects that a run awaits approval, and the decision. TingTing's documentation has no approvals."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from accounts.api.amounts import credits_json
from accounts.audit import name_of
from accounts.models import User
from campaigns.api.rules import shown_rules
from campaigns.api.words import RECIPIENT_STATUSES
from campaigns.models import Campaign, NotStarted, Run, RunStatus
from telephony.media import audio_url

AWAITING = "awaiting approval"
_UNAPPROVED = {
    RunStatus.AWAITING: AWAITING,
    RunStatus.PAUSED: "paused",
    RunStatus.STOPPING: "stopped",
    RunStatus.TERMINATED: "stopped",
}
_NOT_STARTED = {NotStarted.REJECTED: "rejected", NotStarted.EXPIRED: "expired"}


def awaiting_json(run_status: str | None) -> dict[str, Any]:
    """Return the keys that a list adds for a campaign whose run awaits approval; no keys for other campaigns."""
    return {"approval": {"state": AWAITING}} if run_status == RunStatus.AWAITING else {}


def approval_json(campaign: Campaign, request: HttpRequest) -> dict[str, Any]:
    """Return the approval of the campaign's latest run, or nothing if that run needed none (see `with_approval`).

    While the run waits, the result describes everything that the run would send. An approval must name the id `run`.
    """
    if not getattr(campaign, "needs_approval", None):
        return {}
    run = (
        Run.objects.filter(campaign=campaign, trial=False)
        .order_by("-pk")
        .select_related("hold", "audio", "decided_by")
        .first()
    )
    if run is None or not run.needs_approval:  # another request has just begun another run
        return {}
    people = {user.pk: user for user in User.objects.filter(pk__in=run.authors)}
    shown = {
        "state": state_of(run),
        "run": run.pk,
        "recipients": run.recipient_count,
        "authors": [people[pk].email for pk in run.authors if pk in people],
        "begun_at": timezone.localtime(run.created_at).isoformat(),
        "approve_until": _moment(run.approve_until),
        "approved_at": _moment(run.approved_at),
        "decided_by": None if run.decided_by is None else run.decided_by.email,
        "reason": _reason(run),
    }
    if run.status == RunStatus.AWAITING:
        shown["sends"] = _content(run, campaign=campaign, request=request)
    return {"approval": shown}


def state_of(run: Run) -> str:
    """Return the published word for the approval of a run that needs one."""
    if run.approved_at is not None:
        return "approved"
    if run.status == RunStatus.WITHDRAWN:
        return _NOT_STARTED.get(NotStarted(run.not_started or NotStarted.REPLACED), "withdrawn")
    return _UNAPPROVED[RunStatus(run.status)]


def begun_json(run: Run) -> dict[str, Any]:
    """Return the keys about the approval for the response to a begin request; no keys if the run needs no approval."""
    if run.status != RunStatus.AWAITING:
        return {}
    return {"approval": {"state": AWAITING, "run": run.pk, "approve_until": _moment(run.approve_until)}}


def _reason(run: Run) -> str | None:
    """Return why a run was not started, as a sentence for its authors."""
    if run.not_started == NotStarted.EXPIRED and run.approve_until is not None:
        until = timezone.localtime(run.approve_until)
        return f"Nobody approved this run before {until:%Y-%m-%d %H:%M}, so it did not start. Begin the campaign again."
    if run.not_started == NotStarted.REJECTED:
        who = "Somebody" if run.decided_by is None else name_of(run.decided_by)
        return f"{who} rejected this run: {run.rejection}" if run.rejection else f"{who} rejected this run."
    return None


def _content(run: Run, *, campaign: Campaign, request: HttpRequest) -> dict[str, Any]:
    later = run.approve_until is not None and run.approve_until <= run.starts_at
    return {
        "message": run.message,
        "sms_message": run.sms_message,
        "audio": None if run.audio is None else audio_url(run.audio, request),
        "voice": run.voice,
        "speed": float(run.speed),
        "caller": run.caller,
        "starts_at": _moment(run.starts_at) if later else None,
        "statuses": None if run.statuses is None else [RECIPIENT_STATUSES[status] for status in run.statuses],
        "individual": None if run.individual is None else len(run.individual),
        "sms_after": [RECIPIENT_STATUSES[status] for status in run.failover_statuses],
        "credits": credits_json(run.hold.amount),
        **shown_rules(run.rules),
    }


def _moment(moment: Any) -> str | None:
    return None if moment is None else timezone.localtime(moment).isoformat()
