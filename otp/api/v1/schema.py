"""The operations of OTPs in v1, for the schema."""

from __future__ import annotations

from iris.api.openapi.operations import V1_PAGES, Area, Operation
from iris.api.openapi.shapes import (
    ANY,
    CREDITS,
    INT,
    MOMENT,
    NUMBER,
    TEXT,
    TRUE,
    Schema,
    enveloped,
    v1_page,
    words,
)
from otp.api.v0.serializers import CHANNELS, ORIGINS
from otp.api.v1.filters import OtpFilter
from otp.api.v1.serializers import NewOtp

_NO_ERRORS = Schema(type="array", items=ANY, maxItems=0)

AREAS = [
    Area(
        "v1 one-time passwords",
        "One-time passwords to single numbers.",
        {
            "POST v1-send-otp": Operation(
                id="v1_send_otp",
                summary="Send a one-time password to one number",
                about="The response has the envelope of v0, as documented.",
                body=NewOtp,
                answers={
                    200: enveloped(
                        {
                            "details": {
                                "number": TEXT,
                                "otp_options": words(ORIGINS),
                                "message": TEXT,
                                "otp": TEXT,
                                "sms_send_options": words(CHANNELS),
                                "credits_used": CREDITS,
                                "remaining_sms_credits": CREDITS,
                                "remaining_phone_credits": CREDITS,
                                "voice_input?": TEXT,
                                "length_factor?": NUMBER,
                                "company_name": TEXT,
                            }
                        }
                    )
                },
                refuses=(402, 409),
            ),
            "GET v1-sent-otps": Operation(
                id="v1_list_otps",
                summary="List the OTPs that were sent, newest first",
                filters=OtpFilter,
                pages=V1_PAGES,
                answers={
                    200: v1_page(
                        {
                            "status": INT,
                            "success": TRUE,
                            "errors": _NO_ERRORS,
                            "data": [
                                {
                                    "id": INT,
                                    "phone_number": TEXT,
                                    "message": TEXT,
                                    "otp": TEXT,
                                    "otp_options": words(ORIGINS),
                                    "sms_send_options": words(CHANNELS),
                                    "created_at": MOMENT,
                                }
                            ],
                        }
                    )
                },
            ),
        },
    )
]
