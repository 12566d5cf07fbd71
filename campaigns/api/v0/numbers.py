"""The numbers of campaigns in the v0 dialect, which also calls them actions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.permissions import needs
from accounts.permissions import Permission
from campaigns.api.recipient_filters import RecipientFilter
from campaigns.api.v0.known_fields import refuse_query
from campaigns.api.v0.lookups import campaign_of, recipient_of
from campaigns.api.v0.misspellings import DELETED_NUMBER, NUMBER_DETAIL, NUMBER_LISTS
from campaigns.api.v0.serializers import NewNumber, NumberChanges, number_json
from campaigns.models import Campaign, Recipient
from campaigns.recipients import editing
from campaigns.reports import states
from campaigns.tag_sizes import rows_at_once
from iris.api import parsers
from iris.api.envelope import envelope, success
from iris.api.fields import validated
from iris.api.pagination import MAX_PAGE_SIZE, paginate
from iris.api.streaming import loaded, streamed
from iris.api.viewsets import V0ViewSet, reads

STREAM_BATCH = 2_000  # recipients in memory while a list of numbers is streamed


class NumberViewSet(V0ViewSet):
    @needs(Permission.VIEW)
    def list(self, request: Request, campaign_id: int) -> Response | StreamingHttpResponse:
        """List the campaign's numbers, filtered if filters are given, and paginated if a page is requested."""
        campaign = campaign_of(request, campaign_id)
        filters = RecipientFilter.of(request, campaign)
        message = f"Number related to {campaign.name} campaign Retrived successfully"  # sic
        if "page" in request.query_params or "page_size" in request.query_params:
            return _page(request, campaign, filters, message)
        newest_first = [campaign.recipients.order_by("-id")] if filters is None else filters.search_all()
        batches = _batches(newest_first, at_once=min(STREAM_BATCH, rows_at_once(campaign)))
        return _streamed(campaign, batches, messages=message)

    @reads(parsers.TAGS)
    @needs(Permission.PREPARE)
    def create(self, request: Request, campaign_id: int) -> Response:
        campaign = campaign_of(request, campaign_id)
        recipient = editing.add_recipient(campaign=campaign, **validated(NewNumber(data=request.data)))
        return success(
            {
                "messages": f"{recipient.number} added to {campaign.name} campaign successfully!!",
                NUMBER_LISTS: _shown(campaign, [recipient])[0],  # clients expect a single object here
            },
            status=201,
        )

    @needs(Permission.VIEW)
    def retrieve(self, request: Request, number_id: int) -> Response:
        recipient = recipient_of(request, number_id)
        return success(
            {
                "messages": f"{recipient.number} details retrieved successfully!!",
                NUMBER_DETAIL: _shown(recipient.campaign, [recipient])[0],
            }
        )

    @reads(parsers.TAGS)
    @needs(Permission.PREPARE)
    def update(self, request: Request, number_id: int) -> Response:
        recipient = recipient_of(request, number_id)
        refuse_query(request)
        recipient = editing.edit_recipient(recipient=recipient, **validated(NumberChanges(data=request.data)))
        return success(
            {"details": _shown(recipient.campaign, [recipient])[0]},
            message="Action details successfully updated.",
        )

    @needs(Permission.PREPARE)
    def destroy(self, request: Request, number_id: int) -> Response:
        recipient = recipient_of(request, number_id)
        editing.delete_recipient(recipient=recipient)
        deleted = f"{recipient.number} of campaign {recipient.campaign.name} deleted Successfully!!"
        return success({DELETED_NUMBER: deleted})


def _page(
    request: Request, campaign: Campaign, filters: RecipientFilter | None, message: str
) -> Response | StreamingHttpResponse:
    """Return one page of numbers, and the `pagination` that describes it.

    The page is streamed in batches if its numbers have long tags.
    """
    at_once = rows_at_once(campaign)
    left_out = ["tags"] if at_once < MAX_PAGE_SIZE else []
    if filters is None:
        newest_first = campaign.recipients.order_by("-id").defer(*left_out)
        page = paginate(request, newest_first, count=campaign.number_count)
        pagination = page.pagination
    else:
        stretch = filters.search()
        page = paginate(request, stretch.rows.defer(*left_out), next_before=stretch.ends_at)
        pagination = {**page.pagination, "before": stretch.ends_at}
    if left_out:
        batches = loaded(page.items, campaign.recipients.all(), at_once=at_once)
        return _streamed(campaign, batches, messages=message, pagination=pagination)
    return success(
        {"messages": message, NUMBER_LISTS: _shown(campaign, list(page.items)), "pagination": pagination}
    )


def _shown(campaign: Campaign, listed: list[Recipient]) -> list[dict[str, Any]]:
    return [number_json(state, campaign=campaign) for state in states.states_of(campaign, listed)]


def _streamed(
    campaign: Campaign, batches: Iterable[list[Recipient]], *, messages: str, **more: Any
) -> StreamingHttpResponse:
    """Return the response with all these numbers, streamed in batches, because it may be larger than the memory."""
    return streamed(
        lambda rows: envelope(
            status=200, success=True, message=None, data={"messages": messages, NUMBER_LISTS: rows, **more}
        ),
        (_shown(campaign, batch) for batch in batches),
    )


def _batches(newest_first: Iterable[QuerySet[Recipient]], *, at_once: int) -> Iterator[list[Recipient]]:
    for rows in newest_first:
        batch = list(rows[:at_once])
        while batch:
            yield batch
            batch = list(rows.filter(pk__lt=batch[-1].pk)[:at_once])
