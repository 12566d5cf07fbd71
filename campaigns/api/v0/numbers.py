"""The numbers of campaigns in the v0 dialect. It also calls them actions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns.api.recipient_filters import RecipientFilter
from campaigns.api.v0.known_fields import refuse_query
from campaigns.api.v0.lookups import campaign_of, recipient_of
from campaigns.api.v0.serializers import NewNumber, NumberChanges, number_json
from campaigns.models import Campaign, Recipient
from campaigns.recipients import editing
from campaigns.reports import states
from iris.api import parsers
from iris.api.envelope import envelope, success
from iris.api.fields import valid
from iris.api.pagination import paginate
from iris.api.viewsets import V0ViewSet, reads

NUMBER_LISTS = "number-lists"  # sic
STREAM_BATCH = 2_000  # recipients in memory while a list of numbers is streamed


class NumberViewSet(V0ViewSet):
    def list(self, request: Request, campaign_id: int) -> Response | StreamingHttpResponse:
        """List the campaign's numbers, filtered if filters are given, and paginated if a page is requested."""
        campaign = campaign_of(request, campaign_id)
        filters = RecipientFilter.of(request, campaign)
        message = f"Number related to {campaign.name} campaign Retrived successfully"  # sic
        if "page" in request.query_params or "page_size" in request.query_params:
            shown, pagination = _page(request, campaign, filters)
            return success({"messages": message, NUMBER_LISTS: shown, "pagination": pagination})
        newest_first = [campaign.recipients.order_by("-id")] if filters is None else filters.search_all()
        listing = _listing(campaign, message, newest_first)
        # The first batch is fetched before the response starts, so that an early failure still becomes an error response.
        started = b"".join(islice(listing, 2))
        return StreamingHttpResponse(chain([started], listing), content_type="application/json")

    @reads(parsers.TAGS)
    def create(self, request: Request, campaign_id: int) -> Response:
        campaign = campaign_of(request, campaign_id)
        recipient = editing.add_recipient(campaign=campaign, **valid(NewNumber(data=request.data)))
        return success(
            {
                "messages": f"{recipient.number} added to {campaign.name} campaign successfully!!",
                NUMBER_LISTS: _shown(campaign, [recipient])[0],  # callers expect a single object here
            },
            status=201,
        )

    def retrieve(self, request: Request, number_id: int) -> Response:
        recipient = recipient_of(request, number_id)
        return success(
            {
                "messages": f"{recipient.number} details retrieved successfully!!",
                "number-detail": _shown(recipient.campaign, [recipient])[0],  # sic
            }
        )

    @reads(parsers.TAGS)
    def update(self, request: Request, number_id: int) -> Response:
        recipient = recipient_of(request, number_id)
        refuse_query(request)
        recipient = editing.edit_recipient(recipient=recipient, **valid(NumberChanges(data=request.data)))
        return success(
            {"details": _shown(recipient.campaign, [recipient])[0]},
            message="Action details successfully updated.",
        )

    def destroy(self, request: Request, number_id: int) -> Response:
        recipient = recipient_of(request, number_id)
        editing.delete_recipient(recipient=recipient)
        deleted = f"{recipient.number} of campaign {recipient.campaign.name} deleted Successfully!!"
        return success({"campaign-details": deleted})  # sic


def _page(
    request: Request, campaign: Campaign, filters: RecipientFilter | None
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return one page of numbers, and its `pagination`."""
    if filters is None:
        page = paginate(request, campaign.recipients.order_by("-id"), count=campaign.number_count)
        return _shown(campaign, list(page.items)), page.pagination
    stretch = filters.search()
    page = paginate(request, stretch.rows, then_before=stretch.ends_at)
    return _shown(campaign, list(page.items)), {**page.pagination, "before": stretch.ends_at}


def _shown(campaign: Campaign, listed: list[Recipient]) -> list[dict[str, Any]]:
    return [number_json(state, campaign=campaign) for state in states.states_of(campaign, listed)]


def _listing(
    campaign: Campaign, message: str, newest_first: Iterable[QuerySet[Recipient]]
) -> Iterator[bytes]:
    """Yield the JSON response with all these numbers in batches, because it can be larger than memory."""
    shell = envelope(status=200, success=True, message=None, data={"messages": message, NUMBER_LISTS: []})
    head, _, tail = json.dumps(shell, ensure_ascii=False).rpartition("[]")
    yield f"{head}[".encode()
    for number, batch in enumerate(_batches(newest_first)):
        rows = json.dumps(_shown(campaign, batch), ensure_ascii=False)[1:-1]
        yield f"{', ' if number else ''}{rows}".encode()
    yield f"]{tail}".encode()


def _batches(newest_first: Iterable[QuerySet[Recipient]]) -> Iterator[list[Recipient]]:
    for rows in newest_first:
        batch = list(rows[:STREAM_BATCH])
        while batch:
            yield batch
            batch = list(rows.filter(pk__lt=batch[-1].pk)[:STREAM_BATCH])
