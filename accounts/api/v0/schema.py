"""The operations of logins, accounts, members, keys and settings in v0, for the schema."""

from __future__ import annotations

from accounts.account_settings import SETTINGS
from accounts.actors import ActorKind
from accounts.api.v0 import keys, members, settings
from accounts.api.v0.audit import AuditFilter
from accounts.api.v0.request_log import RequestFilter
from accounts.api.v0.serializers import LoginSerializer, LogoutSerializer, RefreshSerializer
from accounts.permissions import KEY_SCOPES, OWNER, PRESETS, Permission
from iris.api.openapi.operations import V0_PAGES, Area, Operation
from iris.api.openapi.shapes import (
    ANY,
    BOOL,
    CREDITS,
    INT,
    MOMENT,
    TEXT,
    V0_PAGINATION,
    Schema,
    Shape,
    enveloped,
    file,
    mapping,
    named,
    nullable,
    words,
)

_OK = enveloped()
_FORMAT = words(("json", "csv"))
_PRESET = words((*PRESETS, OWNER, "custom"))
_PERMISSIONS = [words(Permission)]
LOGGED_REQUEST = named(
    "V0LoggedRequest",
    {
        "request": TEXT,
        "at": MOMENT,
        "method": TEXT,
        "path": TEXT,
        "status": INT,
        "code": nullable(TEXT),
        "milliseconds": INT,
        "request_body": TEXT,
        "response_body": TEXT,
    },
    about="A request and its response, without secrets, messages and phone numbers.",
)
MEMBER = named(
    "V0Member",
    {
        "id": INT,
        "email": TEXT,
        "first_name": TEXT,
        "last_name": TEXT,
        "preset": _PRESET,
        "permissions": _PERMISSIONS,
        "joined_at": MOMENT,
    },
)
KEY: dict[str, Shape] = {
    "id": INT,
    "name": TEXT,
    "test": BOOL,
    "beginning": TEXT,
    "scopes": [words(KEY_SCOPES)],
    "created_by": nullable(TEXT),
    "created_at": MOMENT,
    "expires_at": nullable(MOMENT),
    "last_used_at": nullable(MOMENT),
    "revoked_at": nullable(MOMENT),
}
LISTED_KEY = named("V0Key", KEY)
CREATED_KEY = named("V0CreatedKey", {**KEY, "token": TEXT}, about="The key, which is shown only once.")
TWIN = named(
    "V0Twin",
    {
        "id": INT,
        "name": TEXT,
        "twin_of": INT,
        "balance": CREDITS,
        "on_hold": CREDITS,
        "spent": CREDITS,
    },
)
ACCOUNT_SETTINGS = named(
    "V0Settings",
    {
        **dict.fromkeys(SETTINGS, ANY),
        "time_zone": TEXT,
        "language": nullable(TEXT),
        "default_services": nullable(words(settings.SERVICES)),
        "default_spending_limit": nullable(CREDITS),
        "erased": nullable(Schema(type="object")),
    },
    about="All settings of an account. Settings that are switched off are null.",
)
AUDIT_ENTRY = named(
    "V0AuditEntry",
    {
        "id": INT,
        "at": MOMENT,
        "sentence": TEXT,
        "action": TEXT,
        "actor": {"kind": words(ActorKind), "id": nullable(INT), "name": TEXT, "email": TEXT},
        "object": {"kind": TEXT, "id": nullable(INT), "name": TEXT},
        "campaign": nullable(INT),
        "address": nullable(TEXT),
        "request": TEXT,
        "details": mapping(ANY),
    },
)

LOGIN = Area(
    "v0 login",
    "Log in, refresh the access token, log out.",
    {
        "POST v0-login": Operation(
            id="v0_login",
            summary="Log in with an e-mail address and a password",
            body=LoginSerializer,
            answers={
                200: enveloped(
                    {
                        "token": {"refresh": TEXT, "access": TEXT},
                        "user_data": {"first_name": TEXT, "last_name": TEXT, "email": TEXT},
                    }
                )
            },
            refuses=(401, 403),
        ),
        "POST v0-token-refresh": Operation(
            id="v0_refresh_token",
            summary="Get a new access token for a refresh token",
            about="This response has no envelope, as documented.",
            body=RefreshSerializer,
            answers={200: Schema(type="object", properties={"access": TEXT}, required=["access"])},
            refuses=(401,),
        ),
        "POST v0-logout": Operation(
            id="v0_logout",
            summary="End this login, or all logins of the person",
            body=LogoutSerializer,
            answers={200: _OK},
        ),
        "GET v0-user-details": Operation(
            id="v0_get_user",
            summary="Show the person who has logged in",
            answers={
                200: enveloped(
                    {
                        "user_details": {
                            "first_name": TEXT,
                            "last_name": TEXT,
                            "email": TEXT,
                            "username": TEXT,
                            "is_verified_email": BOOL,
                            "contact_number": nullable(TEXT),
                            "is_verified_phone": BOOL,
                            "address": nullable(TEXT),
                        }
                    }
                )
            },
        ),
    },
)

ACCOUNTS = Area(
    "v0 accounts and members",
    "Accounts of several people, their test twins and their settings.",
    {
        "GET v0-accounts": Operation(
            id="v0_list_accounts",
            summary="List the accounts of the person who has logged in",
            pages=V0_PAGES,
            answers={
                200: enveloped(
                    {
                        "pagination": V0_PAGINATION,
                        "accounts": [
                            {
                                "id": INT,
                                "name": TEXT,
                                "preset": _PRESET,
                                "permissions": _PERMISSIONS,
                                "is_current": BOOL,
                                "parent": nullable(INT),
                                "twin_of": nullable(INT),
                            }
                        ],
                    }
                )
            },
        ),
        "GET v0-twin": Operation(
            id="v0_get_twin",
            summary="Show the test twin, or null if there is none",
            answers={200: enveloped({"twin": nullable(TWIN)})},
        ),
        "POST v0-twin": Operation(
            id="v0_fill_up_twin",
            summary="Create the test twin if necessary, and fill up its credits",
            answers={200: enveloped({"twin": TWIN})},
        ),
        "GET v0-members": Operation(
            id="v0_list_members",
            summary="List the members of the account",
            pages=V0_PAGES,
            answers={200: enveloped({"pagination": V0_PAGINATION, "members": [MEMBER]})},
        ),
        "POST v0-members": Operation(
            id="v0_add_member",
            summary="Add a person to the account",
            body=members.NewMember,
            answers={201: enveloped({"member": MEMBER})},
            refuses=(404, 409),
        ),
        "PUT POST PATCH v0-member": Operation(
            id="v0_update_member",
            summary="Change what a member may do",
            body=members.Grant,
            answers={200: enveloped({"member": MEMBER})},
            refuses=(409,),
        ),
        "DELETE v0-member": Operation(
            id="v0_remove_member",
            summary="Remove a member from the account",
            about="Members can always remove themselves. Others need the permission `manage_account`.",
            answers={200: _OK},
            refuses=(409,),
        ),
        "GET v0-settings": Operation(
            id="v0_get_settings",
            summary="Show the settings of the account",
            answers={200: enveloped({"settings": ACCOUNT_SETTINGS})},
        ),
        "PUT POST PATCH v0-settings": Operation(
            id="v0_update_settings",
            summary="Change settings of the account",
            body=settings.SettingChanges,
            answers={200: enveloped({"settings": ACCOUNT_SETTINGS})},
            refuses=(409,),
        ),
        "GET v0-requests": Operation(
            id="v0_list_requests",
            summary="List the last API requests of a test account, newest first",
            filters=RequestFilter,
            pages=V0_PAGES,
            answers={200: enveloped({"pagination": V0_PAGINATION, "requests": [LOGGED_REQUEST]})},
        ),
        "GET v0-audit": Operation(
            id="v0_list_audit_entries",
            summary="List what was done in the account, newest first",
            filters=AuditFilter,
            pages=V0_PAGES,
            parameters={"format": _FORMAT},
            answers={
                200: {
                    "application/json": enveloped({"pagination": V0_PAGINATION, "entries": [AUDIT_ENTRY]}),
                    **file("text/csv"),
                }
            },
        ),
    },
)

KEYS = Area(
    "v0 keys",
    "Keys that programs use in place of a login.",
    {
        "GET v0-keys": Operation(
            id="v0_list_keys",
            summary="List the API keys of the account and of its test twin",
            pages=V0_PAGES,
            answers={200: enveloped({"pagination": V0_PAGINATION, "keys": [LISTED_KEY]})},
        ),
        "POST v0-keys": Operation(
            id="v0_create_key",
            summary="Create an API key, which is shown only once",
            body=keys.NewKey,
            answers={201: enveloped({"key": CREATED_KEY})},
        ),
        "DELETE v0-key": Operation(
            id="v0_revoke_key",
            summary="Revoke an API key",
            answers={200: enveloped({"key": LISTED_KEY})},
        ),
        "POST v0-keys-revoke-all": Operation(
            id="v0_revoke_all_keys",
            summary="Revoke all API keys of the account",
            answers={200: enveloped({"revoked": INT})},
        ),
    },
)

AREAS = [LOGIN, ACCOUNTS, KEYS]
