"""Replace or withdraw a run that has not started, after its campaign has changed. This also voids its approval."""

from __future__ import annotations

from campaigns.models import PENDING, Campaign, Run, Source
from campaigns.runs.begin import begin
from campaigns.runs.rules import rules_of
from campaigns.runs.run_statuses import live_run
from campaigns.runs.stop import withdraw
from telephony.models import DeliveryStatus


def reschedule(campaign: Campaign, *, source: bool = False, uploaded_by: int | None = None) -> None:
    """Replace the campaign's run that has not started, if any, by one that matches the changed campaign.

    With `source`, the choice between message and audio is also made again. If the campaign has no start time any more, a
    scheduled run is withdrawn. A run that waits only for approval waits again. Call it in a transaction that has locked the
    campaign. Raises the errors of `begin`, and Conflict if the run starts at the same moment.
    """
    run = live_run(campaign.pk)
    if run is None or run.status not in PENDING:
        return
    if uploaded_by is not None:
        run.authors = [*run.authors, uploaded_by]
    scheduled = _has_start_time(run)
    if scheduled and campaign.schedule_at is None:
        withdraw(campaign=campaign)
        return
    begin(
        campaign=campaign,
        starts_at=campaign.schedule_at if scheduled else None,
        statuses=None if run.statuses is None else [DeliveryStatus(status) for status in run.statuses],
        individual=run.individual,
        source=None if source else Source(run.source),
        replaces_pending=True,
        changed=run,
        urgent=rules_of(run).urgent,
    )


def _has_start_time(run: Run) -> bool:
    """Return whether the run was begun for a later time. Such a run cannot be approved after that time."""
    return run.approve_until is None or run.approve_until <= run.starts_at


def include_added_recipients(campaign: Campaign, *, uploaded_by: int | None = None) -> None:
    """Include added recipients in a run that has not started, if it is a run for all recipients.

    `uploaded_by` is the person whose upload a worker has imported. Raises the errors of `reschedule`.
    """
    run = live_run(campaign.pk)
    if run is not None and run.statuses is None and run.individual is None:
        reschedule(campaign, uploaded_by=uploaded_by)
