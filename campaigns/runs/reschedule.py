"""What a change of the campaign makes of its run that waits for its time."""

from __future__ import annotations

from campaigns.models import Campaign, RunStatus, Source
from campaigns.runs.begin import begin
from campaigns.runs.lifecycle import live_run
from campaigns.runs.stop import withdraw
from telephony.models import DeliveryStatus


def reschedule(campaign: Campaign, *, source: bool = False) -> None:
    """Begin a run that waits for its time anew, as the campaign is now; with `source`, whether message or audio, too.

    Without a time in the campaign the run is withdrawn. Raises as `begin` does, and Conflict when its time comes in this
    very moment.
    """
    run = live_run(campaign.pk)
    if run is None or run.status != RunStatus.SCHEDULED:
        return
    if campaign.schedule_at is None:
        withdraw(campaign=campaign)
        return
    begin(
        campaign=campaign,
        starts_at=campaign.schedule_at,
        statuses=None if run.statuses is None else [DeliveryStatus(status) for status in run.statuses],
        individual=run.individual,
        source=None if source else Source(run.source),
        replaces_scheduled=True,
    )


def include_added_recipients(campaign: Campaign) -> None:
    """Have a run for all recipients that waits for its time reach those added since. Raises as `reschedule`."""
    run = live_run(campaign.pk)
    if run is not None and run.statuses is None and run.individual is None:
        reschedule(campaign)
