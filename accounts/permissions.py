"""The permissions of members and API keys. Both API dialects and the console check them before they call services.

Work that continues without requests, such as a scheduled run, is not checked again: the request that started it was checked.
"""

from collections.abc import Iterable
from enum import StrEnum

from iris.errors import InvalidInput, NotAllowed


class Permission(StrEnum):
    """A permission of a member, and a scope of an API key."""

    VIEW = "view"
    PREPARE = "prepare"
    SEND = "send"
    MANAGE_CREDITS = "manage_credits"
    MANAGE_ACCOUNT = "manage_account"
    LISTEN = "listen"
    URGENT = "urgent"


class AccountKind(StrEnum):
    """Whether an account is an ordinary one, or the test twin of another account."""

    LIVE = "live"
    TEST = "test"


MEANINGS = {
    Permission.VIEW: "read campaigns, recipients, reports, credits and settings",
    Permission.PREPARE: "create and change campaigns, recipients, messages and templates",
    Permission.SEND: "begin, approve, pause, resume and stop campaigns, make trial calls, send OTPs",
    Permission.MANAGE_CREDITS: "buy and release phone numbers, move credits",
    Permission.MANAGE_ACCOUNT: "manage members, API keys, webhooks, senders and settings of the account, read its audit log,"
    " export and erase people's data",
    Permission.LISTEN: "listen to recorded answers",
    Permission.URGENT: "begin urgent runs, which go before all others and outside of calling hours; API keys cannot have it",
}

ALL = frozenset(Permission)
KEY_SCOPES = tuple(one for one in Permission if one != Permission.URGENT)

# An owner has every permission, whatever is added later. So `owner` is a property of the member and not a set.
PRESETS: dict[str, frozenset[Permission]] = {
    "viewer": frozenset({Permission.VIEW}),
    "author": frozenset({Permission.VIEW, Permission.PREPARE}),
    "sender": frozenset({Permission.VIEW, Permission.PREPARE, Permission.SEND}),
    "manager": frozenset(KEY_SCOPES),
}
OWNER = "owner"


class MissingPermission(NotAllowed):
    """The member or the key lacks a permission that the request needs."""

    default_code = "missing_permission"


class LiveAccountNeeded(NotAllowed):
    """A request that needs an ordinary account was sent for a test twin or with a test key."""

    default_code = "live_account_needed"


class TwinNeeded(NotAllowed):
    """A request that needs a test twin was sent for an ordinary account or with its key."""

    default_code = "test_twin_needed"


def preset_of(granted: frozenset[Permission]) -> str:
    """Return the name of the preset with exactly these permissions, or "custom"."""
    return next((name for name, preset in PRESETS.items() if preset == granted), "custom")


def check(granted: frozenset[Permission], needed: Permission, *, by_key: bool = False) -> None:
    """Raise MissingPermission unless `needed` is granted. The message names the permission."""
    if needed in granted:
        return
    if by_key:
        raise MissingPermission(
            f"This API key does not have the scope “{needed}”, which this request needs. Use a key with this scope."
        )
    raise MissingPermission(
        f"This needs the permission “{needed}” in this account, and you do not have it. Ask an owner of the account."
    )


def check_kind(needed: AccountKind, *, is_twin: bool, by_key: bool = False) -> None:
    """Raise LiveAccountNeeded or TwinNeeded if the account of a request is of the other kind."""
    if is_twin and needed is AccountKind.LIVE:
        what, instead = ("key", "a live API key") if by_key else ("account", "the account itself")
        raise LiveAccountNeeded(
            f"This is a test {what}. Test twins have no members, departments or live keys: use {instead} for this request."
        )
    if not is_twin and needed is AccountKind.TEST:
        raise TwinNeeded(
            "This is for test twins only. Use a test key, or name the test twin in the header X-Account."
        )


def parse(names: Iterable[str], *, field: str = "permissions") -> frozenset[Permission]:
    """Return the permissions with these names. Raises InvalidInput."""
    try:
        return frozenset(Permission(name) for name in names)
    except ValueError as error:
        message = f"{error.args[0].split()[0]} is not a permission. Choose from: {', '.join(Permission)}."
        raise InvalidInput(message, errors=[{"field": field, "message": message}]) from error
