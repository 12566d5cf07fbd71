"""Test the messages of test twins at /sandbox/messages."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts import apikeys, twins
from accounts.models import Account
from accounts.permissions import KEY_SCOPES, Permission
from telephony.models import SandboxMessage
from tests.factories import make_account, owner_of
from tests.v0 import assert_refusal

pytestmark = pytest.mark.django_db

MESSAGES = "/sandbox/messages"


@pytest.fixture(params=[False, True], ids=["closed", "open"], autouse=True)
def open_inbox(request: pytest.FixtureRequest, settings: Any) -> bool:
    settings.IRIS_SANDBOX_INBOX = request.param
    return bool(request.param)


@pytest.fixture
def twin() -> Account:
    return twins.open_twin(account=make_account())


def message(owner: Account, number: int) -> SandboxMessage:
    return SandboxMessage.objects.create(
        delivery_key=str(number),
        channel="sms",
        to=f"+977{number}",
        text="Your code is 1234",
        fate="completes",
        owner_id=owner.pk,
    )


def client_with_key(account: Account, scopes: frozenset[Permission] = frozenset(KEY_SCOPES)) -> APIClient:
    _, key = apikeys.create(account=account, created_by=None, name="x", scopes=scopes)
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    return client


def numbers(answer: Any) -> list[str]:
    return [row["to"] for row in answer.json()]


def test_a_twin_sees_only_its_own_messages(twin: Account) -> None:
    other = twins.open_twin(account=make_account())
    message(twin, 9841000001)
    message(other, 9841000002)
    message(make_account(), 9841000003)
    message(twin, 9841000004)
    for path in (MESSAGES, f"{MESSAGES}/"):
        answer = client_with_key(twin).get(path)
        assert numbers(answer) == ["+9779841000004", "+9779841000001"]
    assert answer.json()[0]["text"] == "Your code is 1234"
    assert numbers(client_with_key(twin).get(f"{MESSAGES}?to=0001&limit=5")) == ["+9779841000001"]
    assert numbers(client_with_key(twin).get(f"{MESSAGES}?to=0002")) == []
    assert numbers(client_with_key(other).get(MESSAGES)) == ["+9779841000002"]


def test_a_member_who_names_the_twin_sees_its_messages(twin: Account) -> None:
    from accounts.api.authentication import issue_tokens

    message(twin, 9841000001)
    account = twin.twin_of
    assert account is not None
    client = APIClient()
    client.credentials(
        HTTP_AUTHORIZATION=f"Bearer {issue_tokens(owner_of(account)).access}", HTTP_X_ACCOUNT=str(twin.pk)
    )
    assert numbers(client.get(MESSAGES)) == ["+9779841000001"]


def test_delete_hides_only_the_messages_of_the_twin(twin: Account) -> None:
    message(twin, 9841000001)
    kept = message(make_account(), 9841000002)
    reader = client_with_key(twin, frozenset({Permission.VIEW}))
    assert_refusal(reader.delete(MESSAGES).json(), 403)
    assert client_with_key(twin).delete(MESSAGES).status_code == 204
    assert reader.get(MESSAGES).json() == []
    assert list(SandboxMessage.objects.filter(hidden=False)) == [kept]


@pytest.mark.parametrize("query", ["channel=foo", "since=foo", "limit=x"])
def test_a_wrong_filter_is_a_400_in_the_envelope(twin: Account, query: str) -> None:
    assert_refusal(client_with_key(twin).get(f"{MESSAGES}?{query}").json(), 400)


def test_a_live_key_does_not_see_the_messages_of_its_twin(twin: Account, open_inbox: bool) -> None:
    message(twin, 9841000001)
    account = twin.twin_of
    assert account is not None
    answer = client_with_key(account).get(MESSAGES)
    if open_inbox:  # a developer's sandbox shows everything to everyone
        assert numbers(answer) == ["+9779841000001"]
    else:
        assert_refusal(answer.json(), 403)
        assert "test key" in answer.json()["message"]


def test_without_a_valid_key_nothing_is_shown_in_production(twin: Account, open_inbox: bool) -> None:
    message(twin, 9841000001)
    client = APIClient()
    assert client.get(MESSAGES).status_code == (200 if open_inbox else 404)
    client.credentials(HTTP_AUTHORIZATION="Bearer test_nonsense")
    answer = client.get(MESSAGES)
    assert answer.status_code == (200 if open_inbox else 401)
    assert client.get("/sandbox/").status_code == (200 if open_inbox else 404)
    client.credentials(HTTP_AUTHORIZATION="Bearer a b")
    assert client.post(MESSAGES).status_code in (401, 405)
