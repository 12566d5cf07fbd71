"""The operations of phone numbers and voices in v1, for the schema."""

from __future__ import annotations

from iris.api.openapi.operations import Area, Operation
from iris.api.openapi.shapes import BOOL, INT, TEXT, named, schema_of
from telephony.api.filters import PhoneNumberFilter

VOICE = named(
    "V1Voice",
    {"id": INT, "voice_display_name": TEXT, "voice_internal_name": TEXT, "is_premium": BOOL},
)
_NUMBERS = schema_of([{"id": INT, "phone_number": TEXT}])

AREAS = [
    Area(
        "v1 phone numbers and voices",
        "The account's phone numbers, and the voices.",
        {
            "GET v1-dialers": Operation(
                id="v1_list_dialers",
                summary="List the account's phone numbers, as callers",
                filters=PhoneNumberFilter,
                answers={200: _NUMBERS},
            ),
            "GET v1-active-numbers": Operation(
                id="v1_list_active_numbers",
                summary="List the account's phone numbers",
                filters=PhoneNumberFilter,
                answers={200: _NUMBERS},
            ),
            "DELETE v1-release": Operation(
                id="v1_release_phone_number",
                summary="Give back a phone number",
                answers={200: schema_of({"message": TEXT})},
                refuses=(409,),
            ),
            "GET v1-voices": Operation(
                id="v1_list_voices",
                summary="List the voices",
                answers={200: schema_of([VOICE])},
            ),
        },
    )
]
