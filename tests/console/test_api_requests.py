"""The page of API requests."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django import Settings

from accounts import twins
from accounts.request_log import entries
from tests.console.world import World, client_for, logged
from tests.factories import make_member

pytestmark = pytest.mark.django_db


def show(client: Client, world: World, query: str = "") -> str:
    return client.get(world.address("api-requests") + query).content.decode()


def test_request_is_shown_with_its_response(world: World, client: Client) -> None:
    page = show(client, world)
    for shown in ("POST /api/system/send/otp/", "400", "invalid", "12 ms", "…12", "***"):
        assert shown in page


@pytest.mark.parametrize("narrow", ["status=4xx", "status=400", "path=OTP", "code=Invalid", "status=x"])
def test_filters_find_it(world: World, client: Client, narrow: str) -> None:
    assert "/api/system/send/otp/" in show(client, world, f"?{narrow}")


@pytest.mark.parametrize(
    "narrow", ["status=2xx", "path=settings", "code=not_found", "path=%00nothing", "before=1"]
)
def test_filters_leave_it_out(world: World, client: Client, narrow: str) -> None:
    page = show(client, world, f"?{narrow}")
    assert "/api/system/send/otp/" not in page
    assert "No request is like that." in page or "No program has sent a request yet." in page


def test_requests_that_a_member_may_not_make_are_not_shown(world: World) -> None:
    entries.write(logged(world.account, path="/api/system/settings/", needed="view"))
    page = show(client_for(make_member(world.account, "viewer")), world)
    assert "/api/system/settings/" in page
    assert "/api/system/send/otp/" not in page


def test_only_accounts_with_a_log_have_the_page(world: World, client: Client, settings: Settings) -> None:
    settings.IRIS_REQUEST_LOG = False
    twin = twins.open_twin(account=world.account)
    address = world.address("api-requests")
    assert client.get(address).status_code == 404
    assert address not in client.get(world.address("home")).content.decode()
    of_twin = world.address("api-requests", account_id=twin.pk)
    assert "No program has sent a request yet." in client.get(of_twin).content.decode()
    assert of_twin in client.get(world.address("home", account_id=twin.pk)).content.decode()


def test_page_is_in_nepali(world: World) -> None:
    page = show(client_for(world.owner, language="ne"), world)
    assert "अनुरोध र जवाफ" in page
    assert "१२ मिलिसेकेन्ड" in page
