"""The JSON of campaigns, contacts and surveys in v1, for the schema."""

from __future__ import annotations

from campaigns.api.rule_shapes import RULES
from campaigns.api.v0.shapes import APPROVAL, REACH, WAVE
from campaigns.api.v1.steps import ANSWERS, KINDS
from campaigns.api.v1.words import (
    CAMPAIGN_STATUSES,
    CARRIERS,
    CATEGORIES,
    FAILOVER_TARGETS,
    OFFERED,
    OUTCOMES,
)
from campaigns.api.v1.words import KINDS as CAMPAIGN_KINDS
from campaigns.api.words import RECIPIENT_STATUSES
from campaigns.reports.dashboard import QUARTERS
from iris.api.openapi.shapes import (
    BOOL,
    CREDITS,
    DAY,
    FALSE,
    INT,
    MOMENT,
    NULL,
    NUMBER,
    PHONE_NUMBER,
    TAGS,
    TEXT,
    URL,
    Schema,
    Shape,
    mapping,
    named,
    nullable,
    words,
)
from telephony.api.v1.schema import VOICE

MESSAGE = {"message": TEXT}
CAMPAIGN: dict[str, Shape] = {
    "id": INT,
    "name": TEXT,
    "services": words(OFFERED),
    "status": words(CAMPAIGN_STATUSES.values()),
    "sms_message": TEXT,
    "message": TEXT,
    "description": TEXT,
    "schedule": nullable(MOMENT),
    "audio_file": nullable(URL),
    "bulk_file": NULL,
    "category": words(CATEGORIES.values()),
    "user_phone": [INT],
    "campaign_action_count": INT,
    "progress_percent": INT,
    "updated_at": MOMENT,
    "credit_limit": nullable(CREDITS),
    "voice": nullable(INT),
    "draft": BOOL,
    "failover_target": [words(FAILOVER_TARGETS)],
    "length_factor": TEXT,
    "pause_reason?": TEXT,
    "notice?": TEXT,
    "approval?": APPROVAL,
    "wave?": WAVE,
}
LISTED_CAMPAIGN = named("V1ListedCampaign", {**CAMPAIGN, "voice": nullable(VOICE)})
CAMPAIGN_DETAILS: dict[str, Shape] = {
    **CAMPAIGN,
    **RULES,
    "waits_until?": MOMENT,
    "expected_end?": MOMENT,
    "left_out?": mapping(INT),
}
ONE_CAMPAIGN = named("V1Campaign", CAMPAIGN_DETAILS)
CAMPAIGN_MESSAGE = named(
    "V1CampaignMessage",
    {
        "voice": nullable(INT),
        "sms_message": TEXT,
        "message": TEXT,
        "category": words(CATEGORIES.values()),
        "draft": BOOL,
        "length_factor": TEXT,
    },
)
BEGUN = {"message": TEXT, "approval?": {"state": TEXT, "run": INT, "approve_until": nullable(MOMENT)}}

RECIPIENT_STATUS = words(RECIPIENT_STATUSES.values())
ANSWERED = mapping(nullable(TEXT))
CONTACT: dict[str, Shape] = {
    "id": INT,
    "number": TEXT,
    "status": RECIPIENT_STATUS,
    "updated_at": MOMENT,
    "call_duration": TEXT,
    "playback": TEXT,
    "credit_consumed": CREDITS,
    "credit_consumed_SMS": CREDITS,
    "carrier": words(CARRIERS.values()),
    **REACH,
}
ONE_CONTACT = named("V1Contact", CONTACT)
LISTED_CONTACT = named("V1ListedContact", {**CONTACT, "answers?": ANSWERED})
ADDED_CONTACT = named(
    "V1AddedContact", {"message": TEXT, **CONTACT, "attributes": TAGS, "other_variables": TAGS}
)
ADDED_CONTACTS = named(
    "V1AddedContacts",
    {
        "created": INT,
        "skipped": INT,
        "contacts": [
            {
                "id": INT,
                "updated_at": TEXT,
                "created_at": MOMENT,
                "deleted_at": NULL,
                "number": TEXT,
                "status": RECIPIENT_STATUS,
                "other_variables": TAGS,
                "credit_consumed": INT,
                "credit_consumed_SMS": INT,
                "duration": TEXT,
                "playback": TEXT,
                "uuid": Schema(type="string", format="uuid"),
                "failover_sms_sent": FALSE,
                "campaing": INT,  # sic
            }
        ],
        "errors": nullable([{"row": INT, "message": TEXT}]),
    },
)
SHEET = {
    "error_list": [{"row": INT, "message": TEXT}],
    "samples": [{"column": TEXT, "sample": [PHONE_NUMBER]}],
    "total_validated_rows": INT,
    "message?": TEXT,
}
CARRIER_SUMMARY = mapping(INT)

_STEP: dict[str, Shape] = {
    "order": INT,
    "content_type": words(KINDS),
    "response_type": words(ANSWERS),
    "input_name": TEXT,
    "audio_file": nullable(URL),
    "text_or_url": TEXT,
}
STEP_FIELDS: dict[str, Shape] = {"id": INT, "survey": INT, **_STEP}
STEP = named("V1SurveyStep", STEP_FIELDS)
SURVEY = {**CAMPAIGN_DETAILS, "results": [STEP]}
SURVEY_REPORT = named(
    "V1SurveyReport",
    {
        "survey": INT,
        "campaign": INT,
        "name": TEXT,
        "steps": [{**STEP_FIELDS, "column": TEXT}],
        "results": [
            {
                "id": INT,
                "number": TEXT,
                "status": RECIPIENT_STATUS,
                "answered_at": nullable(MOMENT),
                "answers": ANSWERED,
                "other_variables": TAGS,
            }
        ],
        "count": INT,
        "summary": Schema(type="object"),
    },
)
SURVEY_TEMPLATE = named(
    "V1SurveyTemplate",
    {
        "id": INT,
        "name": TEXT,
        "voice": nullable(
            {
                "id": INT,
                "voice_display_name": TEXT,
                "voice_internal_name": TEXT,
                "is_premium": BOOL,
                "is_beta": FALSE,
            }
        ),
        "length_factor": TEXT,
        "content": [_STEP],
        "created_at": MOMENT,
    },
)

_SHARES = {"total": INT, **{word.lower().replace(" ", "_"): INT for word in CAMPAIGN_STATUSES.values()}}
DASHBOARD = named(
    "V1Dashboard",
    {
        "total_credits_purchased": CREDITS,
        "credits_used": CREDITS,
        "remaining_credits": CREDITS,
        "campaigns": {**_SHARES, "draft": INT},
        "outbound_calls": INT,
        "outbound_sms": INT,
        "total_call_duration": TEXT,
        "total_owned_numbers": INT,
        "total_playback": {"average_percent": NUMBER, "answered_calls": INT},
        "credit_spent": NUMBER,
        "top_performing_campaign": {
            "id": nullable(INT),
            "name": TEXT,
            "completed": INT,
            "total": INT,
            "completion_percent": NUMBER,
        },
        "playback_distribution": {
            f"{start}-{end}": INT
            for start, end in zip((0, *(end + 1 for end in QUARTERS)), QUARTERS, strict=False)
        },
        "campaign_type_ratio": dict.fromkeys(CAMPAIGN_KINDS.values(), NUMBER),
        "call_outcomes": dict.fromkeys(OUTCOMES.values(), INT),
        "credit_usage_overtime": [{"period": DAY, "message_credits": CREDITS, "call_credits": CREDITS}],
    },
)
