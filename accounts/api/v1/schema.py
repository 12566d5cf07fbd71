"""The operations of logins, the API key and the profile in v1, for the schema."""

from __future__ import annotations

from accounts.api.v0.serializers import LoginSerializer, LogoutSerializer
from iris.api.openapi.operations import Area, Operation
from iris.api.openapi.shapes import BOOL, INT, MOMENT, NULL, TEXT, TRUE, nullable, schema_of

PROFILE = schema_of(
    {
        "id": INT,
        "user": {"first_name": TEXT, "last_name": TEXT, "username": TEXT, "email": TEXT},
        "profile_picture": NULL,
        "contact_no": nullable(TEXT),
        "address": nullable(TEXT),
        "is_verified_contact": BOOL,
    }
)

AREAS = [
    Area(
        "v1 login",
        "Log in, refresh the access token, log out; the API key and the profile.",
        {
            "POST v1-login": Operation(
                id="v1_login",
                summary="Log in with an e-mail address and a password",
                about="The response also sets the tokens as cookies.",
                body=LoginSerializer,
                answers={
                    200: schema_of({"has_logged_in": TRUE, "message": TEXT, "access": TEXT, "refresh": TEXT})
                },
                refuses=(401, 403),
            ),
            "POST v1-refresh": Operation(
                id="v1_refresh_token",
                summary="Get a new access token for a refresh token",
                about="Without `refresh` in the body, the cookie is used.",
                body=schema_of({"refresh?": TEXT}),
                answers={200: schema_of({"message": TEXT, "access": TEXT})},
                refuses=(401,),
            ),
            "POST v1-logout": Operation(
                id="v1_logout",
                summary="End this login, or all logins of the person",
                body=LogoutSerializer,
                answers={200: schema_of({"message": TEXT})},
            ),
            "POST v1-generate-key": Operation(
                id="v1_generate_key",
                summary="Generate the API key, which is shown only once",
                answers={200: schema_of({"token": TEXT, "message": TEXT})},
            ),
            "GET v1-key": Operation(
                id="v1_get_key",
                summary="Show the beginning of the API key",
                answers={
                    200: schema_of({"token": TEXT, "last_used": nullable(MOMENT), "created_at": MOMENT})
                },
                refuses=(404,),
            ),
            "GET v1-profile": Operation(
                id="v1_get_profile",
                summary="Show the person who has logged in",
                answers={200: PROFILE},
            ),
            "GET v1-profile-before": Operation(
                id="v1_get_profile_at_earlier_path",
                summary="Show the person who has logged in, at the path of early clients",
                answers={200: PROFILE},
            ),
        },
    )
]
