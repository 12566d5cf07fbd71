"""The operation of OTPs in v0, for the schema."""

from __future__ import annotations

from iris.api.openapi.operations import Area, Operation
from iris.api.openapi.shapes import TEXT, enveloped, words
from otp.api.v0.serializers import CHANNELS, ORIGINS, NewOtp

AREAS = [
    Area(
        "v0 one-time passwords",
        "One-time passwords to single numbers.",
        {
            "POST v0-send-otp": Operation(
                id="v0_send_otp",
                summary="Send a one-time password to one number",
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
                            }
                        }
                    )
                },
                refuses=(402, 409),
            ),
        },
    )
]
