"""The operations of campaigns, contacts and surveys in v1, for the schema."""

from __future__ import annotations

from campaigns.api.recipient_filters import RecipientFilter
from campaigns.api.v1 import serializers as wire
from campaigns.api.v1 import shapes as shown
from campaigns.api.v1 import surveys, templates
from campaigns.api.v1.filters import CampaignFilter, TemplateFilter
from campaigns.api.v1.reports import DAYS, MAX_DAYS
from iris.api.openapi.operations import V1_PAGES, Area, Operation
from iris.api.openapi.shapes import (
    CREDITS,
    INT,
    TAGS,
    TEXT,
    URL,
    Schema,
    file,
    mapping,
    nullable,
    schema_of,
    v1_page,
    words,
)

_MESSAGE = schema_of(shown.MESSAGE)
_BEGUN = schema_of(shown.BEGUN)
_STEPS = schema_of({"results": [shown.STEP]})
_MONEY = (402, 409)
_CONTACTS = v1_page(
    [shown.LISTED_CONTACT],
    {
        "before?": nullable(INT),
        "total_credits_consumed": CREDITS,
        "carrier_summary": shown.CARRIER_SUMMARY,
    },
)

CAMPAIGNS = Area(
    "v1 campaigns",
    "Create, change, run, stop and report campaigns.",
    {
        "GET v1-campaigns": Operation(
            id="v1_list_campaigns",
            summary="List campaigns",
            filters=CampaignFilter,
            pages=V1_PAGES,
            answers={200: v1_page([shown.LISTED_CAMPAIGN])},
        ),
        "POST v1-campaign-create": Operation(
            id="v1_create_campaign",
            summary="Create a campaign without contacts",
            body=wire.NewCampaign,
            answers={201: shown.ONE_CAMPAIGN},
            refuses=(404, 409),
        ),
        "GET v1-campaign": Operation(
            id="v1_get_campaign",
            summary="Show a campaign",
            answers={200: shown.ONE_CAMPAIGN},
        ),
        "PATCH PUT POST v1-campaign": Operation(
            id="v1_update_campaign",
            summary="Change a campaign",
            body=wire.CampaignChanges,
            answers={200: shown.ONE_CAMPAIGN},
            refuses=_MONEY,
        ),
        "DELETE v1-campaign": Operation(
            id="v1_delete_campaign",
            summary="Delete a campaign",
            answers={200: _MESSAGE},
            refuses=(409,),
        ),
        "PATCH PUT POST v1-campaign-message": Operation(
            id="v1_update_message",
            summary="Change the message of a campaign",
            body=wire.MessageChanges,
            answers={200: shown.CAMPAIGN_MESSAGE},
            refuses=_MONEY,
        ),
        "POST v1-campaign-run": Operation(
            id="v1_run_campaign",
            summary="Call or text the contacts of a campaign",
            answers={200: _BEGUN},
            refuses=_MONEY,
        ),
        "POST v1-campaign-stop": Operation(
            id="v1_stop_campaign",
            summary="Stop a campaign: nothing more is sent",
            answers={200: _MESSAGE},
        ),
        "POST v1-test-speak": Operation(
            id="v1_try_voice",
            summary="Listen to the message of a campaign, or to another text",
            about="The response is the address of the recording, as a bare JSON string.",
            body=wire.VoiceTry,
            answers={200: URL},
        ),
        "GET POST v1-report": Operation(
            id="v1_get_report",
            summary="Download the contacts of a campaign and their results",
            answers={200: file("text/csv")},
        ),
        "GET v1-dashboard": Operation(
            id="v1_get_dashboard",
            summary="Show figures of the account",
            parameters={"days": Schema(type="integer", minimum=1, maximum=MAX_DAYS, default=DAYS)},
            answers={200: shown.DASHBOARD},
        ),
    },
)

CONTACTS = Area(
    "v1 contacts",
    "The contacts of a campaign.",
    {
        "GET v1-contacts": Operation(
            id="v1_list_contacts",
            summary="List the contacts of a campaign, newest first",
            about="The totals are for the whole campaign, even if filters select some of its contacts.",
            filters=RecipientFilter,
            pages=V1_PAGES,
            answers={200: _CONTACTS},
        ),
        "GET v1-contacts-before": Operation(
            id="v1_list_contacts_at_earlier_path",
            summary="List the contacts of a campaign, at the path of early clients",
            filters=RecipientFilter,
            pages=V1_PAGES,
            answers={200: _CONTACTS},
        ),
        "POST v1-contact-add": Operation(
            id="v1_add_contacts",
            summary="Add one contact or a list of contacts",
            body=(wire.NewContact, wire.NewContacts),
            answers={201: Schema(anyOf=[shown.ADDED_CONTACT, shown.ADDED_CONTACTS])},
            refuses=(409,),
        ),
        "PATCH POST PUT v1-campaign-sheet": Operation(
            id="v1_add_sheet",
            summary="Add the contacts of an .xlsx or .csv file",
            body=wire.Sheet,
            answers={200: schema_of(shown.SHEET)},
            refuses=(409,),
        ),
        "GET v1-attributes": Operation(
            id="v1_get_attributes",
            summary="Show the attributes of a contact",
            answers={200: TAGS},
        ),
        "PATCH v1-attributes": Operation(
            id="v1_update_attributes",
            summary="Replace the attributes of a contact",
            body=mapping(Schema(type=["string", "number", "null"])),
            answers={200: TAGS},
            refuses=(409,),
        ),
        "PATCH PUT POST v1-contact-update": Operation(
            id="v1_update_contact",
            summary="Change a contact",
            body=wire.ContactChanges,
            answers={200: shown.ONE_CONTACT},
            refuses=(409,),
        ),
        "DELETE v1-contact-delete": Operation(
            id="v1_delete_contact",
            summary="Delete a contact",
            answers={200: _MESSAGE},
            refuses=(409,),
        ),
        "GET v1-contact-delete": Operation(
            id="v1_get_attributes_at_earlier_path",
            summary="Show the attributes of a contact, at the path of early clients",
            answers={200: TAGS},
        ),
        "POST v1-demo-call": Operation(
            id="v1_try_contact",
            summary="Call or text one contact as a trial",
            answers={200: _MESSAGE},
            refuses=_MONEY,
        ),
    },
)

SURVEYS = Area(
    "v1 surveys",
    "Calls that ask questions: their steps, runs, reports and templates.",
    {
        "GET v1-survey-steps": Operation(
            id="v1_list_steps", summary="List the steps of a survey", answers={200: _STEPS}
        ),
        "POST PUT PATCH v1-survey-steps": Operation(
            id="v1_update_steps",
            summary="Replace the steps of a survey, or attach recordings to them",
            about="A recording is a file of multipart/form-data. The name of its field is the position of the step, from 0.",
            body=surveys.NewSteps,
            more_files=True,
            answers={200: schema_of(shown.SURVEY)},
            refuses=(409,),
        ),
        "POST v1-survey-run": Operation(
            id="v1_run_survey",
            summary="Call the contacts of a survey",
            answers={200: _BEGUN},
            refuses=_MONEY,
        ),
        "POST v1-survey-test": Operation(
            id="v1_try_survey",
            summary="Call one contact of a survey as a trial",
            answers={200: _MESSAGE},
            refuses=_MONEY,
        ),
        "GET POST v1-survey-report": Operation(
            id="v1_get_survey_report",
            summary="Download the responses to a survey",
            about="With `format=json` the response is JSON, otherwise CSV.",
            parameters={"format": words(("json", "csv"))},
            answers={200: {**file("text/csv"), "application/json": shown.SURVEY_REPORT}},
        ),
        "GET v1-survey-templates": Operation(
            id="v1_list_survey_templates",
            summary="List the survey templates, newest first",
            filters=TemplateFilter,
            pages=V1_PAGES,
            answers={200: v1_page([shown.SURVEY_TEMPLATE], total_pages=False)},
        ),
        "POST v1-survey-templates": Operation(
            id="v1_create_survey_template",
            summary="Create a survey template",
            about="Recordings are files of multipart/form-data, called `step_0_audio_file` and so on.",
            body=templates.NewTemplate,
            more_files=True,
            answers={201: shown.SURVEY_TEMPLATE},
            refuses=(409,),
        ),
        "GET v1-survey-template": Operation(
            id="v1_get_survey_template",
            summary="Show a survey template",
            answers={200: shown.SURVEY_TEMPLATE},
        ),
        "PATCH PUT v1-survey-template": Operation(
            id="v1_update_survey_template",
            summary="Change a survey template",
            body=templates.TemplateChanges,
            more_files=True,
            answers={200: shown.SURVEY_TEMPLATE},
            refuses=(409,),
        ),
        "DELETE v1-survey-template": Operation(
            id="v1_delete_survey_template",
            summary="Delete a survey template",
            answers={200: _MESSAGE},
        ),
        "POST v1-survey-template-apply": Operation(
            id="v1_apply_survey_template",
            summary="Give the steps of a template to a campaign",
            body=schema_of({"campaign_id": INT}),
            answers={201: schema_of({"message": TEXT, "steps": [shown.STEP]})},
            refuses=(409,),
        ),
    },
)

AREAS = [CAMPAIGNS, CONTACTS, SURVEYS]
