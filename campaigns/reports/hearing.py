"""Read who has heard the latest alert of a campaign (`campaigns.runs.alerts`)."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, QuerySet

from campaigns.models import AlertRecipient, AlertState, Campaign, Run


@dataclass(frozen=True, kw_only=True)
class Hearing:
    """The latest run of a campaign that asked whether people have heard, and how many recipients are in each state.

    Recipients for whom the run has queued nothing yet count as waiting.
    """

    run: Run
    counts: dict[AlertState, int]

    def recipients(self, states: list[AlertState] | None) -> QuerySet[AlertRecipient]:
        """Return the recipients in these states, or in all, with their numbers and tags, in the order of the run."""
        rows = AlertRecipient.objects.filter(run=self.run).select_related("recipient").order_by("recipient")
        return rows if states is None else rows.filter(state__in=states)


def latest_hearing(campaign: Campaign) -> Hearing | None:
    """Return the campaign's latest alert, or None if it never had one."""
    runs = Run.objects.filter(campaign=campaign, rules__urgent__heard__has_key="sms")
    run = runs.order_by("-pk").first()
    if run is None:
        return None
    counted: dict[int, int] = dict(
        AlertRecipient.objects.filter(run=run).values_list("state").annotate(n=Count("pk"))
    )
    counts = {state: counted.get(state, 0) for state in AlertState}
    counts[AlertState.WAITING] += max(0, run.recipient_count - sum(counted.values()))
    return Hearing(run=run, counts=counts)
