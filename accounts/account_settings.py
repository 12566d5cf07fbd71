"""Change the settings of an account. Triggers log each change with the values before and after it."""

from typing import TypedDict, Unpack

from django.db import transaction

from accounts.actors import Acting, ActorKind
from accounts.models import Account
from accounts.models.accounts import MAX_APPROVAL_HOURS
from iris.errors import InvalidInput, NotAllowed

MAX_RECIPIENTS = 2**31 - 1
# Settings that protect the account from mistakes and misuse by its keys and by single members. So keys cannot change them.
OF_PEOPLE = frozenset({"approval_above", "approval_hours"})


class Settings(TypedDict, total=False):
    """The settings of an account, as fields of `Account`. Callers can pass any of them."""

    approval_above: int | None
    approval_hours: int


SETTINGS = tuple(Settings.__annotations__)


class PeopleOnly(NotAllowed):
    """An API key wants to change a setting that only people may change."""

    default_code = "people_only"


def change_settings(*, account: Account, by: Acting, **changes: Unpack[Settings]) -> Account:
    """Change the given settings, and return the account as it is then. Runs that were begun before are not affected.

    Raises InvalidInput, and PeopleOnly if an API key sends one of `OF_PEOPLE`.
    """
    guarded = sorted(OF_PEOPLE & set(changes))
    if guarded and by.kind is ActorKind.KEY:
        raise PeopleOnly(f"Only people can change {guarded[0]}, not API keys. Log in to change it.")
    above = changes.get("approval_above")
    if above is not None and not 0 <= above <= MAX_RECIPIENTS:
        raise _invalid(
            "approval_above", f"This must be a number of recipients from 0 to {MAX_RECIPIENTS:,}, or null."
        )
    if not 1 <= changes.get("approval_hours", 1) <= MAX_APPROVAL_HOURS:
        raise _invalid("approval_hours", f"This must be a number of hours from 1 to {MAX_APPROVAL_HOURS}.")
    with transaction.atomic():
        account = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
        for name, value in changes.items():
            setattr(account, name, value)
        if changes:
            account.save(update_fields=list(changes))
    return account


def settings_of(account: Account) -> Settings:
    """Return all settings of the account."""
    return Settings(approval_above=account.approval_above, approval_hours=account.approval_hours)


def _invalid(field: str, message: str) -> InvalidInput:
    return InvalidInput(f"{field}: {message}", errors=[{"field": field, "message": message}])
