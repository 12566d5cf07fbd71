"""The sandbox's inbox, as JSON and as a page."""

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


def test_the_newest_comes_first_and_filters_choose(client: Client) -> None:
    assert [row["to"] for row in client.get("/sandbox/messages").json()] == [
        "+9779841000002",
        "+9779841000001",
    ]
    (row,) = client.get("/sandbox/messages?to=%2B9779841000001&channel=sms").json()
    assert set(row) == {"id", "channel", "to", "from", "text", "audio_url", "status", "created_at"}
    assert client.get("/sandbox/messages?channel=call").json() == []
    assert client.get(f"/sandbox/messages?since={row['id']}").json()[0]["to"] == "+9779841000002"
    assert client.get("/sandbox/messages?since=2050-01-01T00:00:00%2B05:45").json() == []


def test_delete_empties_it_and_keeps_what_was_sent(client: Client) -> None:
    assert client.delete("/sandbox/messages").status_code == 204
    assert client.get("/sandbox/messages").json() == []
    assert SandboxMessage.objects.count() == 2


@pytest.mark.parametrize("query", ["channel=foo", "since=foo", "limit=x", "to=%00"])
def test_a_wrong_filter_is_a_sentence(client: Client, query: str) -> None:
    for path in ("/sandbox/messages", "/sandbox/"):
        assert client.get(f"{path}?{query}").status_code in (200, 400)


def test_the_page_shows_the_same(client: Client) -> None:
    assert "नमस्कार" in client.get("/sandbox/").content.decode()


def test_it_is_not_there_in_production(client: Client, settings: Any) -> None:
    settings.IRIS_SANDBOX_INBOX = False
    assert client.get("/sandbox/messages").status_code == client.get("/sandbox/").status_code == 404
