"""Pages speak the language of the person. Everything else speaks English."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from tests.console.world import World, client_for
from tests.factories import client_of, make_user
from tests.routes import DIALECTS, Dialect

pytestmark = pytest.mark.django_db
NEPALI: dict[str, Any] = {"HTTP_ACCEPT_LANGUAGE": "ne", "HTTP_COOKIE": "django_language=ne"}


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda one: one.name)
def test_every_route_of_the_api_answers_in_english(dialect: Dialect, world: World) -> None:
    """Each route is called twice with a wrong body: by a client that prefers Nepali, and by one that does not."""
    calls = [
        (route, method)
        for route, method in dialect.calls
        if not re.search("logout|generate-api-keys|revoke_all", route.path)
    ]
    assert len(calls) > 20
    client = client_of(world.account)
    for route, method in calls:
        path = route.with_ids(**dict.fromkeys(route.ids, 1))
        usual = client.generic(method, path, "{}", content_type="application/json")
        other = client.generic(method, path, "{}", content_type="application/json", **NEPALI)
        assert other.status_code == usual.status_code, path
        assert other.getvalue() == usual.getvalue(), path
    refused = APIClient().get("/api/system/campaigns", **NEPALI)
    assert "Log in first" in refused.json()["message"]


@pytest.mark.parametrize(
    ("method", "path"), [("get", "/api/system/nothing"), ("get", "/admin/login/"), ("get", "/health/live")]
)
def test_other_addresses_answer_in_english(method: str, path: str) -> None:
    client = Client()
    client.force_login(make_user(is_staff=True))
    answers = [getattr(client, method)(path, **headers) for headers in ({}, NEPALI)]
    assert not any("ऀ" <= letter <= "ॿ" for letter in answers[1].content.decode())
    assert answers[0].status_code == answers[1].status_code


def test_a_page_follows_the_browser_until_somebody_chooses(world: World) -> None:
    client = Client()
    client.force_login(world.owner)
    address = world.address("home")
    assert 'lang="en"' in client.get(address).content.decode()
    assert 'lang="ne"' in client.get(address, HTTP_ACCEPT_LANGUAGE="ne-NP,en;q=0.5").content.decode()
    chosen = client.post("/language/", {"language": "ne", "next": address})
    assert chosen.headers["Location"] == address
    response = client.get(address, HTTP_ACCEPT_LANGUAGE="en")
    assert '<html lang="ne">' in response.content.decode()
    assert response.headers["Content-Language"] == "ne"
    assert "Cookie" in response.headers["Vary"]


@pytest.mark.parametrize("target", ["https://example.com/", "//example.com", "javascript:alert(1)", ""])
def test_the_choice_leads_to_no_other_site(target: str) -> None:
    response = Client().post("/language/", {"language": "ne", "next": target})
    assert response.headers["Location"] == "/"


def test_an_unknown_language_is_not_stored() -> None:
    response = Client().post("/language/", {"language": "xx", "digits": "roman", "next": "/"})
    assert response.cookies == {}


def test_people_choose_the_digits(world: World) -> None:
    client = client_for(world.owner, language="ne")
    assert "९,९" in client.get(world.address("credits")).content.decode()
    client.post("/language/", {"digits": "latin", "next": "/"})
    page = client.get(world.address("credits")).content.decode()
    assert "9,9" in page
    assert "९,९" not in page


def test_the_sign_in_pages_are_in_nepali() -> None:
    page = Client().get("/accounts/login/", HTTP_ACCEPT_LANGUAGE="ne").content.decode()
    assert "साइन इन" in page
    assert "E-mail" not in page
