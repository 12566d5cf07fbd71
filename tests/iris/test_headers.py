"""Pages load only files of this server, and API responses are not cached."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from django.apps import apps
from django.contrib import admin
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import User
from iris.middleware import add_headers
from telephony.media import recording_path
from telephony.models import SandboxMessage
from telephony.speech import store
from tests import engine
from tests.factories import make_audio, make_user
from tests.test_admin_pages import PAGES, make_one_of_each, page_of

pytestmark = pytest.mark.django_db


class Loaded(HTMLParser):
    """The URLs that a browser would load for a page, by their directive, and the inline styles and scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[tuple[str, str]] = []
        self.inline: list[tuple[str, str]] = []
        self.attributes: list[str] = []
        self._within = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.attributes += [name for name in found if name == "style" or name.startswith("on")]
        is_data = found.get("type", "").startswith("application/json")
        if tag in ("script", "style") and "src" not in found and not is_data:
            self._within = tag
        elif tag == "link" and found.get("rel") != "stylesheet":
            return
        kinds = {"script": "script-src", "link": "style-src", "img": "img-src", "audio": "media-src"}
        if tag in kinds and (address := found.get("src") or found.get("href")):
            self.addresses.append((kinds[tag], address))
        if tag == "form":
            self.addresses.append(("form-action", found.get("action", "")))
        assert tag not in ("base", "iframe", "object", "embed"), tag

    def handle_data(self, data: str) -> None:
        if self._within:
            self.inline.append((f"{self._within}-src", data))
            self._within = ""


def policy_of(response: Any) -> dict[str, list[str]]:
    directives = (each.split() for each in response.headers["Content-Security-Policy"].split(";"))
    return {name: sources for name, *sources in directives}


def check(client: Client, path: str) -> Loaded:
    """Check a page against its Content-Security-Policy, and load its files."""
    response = client.get(path)
    assert response.status_code == 200, path
    policy, loaded = policy_of(response), Loaded(response.content.decode())
    assert "'unsafe-inline'" not in str(policy)
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == ["'none'"]
    assert loaded.attributes == []
    for directive, text in loaded.inline:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy[directive], (path, text)
    for directive, address in loaded.addresses:
        there = urlsplit(urljoin(f"http://testserver{path}", address))
        assert there.netloc == "testserver", (path, address)
        assert "'self'" in policy[directive]
        if directive in ("script-src", "style-src"):
            assert client.get(f"{there.path}?{there.query}").status_code == 200, (path, address)
    return loaded


@pytest.fixture
def operator() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("operator@example.com", "secret-password"))
    return client


def _pages(operator: Client) -> Iterator[str]:
    yield "/admin/"
    for model in apps.get_models():
        if model not in admin.site._registry:
            continue
        yield page_of(model)
        if (row := model._default_manager.last()) is not None:
            yield page_of(model, "change", row.pk)
            yield page_of(model, "history", row.pk)
        if operator.get(page_of(model, "add")).status_code == 200:
            yield page_of(model, "add")


def test_admin_pages_comply_with_their_content_security_policy(operator: Client) -> None:
    make_one_of_each(0)
    engine.run_all_loops_once()
    pages = list(_pages(operator))
    assert {page_of(model) for model in PAGES} <= set(pages)
    found = [check(operator, path) for path in pages]
    assert sum(directive == "script-src" for page in found for directive, _ in page.addresses) > 20
    check(Client(), "/accounts/login/")


def test_the_inbox_complies_with_its_policy_and_can_play_and_be_cleared(client: Client) -> None:
    audio = make_audio()
    SandboxMessage.objects.create(
        delivery_key="1",
        channel="call",
        to="+9779841000001",
        fate="completes",
        owner_id=1,
        audio_name=audio.name,
    )
    loaded = check(client, "/sandbox/")
    assert {directive for directive, _ in loaded.addresses} == {
        "script-src",
        "style-src",
        "media-src",
        "form-action",
    }
    page = client.get("/sandbox/").content.decode()
    assert f'id="empty" data-messages="{reverse("sandbox-messages")}"' in page
    script = client.get("/static/telephony/sandbox_inbox.js").getvalue()
    assert b'getElementById("empty")' in script
    assert b"dataset.messages" in script


@pytest.mark.parametrize("path", ["/nothing", "/admin/nothing/"])
def test_error_pages_have_a_content_security_policy(client: Client, path: str) -> None:
    assert "Content-Security-Policy" in client.get(path, follow=True).headers


def test_a_view_may_set_its_own_content_security_policy(rf: RequestFactory) -> None:
    own = {"Content-Security-Policy": "default-src 'self'", "Cache-Control": "max-age=60"}
    response = add_headers(lambda request: HttpResponse("x", headers=own))(rf.get("/"))
    assert {name: response.headers[name] for name in own} == own


def test_debug_error_pages_have_no_content_security_policy(rf: RequestFactory, settings: Settings) -> None:
    settings.DEBUG = True
    response = add_headers(lambda request: HttpResponse("x", status=500))(rf.get("/"))
    assert "Content-Security-Policy" not in response.headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/system/campaigns/", 200),
        ("GET", "/api/v1/campaign/", 200),
        ("GET", "/api/accounts/user_details/", 200),
        ("POST", "/api/system/campaigns/", 400),
        ("GET", "/api/v1/campaign/1/", 404),
        ("GET", "/api/v1/nothing/", 404),
        ("PUT", "/api/accounts/login/", 405),
        ("GET", "/sandbox/messages", 200),
        ("GET", "/sandbox/", 200),
        ("GET", "/health", 503),
    ],
)
def test_api_responses_have_cache_control_no_store(
    api: APIClient, method: str, path: str, status: int
) -> None:
    api.force_authenticate(make_user())
    response = api.generic(method, path, "{}", content_type="application/json")
    assert response.status_code == status
    assert response.headers["Cache-Control"] == "no-store"


def test_error_responses_have_cache_control_no_store(client: Client) -> None:
    for path in ("/api/system/campaigns/", "/api/v1/campaign/"):
        assert client.get(path).headers["Cache-Control"] == "no-store"
        refused = client.get(path, HTTP_HOST="evil.example")
        assert (refused.status_code, refused.headers["Cache-Control"]) == (400, "no-store")


def test_recordings_and_static_files_may_be_cached(client: Client) -> None:
    name = store.keyed_name("kept")
    store.write(name, "wav", b"RIFF")
    assert "immutable" in client.get(recording_path(name, "wav")).headers["Cache-Control"]
    assert "public" in client.get("/static/telephony/sandbox_inbox.css").headers["Cache-Control"]
