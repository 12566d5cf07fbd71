"""Change the settings of an account. Triggers log each change with the values before and after it."""

from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any, TypedDict, Unpack
from zoneinfo import ZoneInfo, available_timezones

from django.db import transaction
from django.utils import timezone

from accounts.actors import Acting, ActorKind
from accounts.credits import MAX_AMOUNT
from accounts.models import Account
from accounts.models.accounts import MAX_APPROVAL_HOURS
from iris.errors import InvalidInput, NotAllowed

MAX_RECIPIENTS = 2**31 - 1
MAX_DAYS = 3650
KEPT_DAYS = ("keep_messages_days", "keep_recordings_days", "keep_recipients_days")
MAX_SPENDING_LIMIT = Decimal(10) ** 8
# Settings with which people protect the account from its keys and its members. So API keys cannot change these settings.
OF_PEOPLE = frozenset({"approval_above", "approval_hours", "alerts_past_opt_outs"})
# Names in the time zone database that stand for a machine's own setting.
_NO_ZONES = frozenset({"Factory", "localtime"})


class Settings(TypedDict, total=False):
    """The settings of an account, as fields of `Account`. Callers can pass any of them."""

    time_zone: str
    language: str
    default_voice: str
    default_caller: str
    default_services: str
    default_spending_limit: Decimal | None
    low_credit_level: Decimal | None
    approval_above: int | None
    approval_hours: int
    retry: dict[str, Any] | None
    calling_hours: dict[str, Any] | None
    duplicates: str
    frequency_cap: dict[str, Any] | None
    waves: dict[str, Any] | None
    opt_out_words: dict[str, Any] | None
    opt_out_key: bool
    announce_recording: bool
    alerts_past_opt_outs: bool
    keep_messages_days: int | None
    keep_recordings_days: int | None
    keep_recipients_days: int | None


SETTINGS = tuple(Settings.__annotations__)

Check = Callable[[Account, Any], Any]
_checks: dict[str, Check] = {}


class PeopleOnly(NotAllowed):
    """An API key wants to change a setting that only people may change."""

    default_code = "people_only"


def register_check(name: str, check: Check) -> None:
    """Register a check of a setting whose values only another app knows, such as voices.

    `check` receives the account and the value, unless that is "" or None. It returns the value to store, or raises
    InvalidInput.
    """
    _checks[name] = check


def change_settings(*, account: Account, by: Acting, **changes: Unpack[Settings]) -> Account:
    """Change the given settings, and return the changed account. Runs that have already begun are not affected.

    Raises InvalidInput, and PeopleOnly if an API key sends one of `OF_PEOPLE`.
    """
    guarded = sorted(OF_PEOPLE & set(changes))
    if guarded and by.kind is ActorKind.KEY:
        raise PeopleOnly(f"Only people can change {guarded[0]}, not API keys. Log in to change it.")
    checked = _checked(account, changes)
    with transaction.atomic():
        account = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
        for name, value in checked.items():
            setattr(account, name, value)
        if checked:
            account.save(update_fields=list(checked))
    return account


def settings_of(account: Account) -> dict[str, Any]:
    """Return all settings of the account. The time zone is the server's if the account has chosen none."""
    return {name: getattr(account, name) for name in SETTINGS} | {"time_zone": zone_of(account).key}


def zone_of(account: Account) -> ZoneInfo:
    """Return the time zone in which the account reads and writes times."""
    # A zone that a later system no longer knows must not stop the account.
    chosen = account.time_zone if account.time_zone in _zones().values() else ""
    return ZoneInfo(chosen or timezone.get_default_timezone_name())


def _checked(account: Account, changes: Settings) -> dict[str, Any]:
    above = changes.get("approval_above")
    if above is not None and not 0 <= above <= MAX_RECIPIENTS:
        raise _invalid(
            "approval_above", f"This must be a number of recipients from 0 to {MAX_RECIPIENTS:,}, or null."
        )
    if not 1 <= changes.get("approval_hours", 1) <= MAX_APPROVAL_HOURS:
        raise _invalid("approval_hours", f"This must be a number of hours from 1 to {MAX_APPROVAL_HOURS}.")
    limit = changes.get("default_spending_limit")
    if limit is not None and not 0 < limit < MAX_SPENDING_LIMIT:
        raise _invalid(
            "default_spending_limit",
            f"This must be a number of credits above 0 and below {MAX_SPENDING_LIMIT:,}, or null for no limit.",
        )
    level = changes.get("low_credit_level")
    if level is not None and not 0 < level <= MAX_AMOUNT:
        raise _invalid(
            "low_credit_level",
            f"This must be a number of credits above 0 and at most {MAX_AMOUNT:,}, or null for no warning.",
        )
    checked: dict[str, Any] = dict(changes)
    for name in KEPT_DAYS:
        if checked.get(name) is not None and not 1 <= checked[name] <= MAX_DAYS:
            raise _invalid(
                name, f"This must be a number of days from 1 to {MAX_DAYS:,}, or null to keep them."
            )
    if checked.get("time_zone"):
        checked["time_zone"] = _zone_called(checked["time_zone"])
    for name in _checks.keys() & checked.keys():
        if checked[name] not in ("", None):
            try:
                checked[name] = _checks[name](account, checked[name])
            except InvalidInput as error:
                raise _invalid(name, error.message) from error
    return checked


def _zone_called(text: str) -> str:
    known = _zones().get(text.lower())
    if known is None:
        raise _invalid(
            "time_zone",
            "This is not the name of a time zone. Write it as in the IANA database, such as Asia/Kathmandu or UTC.",
        )
    return known


@cache
def _zones() -> dict[str, str]:
    """Return the names of all time zones, by their lower-case spelling."""
    return {name.lower(): name for name in available_timezones() - _NO_ZONES}


def _invalid(field: str, message: str) -> InvalidInput:
    return InvalidInput(f"{field}: {message}", errors=[{"field": field, "message": message}])
