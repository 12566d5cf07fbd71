"""Campaigns in the v0 dialect."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import actors
from accounts.api.account import account_of
from accounts.api.permissions import needs, require
from accounts.permissions import Permission
from campaigns import runs, services
from campaigns.api.approval import approval_json, begun_json
from campaigns.api.rules import rules_json
from campaigns.api.v0.filters import CampaignFilter
from campaigns.api.v0.known_fields import refuse_query
from campaigns.api.v0.lookups import campaign_of
from campaigns.api.v0.misspellings import CAMPAIGN_LISTS, DELETED_CAMPAIGN, HOLD_AMOUNT
from campaigns.api.v0.serializers import (
    Approval,
    Beginning,
    CampaignChanges,
    NewCampaign,
    Rejection,
    begin_message,
    campaign_json,
    details,
    hold_message,
    import_json,
    limit_json,
    resume_message,
    text_version_json,
)
from campaigns.models import Campaign
from campaigns.recipients import lists
from iris.api import idempotency, parsers
from iris.api.envelope import envelope, success
from iris.api.fields import validated
from iris.api.pagination import paginate
from iris.api.viewsets import V0ViewSet, reads, retries


class CampaignViewSet(V0ViewSet):
    """Campaigns. The v0 documentation does not have approve, reject, stop, pause, resume and next_wave."""

    filterset_class = CampaignFilter

    def get_queryset(self) -> QuerySet[Any]:
        return Campaign.objects.owned_by(account_of(self.request)).with_status().order_by("-id")

    @needs(Permission.VIEW)
    def list(self, request: Request) -> Response:
        """List campaigns, without the envelope, as documented."""
        page = paginate(request, self.filter_queryset(self.get_queryset()))
        shown = [campaign_json(campaign, run_status=campaign.run_status) for campaign in page.items]
        result = {"messages": "Campaign Successfully Retrieved", CAMPAIGN_LISTS: shown}
        return Response({"pagination": page.pagination, "result": result})

    @reads(parsers.LIST_AND_FILES)
    @needs(Permission.PREPARE)
    def create(self, request: Request) -> Response:
        account = account_of(request)
        new = validated(NewCampaign(data=request.data, context={"account": account}))
        if "contact_list" in new:
            new["contact_list"] = lists.find_list(account=account, pk=new["contact_list"])
        campaign, skipped, number_heading = services.create_campaign(account=account, **new)
        shown = campaign_json(campaign, run_status=None, usable_tags=False) | import_json(campaign)
        if "sheet" in new:
            shown["number_column"] = number_heading  # an addition
        answer = envelope(
            status=201,
            success=True,
            message="Campaign Created Successfully",
            errors=skipped,
            data={"details": details(shown)},
        )
        return Response(answer, status=201)

    @needs(Permission.VIEW)
    def retrieve(self, request: Request, campaign_id: int) -> Response:
        campaign = campaign_of(request, campaign_id)
        shown = campaign_json(campaign, run_status=campaign.run_status) | import_json(campaign)
        shown |= (
            limit_json(campaign)
            | text_version_json(campaign)
            | rules_json(campaign)
            | approval_json(campaign, request._request)
        )
        return success({"messages": "Details Retrived successfully", "details": details(shown)})  # sic

    @reads(parsers.TEXTS)
    @needs(Permission.PREPARE)
    def update(self, request: Request, campaign_id: int) -> Response:
        campaign = campaign_of(request, campaign_id)
        refuse_query(request)
        run_status = campaign.run_status
        campaign = services.update_campaign(
            campaign=campaign, **validated(CampaignChanges(data=request.data))
        )
        return success(
            {"details": details(campaign_json(campaign, run_status=run_status, usable_tags=False))},
            message="Campaign details successfully updated.",
        )

    @reads(parsers.TEXTS)
    @needs(Permission.PREPARE)
    def destroy(self, request: Request, campaign_id: int) -> Response:
        services.delete_campaign(campaign=campaign_of(request, campaign_id))
        return success({DELETED_CAMPAIGN: "Campaign Deleted Succesfully"})  # sic

    @reads(parsers.LIST_AND_FILES)
    @needs(Permission.SEND)
    def begin(self, request: Request, campaign_id: int) -> Response:
        campaign = campaign_of(request, campaign_id)
        refuse_query(request)
        sent = validated(Beginning(data=request.data))
        if sent["urgent"] is not None:
            require(request, Permission.URGENT)
        run = runs.begin(campaign=campaign, **sent)
        held = {HOLD_AMOUNT: hold_message(run, campaign=campaign)}
        return success({**held, **begun_json(run)}, message=begin_message(run))

    @reads(parsers.TEXTS)
    @needs(Permission.SEND)
    def approve(self, request: Request, campaign_id: int) -> Response:
        campaign = campaign_of(request, campaign_id)
        refuse_query(request)
        run_id = validated(Approval(data=request.data))["run"]
        run = runs.approve(campaign=campaign, run_id=run_id, by=actors.current())
        return success({"run": run.pk}, message=resume_message(run))

    @reads(parsers.TEXTS)
    @needs(Permission.SEND)
    def reject(self, request: Request, campaign_id: int) -> Response:
        campaign = campaign_of(request, campaign_id)
        refuse_query(request)
        sent = validated(Rejection(data=request.data))
        run = runs.reject(
            campaign=campaign, run_id=sent.get("run"), words=sent.get("reason", ""), by=actors.current()
        )
        return success(
            {"run": run.pk}, message="The run is rejected: it does not start, and its credits are released."
        )

    @reads(parsers.TEXTS)
    @retries(idempotency.HARMLESS)
    @needs(Permission.PREPARE)
    def stop(self, request: Request, campaign_id: int) -> Response:
        stopped = runs.stop(campaign=campaign_of(request, campaign_id))
        return success(
            {"in_flight": len(stopped.in_flight), "ids": stopped.in_flight},
            message="Campaign is stopped: nothing more will be sent.",
        )

    @reads(parsers.TEXTS)
    @retries(idempotency.HARMLESS)
    @needs(Permission.PREPARE)
    def pause(self, request: Request, campaign_id: int) -> Response:
        runs.pause(campaign=campaign_of(request, campaign_id))
        return success(message="Campaign is paused")

    @reads(parsers.TEXTS)
    @retries(idempotency.UNCERTAIN)
    @needs(Permission.SEND)
    def resume(self, request: Request, campaign_id: int) -> Response:
        run = runs.resume(campaign=campaign_of(request, campaign_id))
        return success(message=resume_message(run))

    @reads(parsers.TEXTS)
    @needs(Permission.SEND)
    def next_wave(self, request: Request, campaign_id: int) -> Response:
        run = runs.next_wave(campaign=campaign_of(request, campaign_id))
        return success({"wave": run.wave}, message=f"Wave {run.wave} of the campaign begins")
