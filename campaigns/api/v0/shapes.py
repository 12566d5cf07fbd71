"""The JSON of campaigns, numbers, lists, templates and departments in v0, for the schema."""

from __future__ import annotations

from campaigns.api.approval import AWAITING
from campaigns.api.rule_shapes import RULES
from campaigns.api.v0.hearing import STATES
from campaigns.api.v0.misspellings import NUMBERS_CAMPAIGN
from campaigns.api.v0.serializers import CAMPAIGN_STATUSES
from campaigns.api.v0.statement import CHANNELS
from campaigns.api.words import RECIPIENT_STATUSES, SERVICES
from iris.api.openapi.shapes import (
    ANY,
    BOOL,
    CREDITS,
    DAY,
    INT,
    MOMENT,
    NUMBER,
    PAGINATION,
    PHONE_NUMBER,
    TAGS,
    TEXT,
    V0_ERROR_ITEM,
    Shape,
    mapping,
    named,
    nullable,
    words,
)

CAMPAIGN_STATUS = words(CAMPAIGN_STATUSES.values())
RECIPIENT_STATUS = words(RECIPIENT_STATUSES.values())
LEFT_OUT = named(
    "LeftOut", {"code": TEXT, "message": TEXT}, about="Why the rules of the run left a number out."
)
IMPORT = named(
    "Import",
    {"status": TEXT, "imported": INT, "message": nullable(TEXT), "errors": [V0_ERROR_ITEM]},
    about="The latest import of a sheet in the background.",
)
WAVE = named(
    "Wave",
    {
        "number?": INT,
        "size?": nullable(INT),
        "state": TEXT,
        "message?": TEXT,
        "succeeded?": INT,
        "in_progress?": INT,
    },
    about="How the wave of the run stands.",
)
CONTENT = named(
    "RunContent",
    {
        "message": TEXT,
        "sms_message": TEXT,
        "audio": nullable(TEXT),
        "voice": TEXT,
        "speed": NUMBER,
        "caller": TEXT,
        "starts_at": nullable(MOMENT),
        "statuses": nullable([RECIPIENT_STATUS]),
        "individual": nullable(INT),
        "sms_after": [RECIPIENT_STATUS],
        "credits": CREDITS,
        **RULES,
    },
    about="Everything that a run would send.",
)
APPROVAL = named(
    "Approval",
    {
        "state": words((AWAITING, "approved", "rejected", "expired", "withdrawn", "paused", "stopped")),
        "run?": INT,
        "recipients?": INT,
        "authors?": [TEXT],
        "begun_at?": MOMENT,
        "approve_until?": nullable(MOMENT),
        "approved_at?": nullable(MOMENT),
        "decided_by?": nullable(TEXT),
        "reason?": nullable(TEXT),
        "sends?": CONTENT,
    },
    about="The approval of a run that needs one. Lists show only its state.",
)
CAMPAIGN: dict[str, Shape] = {
    "id": INT,
    "name": TEXT,
    "user_phone": [ANY],
    "services": words(SERVICES.values()),
    "description": TEXT,
    "usable_tags?": [TEXT],
    "status": CAMPAIGN_STATUS,
    "number_count": INT,
    "pause_reason?": TEXT,
    "notice?": TEXT,
    "approval?": APPROVAL,
    "wave?": WAVE,
}
LISTED_CAMPAIGN = named("V0Campaign", CAMPAIGN)
CREATED_CAMPAIGN = named(
    "V0CreatedCampaign", {**CAMPAIGN, "import?": IMPORT, "number_column?": nullable(TEXT)}
)
CAMPAIGN_DETAILS = named(
    "V0CampaignDetails",
    {
        **CAMPAIGN,
        "import?": IMPORT,
        "credit_limit?": CREDITS,
        "template?": {"id": INT, "version": INT},
        **RULES,
        "waits_until?": MOMENT,
        "expected_end?": MOMENT,
        "left_out?": mapping(INT),
    },
)
REACH: dict[str, Shape] = {
    "left_out?": LEFT_OUT,
    "attempts?": INT,
    "next_try_at?": nullable(MOMENT),
}
NUMBER_DETAILS = named(
    "V0Number",
    {
        "id": INT,
        "number": PHONE_NUMBER,
        NUMBERS_CAMPAIGN: TEXT,
        "available_tags": TAGS,
        "status": RECIPIENT_STATUS,
        "duration": nullable(INT),
        "playback": nullable(INT),
        "credit_consumed": CREDITS,
        **REACH,
    },
)
# A search examines a part of a campaign's numbers. The next one begins at `before`.
SEARCH_PAGINATION = named("V0SearchPagination", {**PAGINATION, "before?": nullable(INT)})
REASON = named(
    "Reason",
    {
        "code": TEXT,
        "message": TEXT,
        "count?": INT,
        "trunk?": TEXT,
        "since?": MOMENT,
        "until?": MOMENT,
    },
    about="What holds a campaign or a number back now.",
)
HEARING = {
    "run": INT,
    "recipients": INT,
    "counts": dict.fromkeys(STATES.values(), INT),
    "numbers": [
        {
            "id": INT,
            "number": TEXT,
            "state": words(STATES.values()),
            "heard_at": nullable(MOMENT),
            "household?": ANY,
        }
    ],
}
REPORT_FILE = {
    "format": TEXT,
    "run": nullable(INT),
    "status": TEXT,
    "percent": INT,
    "requested_at": MOMENT,
}

LIST: dict[str, Shape] = {
    "id": INT,
    "name": TEXT,
    "description": TEXT,
    "usable_tags": [TEXT],
    "number_count": INT,
    "campaigns": INT,
    "created_at": MOMENT,
    "updated_at": MOMENT,
}
LISTED_LIST = named("V0List", LIST)
LIST_DETAILS = named("V0ListDetails", {**LIST, "import?": IMPORT})
FILLED_LIST: dict[str, Shape] = {
    "list": LISTED_LIST,
    "added": INT,
    "in_background": BOOL,
    "number_column?": nullable(TEXT),
}
CONTACT = named("V0Contact", {"id": INT, "number": PHONE_NUMBER, "available_tags": TAGS})

VERSION: dict[str, Shape] = {
    "version": INT,
    "message": TEXT,
    "sms_message": TEXT,
    "voice_input": nullable(TEXT),
}
TEMPLATE = named(
    "V0Template", {"id": INT, "name": TEXT, **VERSION, "created_at": MOMENT, "updated_at": MOMENT}
)
TEMPLATE_VERSION = named("V0TemplateVersion", {**VERSION, "created_at": MOMENT})

FIGURES: dict[str, Shape] = {
    "balance": CREDITS,
    "on_hold": CREDITS,
    "spent": CREDITS,
    "campaigns": {"total": INT, **dict.fromkeys(CAMPAIGN_STATUSES.values(), INT)},
}
DEPARTMENT = named(
    "V0Department", {"id": INT, "name": TEXT, "is_suspended": BOOL, "created_at": MOMENT, **FIGURES}
)
TRANSFER = {
    "transfer": {"amount": CREDITS, "direction": TEXT, "note": TEXT, "created_at": MOMENT},
    "account": {"id": INT, "balance": CREDITS},
    "department": {"id": INT, "balance": CREDITS},
}
_AMOUNT = TEXT  # with all its decimals
STATEMENT = named(
    "V0Statement",
    {
        "from": DAY,
        "to": DAY,
        "time_zone": TEXT,
        "opening": {"balance": _AMOUNT, "held": _AMOUNT},
        "lines": [
            {
                "day": DAY,
                "kind": TEXT,
                "purpose": nullable(TEXT),
                "campaign_id": nullable(INT),
                "campaign": nullable(TEXT),
                "channel": nullable(words(word for word in CHANNELS.values() if word)),
                "entries": INT,
                "amount": _AMOUNT,
                "balance": _AMOUNT,
                "held": _AMOUNT,
            }
        ],
        "closing": {"balance": _AMOUNT, "held": _AMOUNT},
        "closed_until": nullable(DAY),
        "hash": nullable(TEXT),
    },
)
