"""The routes at /sandbox/ with which programs act as the recipients of the sandbox, and set its faults."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts import twins
from accounts.models import Account
from accounts.permissions import Permission
from campaigns.models import Service
from telephony.carriers.sandbox import fates
from telephony.carriers.sandbox.fates import Faults
from telephony.models import InboundMessage, OptOut, SandboxMessage
from tests.factories import make_account, make_campaign
from tests.telephony.carriers.sandboxing import sent
from tests.telephony.carriers.test_sandbox_of_twins import client_with_key
from tests.v0 import assert_refusal

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def slow_sandbox(settings: Any) -> None:
    """Let calls last so long that none of them ends by itself during a test."""
    settings.IRIS_SANDBOX_SPEED = 0.1


@pytest.fixture(params=[False, True], ids=["closed", "open"])
def open_inbox(request: pytest.FixtureRequest, settings: Any) -> bool:
    settings.IRIS_SANDBOX_INBOX = request.param
    return bool(request.param)


@pytest.fixture
def twin() -> Account:
    return twins.open_twin(account=make_account())


def refused(response: Any, status: int) -> None:
    assert response.status_code == status
    assert_refusal(response.json(), status)


def url(message: SandboxMessage, verb: str) -> str:
    return f"/sandbox/messages/{message.pk}/{verb}"


@pytest.mark.usefixtures("open_inbox")
def test_a_twin_acts_for_its_own_recipients_only(twin: Account) -> None:
    message = sent(make_campaign(owner=twin, message="Namaste"))[0]
    client, other = client_with_key(twin), client_with_key(twins.open_twin(account=make_account()))
    assert client.post(url(message, "reply"), {"text": "STOP"}, format="json").status_code == 200
    assert OptOut.objects.get().owner_id == twin.pk
    for verb, body in (("reply", {"text": "Hi"}), ("press", {"keys": "1"})):
        refused(other.post(url(message, verb), body, format="json"), 404)
    refused(client.post(url(message, "press"), {"keys": "1"}, format="json"), 409)
    assert InboundMessage.objects.count() == 1


@pytest.mark.usefixtures("open_inbox")
def test_a_twin_has_its_own_faults(twin: Account) -> None:
    client, other = client_with_key(twin), client_with_key(twins.open_twin(account=make_account()))
    answer = client.put("/sandbox/faults", {"busy": 30, "latency_seconds": 2}, format="json")
    assert answer.json()["data"]["faults"] == {
        "busy": 30,
        "lost": 0,
        "throttled": 0,
        "latency_seconds": 2,
    }
    assert client.get("/sandbox/faults").json()["data"] == answer.json()["data"]
    assert other.get("/sandbox/faults").json()["data"]["faults"]["busy"] == 0
    assert fates.faults_of(fates.EVERYBODY) == Faults()


@pytest.mark.parametrize(
    "wrong",
    [{"busy": 101}, {"busy": -1}, {"lost": "many"}, {"latency_seconds": 61}, {"busy": 60, "lost": 60}],
)
def test_wrong_faults_are_refused(twin: Account, wrong: dict[str, Any]) -> None:
    refused(client_with_key(twin).put("/sandbox/faults", wrong, format="json"), 400)
    assert fates.faults_of(twin.pk) == Faults()


def test_a_misspelt_fault_is_refused_and_changes_nothing(twin: Account) -> None:
    client = client_with_key(twin)
    assert client.put("/sandbox/faults", {"lost": 20}, format="json").status_code == 200
    for body in ({"buzy": 20}, {"busy": 1, "buzy": 20}):
        answer = client.put("/sandbox/faults", body, format="json")
        refused(answer, 400)
        assert answer.json()["message"] == (
            "buzy: This is not known here. The faults are busy, lost, throttled, latency_seconds."
        )
    answer = client.put("/sandbox/faults", {"busy": 101}, format="json")
    assert answer.json()["message"] == "busy: This must be a whole number from 0 to 100."
    assert fates.faults_of(twin.pk) == Faults(lost=20)


def test_a_reader_of_a_twin_changes_nothing(twin: Account) -> None:
    message = sent(make_campaign(owner=twin, message="Namaste"))[0]
    reader = client_with_key(twin, frozenset({Permission.VIEW}))
    assert reader.get("/sandbox/faults").status_code == 200
    refused(reader.put("/sandbox/faults", {"busy": 1}, format="json"), 403)
    refused(reader.post(url(message, "reply"), {"text": "Hi"}, format="json"), 403)


def test_where_the_inbox_is_open_everybody_acts(open_inbox: bool, client: Client) -> None:
    message = sent(make_campaign(message="Namaste"))[0]
    replied = client.post(url(message, "reply"), {"text": "Hi"}, content_type="application/json")
    faults = client.put("/sandbox/faults", {"latency_seconds": 5}, content_type="application/json")
    expected = 200 if open_inbox else 404
    assert (replied.status_code, faults.status_code) == (expected, expected)
    assert InboundMessage.objects.count() == open_inbox
    assert fates.faults_of(fates.EVERYBODY).latency_seconds == (5 if open_inbox else 0)
    call = sent(make_campaign(service=Service.CALL, message="Namaste"))[0]
    pressed = client.post(url(call, "press"), {"keys": "1"}, content_type="application/json")
    assert pressed.status_code == expected


def test_a_live_key_has_no_phone_where_the_inbox_is_closed(settings: Any) -> None:
    settings.IRIS_SANDBOX_INBOX = False
    account = make_account(credits=10)
    message = sent(make_campaign(owner=account, message="Namaste"))[0]
    client = client_with_key(account)
    refused(client.post(url(message, "reply"), {"text": "Hi"}, format="json"), 403)
    refused(client.put("/sandbox/faults", {"busy": 1}, format="json"), 403)


def test_odd_requests_are_refused(twin: Account) -> None:
    client = client_with_key(twin)
    message = sent(make_campaign(owner=twin, message="Namaste"))[0]
    for body in ({}, {"text": ""}, {"text": "x" * 1001}, {"text": ["a"]}, []):
        refused(client.post(url(message, "reply"), body, format="json"), 400)
    for pk in ("0", "abc", "9" * 30, "-1"):
        refused(client.post(f"/sandbox/messages/{pk}/reply", {"text": "Hi"}, format="json"), 404)
    for wait in ("21", "x", "-1", "1.5", "२", "999999999"):
        refused(client.get(f"/sandbox/messages?wait={wait}"), 400)
    assert len(client.get("/sandbox/messages?wait=20").json()) == 3  # at once, because there are some
