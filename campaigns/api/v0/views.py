"""Campaigns and their numbers in the v0 dialect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from django.db.models import Q
from django.http import StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.account import account_of
from campaigns import runs, services
from campaigns.api.v0.serializers import (
    CAMPAIGN_STATUSES,
    Beginning,
    CampaignChanges,
    CampaignFilter,
    NewCampaign,
    NewNumber,
    NumberChanges,
    begun,
    campaign_json,
    details,
    import_json,
    number_json,
    on_hold,
)
from campaigns.models import Campaign, Recipient
from campaigns.recipients import editing
from campaigns.reports import states
from iris.api import parsers
from iris.api.envelope import envelope, success
from iris.api.pagination import paginate
from iris.api.views import V0View
from iris.errors import NotFound

NUMBER_LISTS = "number-lists"  # sic
STREAM_BATCH = 2_000  # recipients in memory while a list of numbers goes out


class Campaigns(V0View):
    reads = parsers.LIST_AND_FILES

    def get(self, request: Request) -> Response:
        """No envelope around this one, as documented."""
        page = paginate(request, _narrowed(request).order_by("-id"))
        shown = [campaign_json(campaign, run_status=campaign.run_status) for campaign in page.items]
        return Response(
            {
                "pagination": page.pagination,
                "result": {
                    "messages": "Campaign Successfully Retrieved",
                    "campaign-lists": shown,  # sic
                },
            }
        )

    def post(self, request: Request) -> Response:
        new = _valid(NewCampaign(data=request.data))
        campaign, skipped = services.create_campaign(owner=account_of(request), **new)
        shown = campaign_json(campaign, run_status=None, usable_tags=False) | import_json(campaign)
        answer = envelope(
            status=201,
            success=True,
            message="Campaign Created Successfully",
            errors=skipped,
            data={"details": details(shown)},
        )
        return Response(answer, status=201)


class Update(V0View):
    reads = parsers.TEXTS

    def put(self, request: Request, campaign_id: int) -> Response:
        campaign = _campaign(request, campaign_id)
        run_status = campaign.run_status
        campaign = services.update_campaign(campaign=campaign, **_valid(CampaignChanges(data=request.data)))
        return success(
            {"details": details(campaign_json(campaign, run_status=run_status, usable_tags=False))},
            message="Campaign details successfully updated.",
        )

    post = put
    patch = put


class Delete(V0View):
    reads = parsers.TEXTS

    def delete(self, request: Request, campaign_id: int) -> Response:
        services.delete_campaign(campaign=_campaign(request, campaign_id))
        return success({"camaign": "Campaign Deleted Succesfully"})  # sic


class Details(V0View):
    def get(self, request: Request, campaign_id: int) -> Response:
        campaign = _campaign(request, campaign_id)
        shown = campaign_json(campaign, run_status=campaign.run_status) | import_json(campaign)
        return success({"messages": "Details Retrived successfully", "details": details(shown)})  # sic


class Begin(V0View):
    reads = parsers.LIST_AND_FILES

    def post(self, request: Request, campaign_id: int) -> Response:
        campaign = _campaign(request, campaign_id)
        run = runs.begin(campaign=campaign, **_valid(Beginning(data=request.data)))
        return success({"hold amount": on_hold(run, campaign=campaign)}, message=begun(run))  # sic


class Stop(V0View):
    """An addition to what is documented."""

    reads = parsers.TEXTS

    def post(self, request: Request, campaign_id: int) -> Response:
        stopped = runs.stop(campaign=_campaign(request, campaign_id))
        return success(
            {"in_flight": len(stopped.in_flight), "ids": stopped.in_flight},
            message="Campaign is stopped: nothing more will be sent.",
        )


class Pause(V0View):
    """An addition to what is documented."""

    reads = parsers.TEXTS

    def post(self, request: Request, campaign_id: int) -> Response:
        runs.pause(campaign=_campaign(request, campaign_id))
        return success(message="Campaign is paused")


class Resume(V0View):
    """An addition to what is documented."""

    reads = parsers.TEXTS

    def post(self, request: Request, campaign_id: int) -> Response:
        runs.resume(campaign=_campaign(request, campaign_id))
        return success(message="Campaign is running")


class Numbers(V0View):
    """All numbers of a campaign, and adding one."""

    reads = parsers.TAGS

    def get(self, request: Request, campaign_id: int) -> Response | StreamingHttpResponse:
        campaign = _campaign(request, campaign_id)
        message = f"Number related to {campaign.name} campaign Retrived successfully"  # sic
        if "page" in request.query_params or "page_size" in request.query_params:
            page = paginate(request, campaign.recipients.order_by("-id"))
            shown = _shown(campaign, list(page.items))
            return success({"messages": message, NUMBER_LISTS: shown, "pagination": page.pagination})
        listing = _listing(campaign, message)
        # The first batch is fetched before anything is sent: what fails at once still becomes an error.
        started = b"".join(islice(listing, 2))
        return StreamingHttpResponse(chain([started], listing), content_type="application/json")

    def post(self, request: Request, campaign_id: int) -> Response:
        campaign = _campaign(request, campaign_id)
        recipient = editing.add_recipient(campaign=campaign, **_valid(NewNumber(data=request.data)))
        return success(
            {
                "messages": f"{recipient.number} added to {campaign.name} campaign successfully!!",
                NUMBER_LISTS: _shown(campaign, [recipient])[0],  # one object here, as callers read it
            },
            status=201,
        )


class DeleteNumber(V0View):
    def delete(self, request: Request, number_id: int) -> Response:
        recipient = _recipient(request, number_id)
        editing.delete_recipient(recipient=recipient)
        deleted = f"{recipient.number} of campaign {recipient.campaign.name} deleted Successfully!!"
        return success({"campaign-details": deleted})  # sic


class Number(V0View):
    """One number, and changing it."""

    reads = parsers.TAGS

    def get(self, request: Request, number_id: int) -> Response:
        recipient = _recipient(request, number_id)
        return success(
            {
                "messages": f"{recipient.number} details retrieved successfully!!",
                "number-detail": _shown(recipient.campaign, [recipient])[0],  # sic
            }
        )

    def put(self, request: Request, number_id: int) -> Response:
        recipient = _recipient(request, number_id)
        recipient = editing.edit_recipient(recipient=recipient, **_valid(NumberChanges(data=request.data)))
        return success(
            {"details": _shown(recipient.campaign, [recipient])[0]},
            message="Action details successfully updated.",
        )

    post = put
    patch = put


def _campaign(request: Request, campaign_id: int) -> Any:
    """The campaign with this id, with its `run_status`. Raises NotFound, also when it is somebody else's."""
    campaign = Campaign.objects.owned_by(account_of(request)).with_status().filter(pk=campaign_id).first()
    if campaign is None:
        raise NotFound("You have no campaign with this id. The list of campaigns has all that you have.")
    return campaign


def _recipient(request: Request, number_id: int) -> Recipient:
    recipient = (
        Recipient.objects.owned_by(account_of(request))
        .select_related("campaign")
        .filter(pk=number_id)
        .first()
    )
    if recipient is None:
        raise NotFound("You have no number with this id. The list of a campaign's numbers has the ids.")
    return recipient


def _valid(serializer: Any) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def _narrowed(request: Request) -> Any:
    """The user's campaigns, all or those that `?name=`, `?services=` and `?status=` choose."""
    chosen = _valid(CampaignFilter(data=request.query_params))
    campaigns = Campaign.objects.owned_by(account_of(request)).with_status()
    if "name" in chosen:
        campaigns = campaigns.filter(name__icontains=chosen["name"])
    if "services" in chosen:
        campaigns = campaigns.filter(service=chosen["services"])
    if "status" in chosen:
        meant = {status for status, word in CAMPAIGN_STATUSES.items() if word in chosen["status"]}
        never_run = Q(run_status__isnull=True) if None in meant else Q()
        campaigns = campaigns.filter(Q(run_status__in=meant - {None}) | never_run)
    return campaigns


def _shown(campaign: Campaign, listed: list[Recipient]) -> list[dict[str, Any]]:
    return [number_json(state, campaign=campaign) for state in states.states_of(campaign, listed)]


def _listing(campaign: Campaign, message: str) -> Iterator[bytes]:
    """The answer with all numbers, newest first, written batch by batch: it may be larger than our memory."""
    batches = _batches(campaign)
    shell = envelope(status=200, success=True, message=None, data={"messages": message, NUMBER_LISTS: []})
    head, _, tail = json.dumps(shell, ensure_ascii=False).rpartition("[]")
    yield f"{head}[".encode()
    for number, batch in enumerate(batches):
        rows = json.dumps(_shown(campaign, batch), ensure_ascii=False)[1:-1]
        yield f"{', ' if number else ''}{rows}".encode()
    yield f"]{tail}".encode()


def _batches(campaign: Campaign) -> Iterator[list[Recipient]]:
    newest_first = Recipient.objects.filter(campaign=campaign).order_by("-id")
    batch = list(newest_first[:STREAM_BATCH])
    while batch:
        yield batch
        batch = list(newest_first.filter(pk__lt=batch[-1].pk)[:STREAM_BATCH])
