"""The sign-in pages in a real browser: passkeys with a virtual authenticator, and the layout of every page.

Set SCREENSHOTS to a folder to keep pictures of the pages.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from pytest_django.live_server_helper import LiveServer

from accounts.audit_sentences import sentence_of
from accounts.models import AuditEntry, User
from tests.accounts.signin.pages import PASSWORD, totp
from tests.conftest import require_module, require_program
from tests.factories import account_of, make_user

pytestmark = pytest.mark.django_db(transaction=True)
WIDTHS = (360, 1440)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Any]:
    # Playwright runs an event loop in the thread of the test, in which Django would refuse to use the database.
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        yield require_module("playwright.sync_api")


@pytest.fixture(scope="module")
def chromium(playwright: Any) -> Iterator[Any]:
    path = require_program("chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any, sita: User) -> Iterator[Any]:
    context = chromium.new_context(viewport={"width": 360, "height": 740})
    page = context.new_page()
    page.set_default_timeout(20_000)
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    context.close()
    assert problems == []  # such as a script or style that the Content-Security-Policy refuses


@pytest.fixture
def sita() -> User:
    return make_user(email="sita@example.com", password=PASSWORD, first_name="Sita", name="Water office")


@pytest.fixture
def look(page: Any) -> Callable[[str], None]:
    """Check that the page fits its window, on a telephone and on a desktop, light and dark."""
    folder = os.environ.get("SCREENSHOTS")

    def look(name: str) -> None:
        for scheme in ("light", "dark"):
            for width in WIDTHS:
                page.emulate_media(color_scheme=scheme)
                page.set_viewport_size({"width": width, "height": 740})
                assert page.evaluate("document.documentElement.scrollWidth") <= width, name
                if folder:
                    page.screenshot(path=Path(folder) / f"{name}-{scheme}-{width}.png", full_page=True)
        page.set_viewport_size({"width": 360, "height": 740})

    return look


def address(server: LiveServer, path: str) -> str:
    """Return an address of a host for which browsers accept passkeys."""
    return f"{server.url}{path}".replace("127.0.0.1", "localhost")


def sign_in(page: Any, server: LiveServer) -> None:
    page.goto(address(server, "/accounts/login/?next=/accounts/"))
    page.get_by_label("E-mail address").fill("sita@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def confirm(page: Any) -> None:
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Continue").click()


def add_authenticator(page: Any) -> Any:
    """Plug a virtual key with a fingerprint reader into the browser."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return devtools


def test_person_signs_in_with_a_passkey(
    page: Any, live_server: LiveServer, look: Callable[[str], None], playwright: Any, sita: User
) -> None:
    add_authenticator(page)
    sign_in(page, live_server)
    playwright.expect(page.get_by_role("heading", name="Sita")).to_be_visible()
    look("home")
    page.get_by_role("link", name="Set up").click()
    page.get_by_role("link", name="Add a key").click()
    look("confirm")
    confirm(page)
    look("add-key")
    page.get_by_label("Name").fill("Telephone")
    page.get_by_label("Sign in with this key alone").check()
    page.get_by_role("button", name="Add the key").click()
    playwright.expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    page.get_by_role("link", name="Back").click()
    playwright.expect(page.get_by_text("Telephone")).to_be_visible()
    look("two-step-on")
    page.get_by_role("button", name="Sign out").click()

    page.get_by_role("button", name="Sign in with a passkey").click()
    playwright.expect(page.get_by_role("heading", name="Water office")).to_be_visible()
    page.goto(address(live_server, "/accounts/"))
    page.get_by_role("button", name="Sign out").click()

    sign_in(page, live_server)  # and the same key as the second step
    playwright.expect(page.get_by_role("heading", name="Second step")).to_be_visible()
    look("second-step")
    page.get_by_role("button", name="Use a key").click()
    playwright.expect(page.get_by_role("heading", name="Sita")).to_be_visible()
    logged = AuditEntry.objects.exclude(address="").order_by("pk")
    assert [entry.action for entry in logged] == [
        "signed_in",
        "passkey_added",
        "codes_created",
        *("signed_out", "signed_in"),  # with the passkey alone
        *("signed_out", "signed_in"),  # with the password and the key
    ]
    assert {(entry.account_id, entry.actor_email) for entry in logged} == {
        (account_of(sita).pk, "sita@example.com")
    }
    assert sentence_of(logged[1]) == "Sita added the passkey “Telephone” of “sita@example.com”."


def test_person_sets_up_an_authenticator_app(
    page: Any, live_server: LiveServer, look: Callable[[str], None], playwright: Any
) -> None:
    page.goto(address(live_server, "/accounts/login/"))
    look("sign-in")
    page.get_by_role("link", name="Forgotten password").click()
    look("forgotten-password")
    sign_in(page, live_server)
    page.get_by_role("link", name="Set up").click()
    look("two-step-off")
    page.get_by_role("link", name="Set up an app").click()
    confirm(page)
    look("set-up-app")
    found = re.search(r"[A-Z2-7]{32}", page.locator("code").inner_text())
    assert found is not None
    assert page.evaluate("document.querySelector('.qr').naturalWidth") > 0  # the policy allows the picture
    page.get_by_label("Code").fill(totp(found[0]))
    page.get_by_role("button", name="Turn it on").click()
    playwright.expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    look("recovery-codes")
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, live_server)
    page.get_by_label("Code").fill("000000")
    page.get_by_role("button", name="Sign in").click()
    playwright.expect(page.get_by_text("The code is wrong")).to_be_visible()
    look("wrong-code")
    page.get_by_label("Code").fill(totp(found[0]))
    page.get_by_role("button", name="Sign in").click()
    playwright.expect(page.get_by_role("heading", name="Sita")).to_be_visible()
    page.get_by_role("link", name="Show").click()
    playwright.expect(page.get_by_text("this session")).to_be_visible()
    look("sessions")
    page.goto(f"{live_server.url}/accounts/password/change/".replace("127.0.0.1", "localhost"))
    look("change-password")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM mfa_authenticator")
        assert cursor.fetchone() == (2,)
