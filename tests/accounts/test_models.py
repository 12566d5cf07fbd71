"""Accounts are found by e-mail address, and saving one never writes its balance."""

from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.models import Account, User
from tests.factories import make_account, make_user

pytestmark = pytest.mark.django_db


def test_e_mail_addresses_are_unique_case_insensitively() -> None:
    User.objects.create_user("Sita@example.com")
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user("sITA@example.com")


@pytest.mark.parametrize("typed", ["Sita@Example.com", "sita@example.com", "SITA@EXAMPLE.COM"])
def test_accounts_are_found_case_insensitively(typed: str) -> None:
    user = make_user(email="Sita@Example.com")
    assert User.objects.get_by_natural_key(typed) == user
    assert user.email == "Sita@example.com"  # domains are case-insensitive


def test_looking_up_an_account_uses_the_index() -> None:
    make_user(email="sita@example.com")
    with (
        connection.cursor() as cursor,
        CaptureQueriesContext(
            connection,
        ) as queries,
    ):
        User.objects.get_by_natural_key("sita@example.com")
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN " + queries.captured_queries[0]["sql"])
        assert "accounts_user_email_once" in str(cursor.fetchall())


@pytest.mark.parametrize(
    ("emails", "usernames"),
    [
        (["sita@example.com", "sita@example.org", "sita@example.net"], ["sita", "sita2", "sita3"]),
        (["o'neil+iris@example.com"], ["oneil+iris"]),
        ([f"{'x' * 64}@example.com"], ["x" * 64]),
    ],
)
def test_the_username_is_derived_from_the_e_mail_address(emails: list[str], usernames: list[str]) -> None:
    assert [make_user(email=email).username for email in emails] == usernames


def test_a_username_can_be_chosen() -> None:
    assert make_user(email="sita@example.com", username="sita1").username == "sita1"


def test_an_account_created_without_a_password_cannot_log_in() -> None:
    user = User.objects.create_user("sita@example.com")
    assert not user.has_usable_password()
    assert not user.check_password("")


def test_saving_never_writes_the_balance() -> None:
    account = make_account(credits=10)
    account.balance = Decimal(1000)
    account.name = "Sita"
    account.save()
    account.refresh_from_db()
    assert (account.name, account.balance) == ("Sita", 10)
    with pytest.raises(TypeError, match=r"accounts\.credits"):
        account.save(update_fields=["name", "balance"])
    deferred = Account.objects.only("name").get(pk=account.pk)
    deferred.name = "Gita"
    deferred.save()
    account.refresh_from_db()
    assert (account.name, account.balance) == ("Gita", 10)


def test_an_account_cannot_be_created_with_a_balance() -> None:
    with pytest.raises(TypeError, match="top_up"):
        Account.objects.create(balance=5)
