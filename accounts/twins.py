"""Test twins: every account can have a twin for tests, whose calls and SMS reach no phone.

A twin is created on demand, with its first key or by `POST /api/system/twin/`. It has credits, phone numbers and opt-outs of
its own, but no members. The members of the account that it tests for act for it.
"""

from decimal import Decimal

from django.db import transaction

from accounts import audit, credits
from accounts.models import Account
from accounts.signals import twin_opened
from iris.errors import Conflict

TWIN_CREDITS = Decimal(10_000)  # the twin's credits after it is filled up
SUFFIX = " (test)"
MAX_NAME_CHARACTERS = 248  # characters of the account's name; the twin's whole name then fits the column


class NoTwinOfTwin(Conflict):
    """A test twin cannot have a test twin."""

    default_code = "is_test_twin"


def find(*, account: Account) -> Account | None:
    """Return the test twin of an account, or None if nobody has created it. The twin of a twin is itself."""
    return account if account.is_twin else Account.objects.filter(twin_of=account).first()


def open_twin(*, account: Account) -> Account:
    """Return the test twin of an account. Creates it with TWIN_CREDITS if it does not exist. Raises NoTwinOfTwin."""
    if account.is_twin:
        raise NoTwinOfTwin(f"{account} is a test twin itself. It has no other one.")
    with transaction.atomic():
        # The lock makes a simultaneous second call wait, so that it finds the twin of the first call.
        Account.objects.select_for_update(no_key=True).get(pk=account.pk)
        twin = find(account=account)
        if twin is None:
            name = f"{account.name[:MAX_NAME_CHARACTERS]}{SUFFIX}"
            twin = Account.objects.create(name=name, twin_of=account)
            credits.top_up(account=twin, amount=TWIN_CREDITS, cause=f"twin:{twin.pk}", note="Test credits")
            twin_opened.send(sender=Account, twin=twin)
            twin.refresh_from_db(fields=["balance"])
            _note("twin_created", twin)
    return twin


def fill_up(*, account: Account) -> Account:
    """Return the test twin of an account, or the twin itself, with a balance of at least TWIN_CREDITS.

    Creates the twin if it does not exist.
    """
    twin = account if account.is_twin else open_twin(account=account)
    with transaction.atomic():
        twin = Account.objects.select_for_update(no_key=True).get(pk=twin.pk)
        if (missing := TWIN_CREDITS - twin.balance) > 0:
            credits.top_up(account=twin, amount=missing, note="Test credits")
            twin.refresh_from_db(fields=["balance"])
            _note("twin_filled_up", twin, amount=missing)
    return twin


def _note(action: str, twin: Account, *, amount: Decimal | None = None) -> None:
    """Append an entry about a twin to the audit log of its account. The twin's own log has entries of the credits."""
    audit.note(
        account_id=twin.twin_of_id,
        action=action,
        kind="account",
        object_id=twin.pk,
        name=twin.name,
        amount=None if amount is None else f"{amount:f}",
    )
