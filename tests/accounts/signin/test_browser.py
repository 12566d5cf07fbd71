"""The sign-in pages in a real browser: passkeys with a virtual authenticator, and the layout of every page.

Set SCREENSHOTS to a folder to keep pictures of the pages.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.utils import translation
from django.utils.translation import gettext
from pytest_django.live_server_helper import LiveServer

from accounts.audit_sentences import sentence_of
from accounts.models import AuditEntry, User
from tests.accounts.signin.pages import NEW_PASSWORD, PASSWORD, link_in, mails, totp
from tests.browser import Look
from tests.factories import account_of, make_user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sita() -> User:
    return make_user(email="sita@example.com", password=PASSWORD, first_name="Sita", name="Water office")


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
    page: Any, live_server: LiveServer, look: Look, playwright: Any, sita: User
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
    page: Any, live_server: LiveServer, look: Look, playwright: Any, sita: User
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
    code = page.locator(".codes code").first.inner_text()
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
    enter_recovery_code(page, live_server, code)
    playwright.expect(page.get_by_role("heading", name="Sita")).to_be_visible()
    page.get_by_role("link", name="Manage").click()
    playwright.expect(page.get_by_text("9 codes are left")).to_be_visible()
    enter_recovery_code(page, live_server, code)
    playwright.expect(page.get_by_text("The code is wrong or was used before")).to_be_visible()


def enter_recovery_code(page: Any, server: LiveServer, code: str) -> None:
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, server)
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Sign in").click()


@pytest.mark.parametrize("language", ["en", "ne"])
def test_person_who_forgot_the_password_sets_a_new_one(
    language: str, page: Any, live_server: LiveServer, look: Look, playwright: Any, sita: User
) -> None:
    with translation.override(language):
        say = gettext
        page.goto(address(live_server, "/accounts/login/?next=/accounts/"))
        if language == "ne":
            page.get_by_role("button", name="नेपाली").click()
        page.get_by_label(say("E-mail address")).fill("sita@example.com")
        page.get_by_label(say("Password")).fill("wrong-password")
        page.get_by_role("button", name=say("Sign in"), exact=True).click()
        wrong = say("The e-mail address or the password is wrong. Check both and try again.")
        playwright.expect(page.get_by_role("alert").filter(visible=True)).to_have_text(wrong)
        look(f"wrong-password-{language}")
        page.get_by_role("link", name=say("Forgotten password")).click()
        page.get_by_label(say("E-mail address")).fill("sita@example.com")
        page.get_by_role("button", name=say("Send the link")).click()
        inbox = page.get_by_role("heading", name=say("Look into your inbox"))
        playwright.expect(inbox).to_be_visible()
        look(f"look-into-inbox-{language}")
        (mail,) = mails()
        page.goto(address(live_server, link_in(mail.body)))
        page.get_by_label(say("New password"), exact=True).fill(NEW_PASSWORD)
        page.get_by_label(say("New password, once more")).fill(f"{NEW_PASSWORD}x")
        page.get_by_role("button", name=say("Save the password")).click()
        playwright.expect(page.locator(".wrong")).to_have_count(1)
        look(f"different-passwords-{language}")
        page.get_by_label(say("New password"), exact=True).fill(NEW_PASSWORD)
        page.get_by_label(say("New password, once more")).fill(NEW_PASSWORD)
        page.get_by_role("button", name=say("Save the password")).click()
        playwright.expect(page.get_by_role("heading", name=say("Password saved"))).to_be_visible()
        page.goto(address(live_server, link_in(mail.body)))
        playwright.expect(page.get_by_role("heading", name=say("This link does not work"))).to_be_visible()
        look(f"used-link-{language}")
        page.goto(address(live_server, "/accounts/login/?next=/accounts/"))
        page.get_by_label(say("E-mail address")).fill("sita@example.com")
        page.get_by_label(say("Password")).fill(NEW_PASSWORD)
        page.get_by_role("button", name=say("Sign in"), exact=True).click()
        playwright.expect(page.get_by_role("heading", name="Sita")).to_be_visible()
