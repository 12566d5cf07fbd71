"""Reports in the v1 dialect: a campaign's contacts as CSV, and the figures of the dashboard."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import chain, islice
from typing import Any

from django.http import StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import audit
from accounts.api.account import account_of
from accounts.api.amounts import credits_json
from accounts.api.permissions import needs
from accounts.permissions import Permission
from campaigns.api.v1.serializers import contact_json
from campaigns.api.v1.words import CAMPAIGN_STATUSES, KINDS, OUTCOMES
from campaigns.api.words import RECIPIENT_STATUSES
from campaigns.messages import PREFIX
from campaigns.models import Campaign
from campaigns.reports import progress, states, totals
from campaigns.reports.dashboard import QUARTERS, Dashboard, dashboard
from iris.api.views import V1View
from iris.errors import InvalidInput
from iris.spreadsheets import cell, line_writer
from telephony.models import DeliveryStatus

COLUMNS = (
    "number",
    "status",
    "call_duration",
    "playback",
    "credit_consumed",
    "credit_consumed_SMS",
    "carrier",
    "updated_at",
)

DAYS, MAX_DAYS = 30, 366


def report_of(campaign: Campaign) -> StreamingHttpResponse:
    """Return the campaign's contacts as CSV. It is streamed, so its memory does not grow with the contacts."""
    rows = _rows(campaign)
    # The first rows are fetched before the response starts, so that an early failure still becomes an error response.
    first_rows = "".join(islice(rows, 2))
    return StreamingHttpResponse(
        chain(["\ufeff" + first_rows], rows),  # without the byte order mark, Excel assumes another encoding
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="campaign-{campaign.pk}.csv"'},
    )


def note_export(campaign: Campaign, *, what: str) -> None:
    """Note in the audit log that somebody has exported contacts or responses of a campaign."""
    audit.note(
        account_id=campaign.owner_id,
        action="exported",
        kind="campaign",
        object_id=campaign.pk,
        name=campaign.name,
        campaign_id=campaign.pk,
        what=what,
    )


class DashboardView(V1View):
    @needs(Permission.VIEW)
    def get(self, request: Request) -> Response:
        figures = dashboard(account=account_of(request), days=_days(request))
        return Response(_dashboard_json(figures))


def _rows(campaign: Campaign) -> Iterator[str]:
    write = line_writer()
    names = [cell(tag.removeprefix(PREFIX)) for tag in campaign.tags]
    texts = ["sms_status"] if campaign.failover_statuses or campaign.service == "both" else []
    yield write([*COLUMNS, *texts, *names])
    for batch in totals.batches(campaign):
        changed = progress.changed_at(campaign, batch)
        lines = []
        for state in states.states_of(campaign, batch):
            recipient = state.recipient
            shown = contact_json(state, changed_at=changed[recipient.pk])
            sms = [RECIPIENT_STATUSES[recipient.sms_status]] if texts else []
            values = [recipient.tags.get(tag, "") for tag in campaign.tags]
            lines.append(write([*(cell(shown[column]) for column in COLUMNS), *sms, *map(cell, values)]))
        yield "".join(lines)


def _days(request: Request) -> int:
    text = request.query_params.get("days", "").strip() or str(DAYS)
    if not (text.isascii() and text.isdecimal() and len(text) <= 4 and 1 <= int(text) <= MAX_DAYS):
        sentence = f"This must be a whole number from 1 to {MAX_DAYS}."
        raise InvalidInput(f"days: {sentence}", errors=[{"field": "days", "message": sentence}])
    return int(text)


def _dashboard_json(figures: Dashboard) -> dict[str, Any]:
    """Return the documented keys. The documentation does not show the content of nested objects."""
    total = figures.campaigns.total() + figures.drafts
    by_status = {word.lower().replace(" ", "_"): 0 for word in CAMPAIGN_STATUSES.values()}
    for status, n in figures.campaigns.items():
        by_status[CAMPAIGN_STATUSES[status].lower().replace(" ", "_")] += n
    minutes, seconds = divmod(round(figures.seconds), 60)
    spent = sum((day.calls + day.sms for day in figures.spent), Decimal(0))
    sent = figures.calls + figures.sms
    starts = (0, *(end + 1 for end in QUARTERS))
    top = figures.top
    return {
        "total_credits_purchased": credits_json(figures.purchased),
        "credits_used": credits_json(figures.used),
        "remaining_credits": credits_json(figures.remaining),
        "campaigns": {"total": total, **by_status, "draft": figures.drafts},
        "outbound_calls": figures.calls,
        "outbound_sms": figures.sms,
        "total_call_duration": f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}",
        "total_owned_numbers": figures.numbers,
        "total_playback": {
            "average_percent": round(figures.heard / figures.answered, 2) if figures.answered else 0.0,
            "answered_calls": figures.answered,
        },
        "credit_spent": round(float(spent) / sent, 3) if sent else 0.0,
        "top_performing_campaign": {
            "id": top.id if top else None,
            "name": top.name if top else "",
            "completed": top.completed if top else 0,
            "total": top.deliveries if top else 0,
            "completion_percent": round(100 * top.completed / top.deliveries, 2) if top else 0.0,
        },
        "playback_distribution": {
            f"{start}-{end}": figures.quarters[end] for start, end in zip(starts, QUARTERS, strict=False)
        },
        "campaign_type_ratio": {
            word: round(100 * figures.services[service] / total, 2) if total else 0.0
            for service, word in KINDS.items()
        },
        "call_outcomes": {
            word: figures.outcomes[DeliveryStatus(status)] for status, word in OUTCOMES.items()
        },
        "credit_usage_overtime": [
            {
                "period": f"{day.day:%Y-%m-%d}",
                "message_credits": credits_json(day.sms),
                "call_credits": credits_json(day.calls),
            }
            for day in figures.spent
        ],
    }
