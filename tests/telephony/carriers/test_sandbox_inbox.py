"""Test the sandbox's inbox, as JSON and as a page."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from telephony.models import SandboxMessage

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def messages() -> None:
    for number in (9841000001, 9841000002):
        SandboxMessage.objects.create(
            delivery_key=str(number),
            channel="sms",
            to=f"+977{number}",
            text="नमस्कार",
            fate="completes",
            owner_id=1,
        )


def test_messages_are_listed_newest_first_and_can_be_filtered(client: Client) -> None:
    assert [row["to"] for row in client.get("/sandbox/messages").json()] == [
        "+9779841000002",
        "+9779841000001",
    ]
    (row,) = client.get("/sandbox/messages?to=%2B9779841000001&channel=sms").json()
    assert set(row) == {"id", "channel", "to", "from", "text", "audio_url", "status", "created_at"}
    assert client.get("/sandbox/messages?channel=call").json() == []
    assert client.get(f"/sandbox/messages?since={row['id']}").json()[0]["to"] == "+9779841000002"
    assert client.get("/sandbox/messages?since=2050-01-01T00:00:00%2B05:45").json() == []


def test_delete_hides_the_messages_but_keeps_their_rows(client: Client) -> None:
    assert client.delete("/sandbox/messages").status_code == 204
    assert client.get("/sandbox/messages").json() == []
    assert SandboxMessage.objects.count() == 2


@pytest.mark.parametrize("query", ["channel=foo", "since=foo", "limit=x", "to=%00"])
def test_invalid_filter_never_causes_a_server_error(client: Client, query: str) -> None:
    for path in ("/sandbox/messages", "/sandbox/"):
        assert client.get(f"{path}?{query}").status_code in (200, 400)


def test_an_unknown_parameter_is_refused_because_it_would_select_messages_of_others(client: Client) -> None:
    refused = client.get("/sandbox/messages?number=9841000001")
    assert refused.status_code == 400
    assert refused.json()["message"] == (
        "number is not known here. The parameters are to, channel, since, limit, wait."
    )


def test_channels_can_be_in_upper_case(client: Client) -> None:
    assert len(client.get("/sandbox/messages?channel=SMS").json()) == 2


def test_page_shows_the_message_text(client: Client) -> None:
    assert "नमस्कार" in client.get("/sandbox/").content.decode()


def test_inbox_is_missing_in_production(client: Client, settings: Any) -> None:
    settings.IRIS_SANDBOX_INBOX = False
    assert client.get("/sandbox/messages").status_code == client.get("/sandbox/").status_code == 404
