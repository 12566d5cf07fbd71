"""Replace or withdraw the scheduled run of a campaign after the campaign has changed."""

from __future__ import annotations

from campaigns.models import Campaign, RunStatus, Source
from campaigns.runs.begin import begin
from campaigns.runs.lifecycle import live_run
from campaigns.runs.stop import withdraw
from telephony.models import DeliveryStatus


def reschedule(campaign: Campaign, *, source: bool = False) -> None:
    """Replace the campaign's scheduled run, if any, by one that matches the changed campaign.

    With `source`, the choice between message and audio is also made again. If the campaign has no start time any more, the
    run is withdrawn. Raises the errors of `begin`, and Conflict if the scheduled run starts at the same moment.
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
    """Include added recipients in a scheduled run, if it is a run for all recipients. Raises the errors of `reschedule`."""
    run = live_run(campaign.pk)
    if run is not None and run.statuses is None and run.individual is None:
        reschedule(campaign)
