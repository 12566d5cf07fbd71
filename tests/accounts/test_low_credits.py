"""People who manage credits are warned once each time that few are left."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from functools import partial

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts import actors, credits, departments, low_credits, twins
from accounts.account_settings import change_settings
from accounts.models import Account, AuditEntry, LowCreditWarning, OutgoingMail
from accounts.tasks import warn_of_low_credits
from iris.errors import InvalidInput
from tests.accounts.test_credits_races import at_once
from tests.factories import make_account, make_hold, make_member, owner_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _mail(settings: Settings) -> None:
    settings.MAIL_TO_LOG = True


def watched(*, credits: int, level: int = 50, parent: Account | None = None) -> Account:
    account = make_account(name="Ward office", credits=credits, parent=parent)
    Account.objects.filter(pk=account.pk).update(low_credit_level=level)
    return account


def spend(account: Account, amount: int) -> None:
    credits.charge(account=account, amount=Decimal(amount), cause=f"spent:{account.pk}:{amount}")


def told() -> Counter[str]:
    return Counter(OutgoingMail.objects.values_list("to", flat=True))


def test_each_fall_below_the_level_is_told_once() -> None:
    account = watched(credits=100)
    address = owner_of(account).email
    assert (low_credits.warn(), told()) == (0, Counter())
    spend(account, 50)
    assert low_credits.warn() == 0  # 50 is not below 50
    spend(account, 1)
    for _ in range(3):
        warn_of_low_credits()
    assert told() == {address: 1}
    spend(account, 2)
    warn_of_low_credits()
    credits.top_up(account=account, amount=Decimal(100), cause="more")
    warn_of_low_credits()
    assert told() == {address: 1}
    spend(account, 140)
    warn_of_low_credits()
    assert told() == {address: 2}


def test_credits_on_hold_are_not_left() -> None:
    account = watched(credits=100)
    make_hold(account=account, amount=60)
    assert low_credits.warn() == 1


def test_the_mail_says_how_many_are_left_and_where_to_look() -> None:
    account = watched(credits=43)
    low_credits.warn()
    mail = OutgoingMail.objects.get()
    assert mail.subject.startswith("Ward office: only 43.00 credits left")
    assert "less than 50.00" in mail.body
    assert f"/console/{account.pk}/credits/" in mail.body


def test_only_people_who_manage_credits_are_told() -> None:
    account = watched(credits=1)
    make_member(account, "viewer")
    manager = make_member(account, "manager")
    make_member(account, "manager", is_active=False)
    low_credits.warn()
    assert told() == {owner_of(account).email: 1, manager.email: 1}


def test_managers_of_the_parent_are_told_if_a_department_has_none() -> None:
    parent = make_account(credits=100)
    department = departments.create(parent=parent, name="Ward 5")
    Account.objects.filter(pk=department.pk).update(low_credit_level=10)
    make_member(department, "sender")
    low_credits.warn()
    assert told() == {owner_of(parent).email: 1}
    OutgoingMail.objects.all().delete()
    LowCreditWarning.objects.all().delete()
    manager = make_member(department, "manager")
    low_credits.warn()
    assert told() == {manager.email: 1}


def test_nobody_gets_an_email_about_test_twins_and_suspended_accounts() -> None:
    account = make_account(credits=100)
    twin = twins.open_twin(account=account)
    Account.objects.filter(pk=twin.pk).update(low_credit_level=10**9)
    suspended = watched(credits=1)
    Account.objects.filter(pk=suspended.pk).update(is_suspended=True)
    assert low_credits.warn() == 1  # the twin, whose programs are told
    assert told() == Counter()


def test_a_level_that_is_removed_or_lowered_ends_the_warning() -> None:
    account = watched(credits=40)
    low_credits.warn()
    Account.objects.filter(pk=account.pk).update(low_credit_level=30)
    low_credits.warn()
    assert not LowCreditWarning.objects.exists()
    Account.objects.filter(pk=account.pk).update(low_credit_level=45)
    low_credits.warn()
    assert sum(told().values()) == 2
    Account.objects.filter(pk=account.pk).update(low_credit_level=None)
    low_credits.warn()
    assert not LowCreditWarning.objects.exists()


def test_many_accounts_take_the_same_statements() -> None:
    def statements(count: int) -> int:
        for _ in range(count):
            watched(credits=1)
        with CaptureQueriesContext(connection) as context:
            assert low_credits.warn() == count
        return len(context)

    assert statements(1) == statements(5)


def test_more_accounts_than_a_batch_are_told_by_one_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(low_credits, "BATCH_SIZE", 2)
    for _ in range(5):
        watched(credits=1)
    warn_of_low_credits()
    assert len(told()) == 5


def test_nothing_is_noted_if_the_mails_cannot_be_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    watched(credits=1)

    def fail(_drafts: object) -> None:
        raise RuntimeError("The process dies here.")

    with monkeypatch.context() as patch:
        patch.setattr("accounts.mail.enqueue_all", fail)
        with pytest.raises(RuntimeError):
            low_credits.warn()
    assert low_credits.warn() == 1


@pytest.mark.django_db(transaction=True)
def test_processes_that_look_at_the_same_time_tell_once() -> None:
    accounts = [watched(credits=1) for _ in range(5)]
    assert sum(at_once([partial(low_credits.warn) for _ in range(4)])) == 5
    assert told() == {owner_of(account).email: 1 for account in accounts}


def test_the_level_is_a_setting_whose_changes_are_logged() -> None:
    account = make_account(credits=10)
    for wrong in ("0", "-1", "1000000000000"):
        with pytest.raises(InvalidInput, match="low_credit_level"):
            change_settings(account=account, by=actors.current(), low_credit_level=Decimal(wrong))
    changed = change_settings(account=account, by=actors.current(), low_credit_level=Decimal("99.50"))
    assert changed.low_credit_level == Decimal("99.50")
    entry = AuditEntry.objects.filter(account_id=account.pk, action="settings_changed").latest("pk")
    assert entry.details == {"low_credit_level": ["off", "99.50"]}
