"""Everyone can read the OpenAPI document and the pages that show it. They load everything from this server."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.contrib.staticfiles import finders
from django.test import Client
from pytest_django.live_server_helper import LiveServer

from iris.api.openapi.errors import error_codes
from tests.conftest import require_module, require_program

PICTURES = os.environ.get("PICTURES")  # a folder: docs/images, to make the picture of the documents again
MAX_PICTURE_BYTES = 150_000
PAGES = ("/api/docs/", "/api/redoc/", "/api/docs/errors/", "/api/docs/errors/campaign_live/")


@pytest.fixture
def client() -> Client:
    return Client()


def test_the_document_is_json_unless_yaml_is_wanted(client: Client) -> None:
    as_json = client.get("/api/schema/")
    assert as_json.headers["Content-Type"].startswith("application/vnd.oai.openapi+json")
    shown = json.loads(as_json.content)
    assert shown["openapi"].startswith("3.1.")
    for asked in (
        client.get("/api/schema?format=yaml"),
        client.get("/api/schema/", headers={"accept": "application/yaml"}),
    ):
        assert yaml.load(asked.content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) == shown


def test_a_client_that_has_the_document_gets_it_only_once(client: Client) -> None:
    etag = client.get("/api/schema/").headers["ETag"]
    assert client.get("/api/schema/", headers={"if-none-match": etag}).status_code == 304
    assert client.get("/api/schema/?format=yaml").headers["ETag"] != etag


def test_the_document_is_only_read(client: Client) -> None:
    assert client.post("/api/schema/").status_code == 405


@pytest.mark.parametrize("page", PAGES)
def test_pages_contain_no_inline_code_and_load_only_files_of_this_server(client: Client, page: str) -> None:
    response = client.get(page)
    text = response.content.decode()
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    assert "style=" not in text
    assert re.findall(r"<script(?![^>]*\bsrc=)", text) == []
    loaded = re.findall(r'<(?:script|link)[^>]*\b(?:src|href)="([^"]+)"', text)
    assert all(finders.find(url.removeprefix("/static/")) for url in loaded)


def test_every_code_has_a_page_with_its_sentences(client: Client) -> None:
    text = client.get("/api/docs/errors/").content.decode()
    assert all(f'id="{code}"' in text for code in error_codes())
    one = client.get("/api/docs/errors/insufficient_credits/")
    assert "Top up the account" in one.content.decode()
    assert client.get("/api/docs/errors/no_such_code/").status_code == 404


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("page", "sentence"),
    [("/api/docs/", "List campaigns, newest first"), ("/api/redoc/", "Log in with an e-mail address")],
)
def test_pages_show_the_operations_in_a_browser_without_violating_the_policy(
    live_server: LiveServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, page: str, sentence: str
) -> None:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    chromium = require_program("chromium")
    with require_module("playwright.sync_api").sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        complaints: list[str] = []
        tab: Any = browser.new_page()
        tab.on(
            "console", lambda message: complaints.append(message.text) if message.type == "error" else None
        )
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.goto(live_server.url + page)
        if page == "/api/docs/":
            tab.get_by_text("v0 campaigns").first.click()
        tab.get_by_text(sentence).locator("visible=true").first.wait_for(timeout=60_000)
        if page == "/api/docs/":
            take_picture(tab, sentence, Path(PICTURES or tmp_path) / "api-docs.png")
        browser.close()
    # Redoc asks for the logo of its maker, which the policy does not let it load from another server.
    others = [one for one in complaints if "img-src" not in one]
    assert others == [], "\n".join(others)


def take_picture(tab: Any, sentence: str, path: Path) -> None:
    """Open an operation, as a reader does, and take the picture of it that the quick start shows."""
    tab.set_viewport_size({"width": 1280, "height": 900})
    operation = tab.locator(".opblock", has_text=sentence).first
    operation.locator(".opblock-summary").click()
    operation.get_by_role("button", name="Try it out").wait_for(timeout=60_000)
    operation.evaluate("block => block.scrollIntoView({block: 'start'})")
    tab.screenshot(path=path)
    assert path.stat().st_size < MAX_PICTURE_BYTES


def test_the_quick_start_shows_a_small_picture_of_the_document() -> None:
    docs = Path(__file__).parents[4] / "docs"
    assert "(../images/api-docs.png)" in (docs / "guides" / "quick-start.md").read_text(encoding="utf-8")
    assert (docs / "images" / "api-docs.png").stat().st_size < MAX_PICTURE_BYTES
