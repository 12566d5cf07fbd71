"""Prepared queries return what their QuerySets return, for any arguments and in any thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Account, EndedLogin, Member, MemberQuerySet
from accounts.prepared import PreparedQuery
from tests.factories import make_account, make_member, owner_of


def members_of(account_id: int, name: str) -> MemberQuerySet:
    return (
        Member.objects.acting_for(account_id)
        .filter(user__first_name=name)
        .select_related("account__parent", "user")
        .order_by("pk")
    )


@pytest.mark.django_db
def test_each_call_has_its_own_arguments_and_the_related_rows() -> None:
    prepared = PreparedQuery(members_of, int, str)
    sita, ram = make_account(first_name="Sita"), make_account(first_name="Ram")
    make_member(sita, "viewer", first_name="Sita")
    for account in (sita, ram, sita):
        for name in ("Sita", "Ram", "'; --"):
            with CaptureQueriesContext(connection) as queries:
                found = prepared.rows(account.pk, name)
                seen = [(one, one.user, one.account, one.account.parent, one.joined_at) for one in found]
            assert len(queries) == 1
            expected = list(members_of(account.pk, name))
            assert seen == [
                (one, one.user, one.account, one.account.parent, one.joined_at) for one in expected
            ]
            assert [vars(one.user)["email"] for one in found] == [one.user.email for one in expected]
    assert prepared.first(sita.pk, "Sita") == owner_of(sita).memberships.get()
    assert prepared.first(sita.pk, "Gita") is None


@pytest.mark.django_db
def test_number_and_types_of_arguments_are_those_of_the_query() -> None:
    with pytest.raises(ValueError, match="zip"):
        PreparedQuery(members_of, int, str).rows(1)
    with pytest.raises(AssertionError):
        PreparedQuery(lambda login: EndedLogin.objects.all(), str).rows("not used")


@pytest.mark.django_db(transaction=True)
def test_threads_execute_a_query_in_their_own_sessions() -> None:
    prepared = PreparedQuery(lambda account_id: Account.objects.filter(pk=account_id), int)
    accounts = [make_account() for _ in range(8)]

    def find(account: Account) -> list[Account]:
        try:
            return [row for _ in range(20) for row in prepared.rows(account.pk)]
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(find, accounts)) == [20 * [account] for account in accounts]
