"""The results of a campaign as a file: one row for each person, with the words of the pages."""

from __future__ import annotations

from collections.abc import Iterator

from django.http import StreamingHttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit
from accounts.permissions import Permission
from campaigns.messages import PREFIX
from campaigns.models import Campaign
from campaigns.reports import progress, states, totals
from console import vocabulary
from console.access import page
from console.campaign_state import campaign_of
from console.downloads import csv_file
from console.visits import ConsoleRequest
from iris.api.spreadsheets import cell, line_writer


@page(Permission.VIEW)
def people_csv(request: ConsoleRequest, campaign_id: int) -> StreamingHttpResponse:
    """Answer all people of a campaign as CSV, and note in the audit log that they were exported."""
    campaign = campaign_of(request.visit, campaign_id)
    audit.note(
        account_id=campaign.owner_id,
        action="exported",
        kind="campaign",
        object_id=campaign.pk,
        name=campaign.name,
        campaign_id=campaign.pk,
        what="contacts",
    )
    return csv_file(_rows(campaign), name=f"people-{campaign.pk}.csv")


def _rows(campaign: Campaign) -> Iterator[str]:
    write = line_writer()
    tags = [cell(tag.removeprefix(PREFIX)) for tag in campaign.tags]
    names = (_("Phone number"), _("Outcome"), _("Seconds"), _("Heard (%)"), _("Credits"), _("Last change"))
    yield write([*names, *tags])
    for batch in totals.batches(campaign):
        changed = progress.changed_at(campaign, batch)
        lines = []
        for state in states.states_of(campaign, batch):
            recipient = state.recipient
            values = [
                cell(recipient.number),
                str(vocabulary.RECIPIENT[state.status].label),
                "" if state.seconds is None else round(state.seconds),
                "" if state.playback is None else state.playback,
                f"{state.credits:f}",
                f"{timezone.localtime(changed[recipient.pk]):%Y-%m-%d %H:%M}",
            ]
            lines.append(write([*values, *(cell(recipient.tags.get(tag, "")) for tag in campaign.tags)]))
        yield "".join(lines)
