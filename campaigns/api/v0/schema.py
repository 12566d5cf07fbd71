"""The operations of campaigns in v0, for the schema."""

from __future__ import annotations

from campaigns.api.recipient_filters import RecipientFilter
from campaigns.api.v0 import hearing, lists, report_files
from campaigns.api.v0 import serializers as wire
from campaigns.api.v0 import shapes as shown
from campaigns.api.v0.account_schema import DEPARTMENTS, TEMPLATES
from campaigns.api.v0.filters import CampaignFilter
from campaigns.api.v0.misspellings import (
    CAMPAIGN_LISTS,
    DELETED_CAMPAIGN,
    DELETED_NUMBER,
    HOLD_AMOUNT,
    NUMBER_DETAIL,
    NUMBER_LISTS,
)
from iris.api.openapi.operations import V0_PAGES, Area, Operation
from iris.api.openapi.shapes import (
    INT,
    MOMENT,
    TEXT,
    V0_PAGINATION,
    either,
    enveloped,
    file,
    nullable,
    schema_of,
)

_MONEY = (402, 404, 409)
_OK = enveloped()
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

CAMPAIGNS = Area(
    "v0 campaigns",
    "Create, change, begin and stop campaigns.",
    {
        "GET v0-campaigns": Operation(
            id="v0_list_campaigns",
            summary="List campaigns, newest first",
            about="This response has no envelope, as documented.",
            filters=CampaignFilter,
            pages=V0_PAGES,
            answers={
                200: schema_of(
                    {
                        "pagination": V0_PAGINATION,
                        "result": {"messages": TEXT, CAMPAIGN_LISTS: [shown.LISTED_CAMPAIGN]},
                    }
                )
            },
        ),
        "POST v0-campaigns": Operation(
            id="v0_create_campaign",
            summary="Create a campaign with its numbers",
            about="The numbers are a list, a sheet or a contact list. Rows that are skipped are under `errors`.",
            body=wire.NewCampaign,
            answers={201: enveloped({"details": either([shown.CREATED_CAMPAIGN], shown.CREATED_CAMPAIGN)})},
            refuses=(404, 409),
        ),
        "GET v0-campaign": Operation(
            id="v0_get_campaign",
            summary="Show a campaign",
            answers={
                200: enveloped(
                    {"messages": TEXT, "details": either([shown.CAMPAIGN_DETAILS], shown.CAMPAIGN_DETAILS)}
                )
            },
        ),
        "PUT POST PATCH v0-campaign-update": Operation(
            id="v0_update_campaign",
            summary="Change a campaign",
            body=wire.CampaignChanges,
            answers={200: enveloped({"details": either([shown.LISTED_CAMPAIGN], shown.LISTED_CAMPAIGN)})},
            refuses=(402, 409),
        ),
        "DELETE v0-campaign-delete": Operation(
            id="v0_delete_campaign",
            summary="Delete a campaign",
            answers={200: enveloped({DELETED_CAMPAIGN: TEXT})},
            refuses=(409,),
        ),
        "POST v0-campaign-begin": Operation(
            id="v0_begin_campaign",
            summary="Call or text the numbers of a campaign",
            about="Holds the credits that the run can cost at most. With `status` or `individual` it begins again for some "
            "numbers. An `urgent` run needs the permission `urgent`, too.",
            body=wire.Beginning,
            answers={
                200: enveloped(
                    {
                        HOLD_AMOUNT: TEXT,
                        "approval?": {"state": TEXT, "run": INT, "approve_until": nullable(MOMENT)},
                    }
                )
            },
            refuses=_MONEY,
        ),
        "POST v0-campaign-approve": Operation(
            id="v0_approve_run",
            summary="Approve the run that waits for it",
            about="Only a second person can approve.",
            body=wire.Approval,
            answers={200: enveloped({"run": INT})},
            refuses=_MONEY,
        ),
        "POST v0-campaign-reject": Operation(
            id="v0_reject_run",
            summary="Reject the run that waits for approval",
            body=wire.Rejection,
            answers={200: enveloped({"run": INT})},
            refuses=(409,),
        ),
        "POST v0-campaign-stop": Operation(
            id="v0_stop_campaign",
            summary="Stop a campaign: nothing more is sent",
            about="`ids` are the numbers whose call or SMS can no longer be stopped.",
            answers={200: enveloped({"in_flight": INT, "ids": [INT]})},
            refuses=(409,),
        ),
        "POST v0-campaign-pause": Operation(
            id="v0_pause_campaign", summary="Pause a campaign", answers={200: _OK}, refuses=(409,)
        ),
        "POST v0-campaign-resume": Operation(
            id="v0_resume_campaign",
            summary="Resume a paused campaign",
            answers={200: _OK},
            refuses=_MONEY,
        ),
        "POST v0-campaign-next-wave": Operation(
            id="v0_begin_next_wave",
            summary="Begin the next wave of a campaign",
            answers={200: enveloped({"wave": INT})},
            refuses=(409,),
        ),
        "GET v0-campaign-why": Operation(
            id="v0_explain_campaign",
            summary="Show what holds a campaign back now",
            answers={
                200: enveloped(
                    {
                        "status": shown.CAMPAIGN_STATUS,
                        "queued": INT,
                        "under_way": INT,
                        "run": nullable(INT),
                        "reasons": [shown.REASON],
                        "at": MOMENT,
                    }
                )
            },
        ),
        "GET v0-campaign-heard": Operation(
            id="v0_list_heard",
            summary="Show who has heard an alert",
            query=hearing.HearingQuery,
            pages=V0_PAGES,
            answers={200: enveloped({**shown.HEARING, "pagination": V0_PAGINATION})},
        ),
        "GET v0-report": Operation(
            id="v0_get_report",
            summary="Download the report on a campaign",
            about="While a worker prepares the file, the response is a 202 with the progress.",
            query=report_files.ReportQuery,
            answers={
                200: {**file("text/csv"), **file(_XLSX)},
                202: enveloped({"report": shown.REPORT_FILE}),
            },
        ),
    },
)

NUMBERS = Area(
    "v0 numbers",
    "The phone numbers of a campaign, which the documentation also calls actions.",
    {
        "GET v0-campaign-numbers": Operation(
            id="v0_list_numbers",
            summary="List the numbers of a campaign, newest first",
            about="Without `page` and `page_size` the response has all numbers, and no `pagination`.",
            filters=RecipientFilter,
            pages=V0_PAGES,
            answers={
                200: enveloped(
                    {
                        "messages": TEXT,
                        NUMBER_LISTS: [shown.NUMBER_DETAILS],
                        "pagination?": shown.SEARCH_PAGINATION,
                    }
                )
            },
        ),
        "POST v0-campaign-numbers": Operation(
            id="v0_add_number",
            summary="Add a number to a campaign",
            body=wire.NewNumber,
            answers={201: enveloped({"messages": TEXT, NUMBER_LISTS: shown.NUMBER_DETAILS})},
            refuses=(409,),
        ),
        "GET v0-number": Operation(
            id="v0_get_number",
            summary="Show a number",
            answers={200: enveloped({"messages": TEXT, NUMBER_DETAIL: shown.NUMBER_DETAILS})},
        ),
        "PUT POST PATCH v0-number": Operation(
            id="v0_update_number",
            summary="Change a number or its tags",
            body=wire.NumberChanges,
            answers={200: enveloped({"details": shown.NUMBER_DETAILS})},
            refuses=(409,),
        ),
        "DELETE v0-number-delete": Operation(
            id="v0_delete_number",
            summary="Delete a number",
            answers={200: enveloped({DELETED_NUMBER: TEXT})},
            refuses=(409,),
        ),
        "GET v0-number-why": Operation(
            id="v0_explain_number",
            summary="Show what holds a number back now",
            answers={
                200: enveloped(
                    {
                        "status": shown.RECIPIENT_STATUS,
                        "run": nullable(INT),
                        "reasons": [shown.REASON],
                        "at": MOMENT,
                    }
                )
            },
        ),
    },
)

LISTS = Area(
    "v0 contact lists",
    "Saved lists of numbers, which any number of campaigns can use.",
    {
        "GET v0-lists": Operation(
            id="v0_list_lists",
            summary="List the contact lists, newest first",
            filters=lists.ListFilter,
            pages=V0_PAGES,
            answers={200: enveloped({"pagination": V0_PAGINATION, "lists": [shown.LISTED_LIST]})},
        ),
        "POST v0-lists": Operation(
            id="v0_create_list",
            summary="Create a contact list, with or without contacts",
            body=lists.NewList,
            answers={201: enveloped(shown.FILLED_LIST)},
            refuses=(409,),
        ),
        "GET v0-list": Operation(
            id="v0_get_list",
            summary="Show a contact list",
            answers={200: enveloped({"list": shown.LIST_DETAILS})},
        ),
        "PATCH v0-list": Operation(
            id="v0_update_list",
            summary="Change the name or the description of a contact list",
            body=lists.ListFields,
            answers={200: enveloped({"list": shown.LISTED_LIST})},
            refuses=(409,),
        ),
        "DELETE v0-list": Operation(
            id="v0_delete_list",
            summary="Delete a contact list",
            about="Campaigns that have used it keep their numbers.",
            answers={200: _OK},
            refuses=(409,),
        ),
        "GET v0-contacts": Operation(
            id="v0_list_contacts",
            summary="List the contacts of a list, newest first",
            filters=lists.ContactFilter,
            pages=V0_PAGES,
            answers={200: enveloped({"pagination": V0_PAGINATION, "contacts": [shown.CONTACT]})},
        ),
        "POST v0-contacts": Operation(
            id="v0_add_contacts",
            summary="Add contacts to a list",
            body=lists.Additions,
            answers={201: enveloped(shown.FILLED_LIST)},
            refuses=(409,),
        ),
        "DELETE v0-contact": Operation(
            id="v0_delete_contact",
            summary="Remove a contact from a list",
            answers={200: _OK},
            refuses=(409,),
        ),
        "POST v0-campaign-list": Operation(
            id="v0_use_list",
            summary="Add the contacts of a list to a campaign",
            body=lists.ChosenList,
            answers={200: enveloped({"campaign": INT, "list": INT, "added": INT})},
            refuses=(409,),
        ),
    },
)

AREAS = [CAMPAIGNS, NUMBERS, LISTS, TEMPLATES, DEPARTMENTS]
