"""Two-step sign-in: authenticator app, recovery codes, and what a stolen password can still do."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core import mail as outbox
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db.models import F
from django.test import Client

from accounts import tasks
from accounts.models import RateCounter, User
from tests.accounts.signin.forged_passkey import FORGED
from tests.accounts.signin.pages import PASSWORD, Browser, link_in, mails, totp, turn_on_totp
from tests.accounts.signin.test_links import ask, set_password
from tests.factories import account_of, make_member, make_user

pytestmark = pytest.mark.django_db
LOGIN = {"email": "sita@example.com", "password": PASSWORD}


@pytest.fixture
def sita() -> User:
    return make_user(email="sita@example.com", password=PASSWORD)


@pytest.fixture
def browser(sita: User) -> Browser:
    browser = Browser()
    browser.sign_in("sita@example.com")
    return browser


def second_step(browser: Browser, code: str) -> str:
    assert "Second step" in browser.sign_in("sita@example.com")
    return browser.post("/accounts/two-step/authenticate/", {"code": code})


class TestApp:
    def test_person_signs_in_with_a_code(self, browser: Browser) -> None:
        secret, _ = turn_on_totp(browser)
        other = Browser()
        assert "Second step" in other.sign_in("sita@example.com")
        assert not other.signed_in
        code = totp(secret)
        assert "Your sign-in" in other.post(
            "/accounts/two-step/authenticate/", {"code": f" {code[:3]} {code[3:]} "}
        )
        assert other.signed_in

    def test_password_is_asked_again_before_a_change(self, browser: Browser) -> None:
        session = browser.client.session
        for record in session["account_authentication_methods"]:
            record["at"] -= 3600
        session.save()
        page = browser.post("/accounts/two-step/app/activate/", {"code": "000000"})
        assert "Is it you?" in page
        assert "The password is wrong" in browser.confirm("wrong")

    def test_wrong_code_does_not_turn_it_on(self, browser: Browser) -> None:
        browser.confirm()
        browser.get("/accounts/two-step/app/activate/")
        assert "The code is wrong" in browser.post("/accounts/two-step/app/activate/", {"code": "12345"})
        assert not Authenticator.objects.exists()

    def test_code_works_once_in_all_processes(self, browser: Browser) -> None:
        secret, _ = turn_on_totp(browser)
        code = totp(secret)
        assert "Your sign-in" in second_step(Browser(), code)
        cache.clear()  # another process has a cache of its own
        assert "was used before" in second_step(Browser(), code)

    def test_wrong_codes_are_limited_from_all_addresses(self, browser: Browser) -> None:
        secret, _ = turn_on_totp(browser)
        for n in range(5):
            assert "The code is wrong" in second_step(Browser(f"192.0.2.{n}"), "000000")
        page = second_step(Browser("192.0.2.9"), totp(secret))
        assert re.search(r"Too many wrong codes\. Wait \d+ seconds", page)
        RateCounter.objects.update(ends_at=F("ends_at") - timedelta(minutes=6))
        assert "Your sign-in" in second_step(Browser(), totp(secret))

    @pytest.mark.parametrize("code", ["", " ", "x" * 41, "１２３４５６", "💥", "0\x00", "-1", "1e5"])
    def test_arbitrary_text_as_a_code_is_refused(self, browser: Browser, code: str) -> None:
        turn_on_totp(browser)
        other = Browser()
        assert "Second step" in second_step(other, code)
        assert not other.signed_in

    def test_person_turns_it_off(self, browser: Browser) -> None:
        turn_on_totp(browser)
        browser.post("/accounts/two-step/app/deactivate/")
        assert not Authenticator.objects.exists()
        assert "Your sign-in" in Browser().sign_in("sita@example.com")

    @pytest.mark.django_db(transaction=True)
    def test_person_is_told_by_e_mail(self, browser: Browser) -> None:
        turn_on_totp(browser)
        browser.post("/accounts/two-step/app/deactivate/")
        assert [mail.to for mail in outbox.outbox] == [["sita@example.com"]] * 2
        assert "127.0.0.1" in str(outbox.outbox[0].body)
        assert "Firefox" in str(outbox.outbox[0].body)


class TestRecoveryCodes:
    def test_each_code_works_once(self, browser: Browser) -> None:
        _, codes = turn_on_totp(browser)
        assert "Your sign-in" in second_step(Browser(), codes[0])
        assert "was used before" in second_step(Browser(), codes[0])
        assert "Your sign-in" in second_step(Browser(), codes[1])

    def test_codes_are_shown_once(self, browser: Browser) -> None:
        _, codes = turn_on_totp(browser)
        page = browser.get("/accounts/two-step/codes/")
        assert "10 codes are left" in page
        assert not any(code in page for code in codes)
        assert browser.client.get("/accounts/two-step/codes/download/").status_code == 404

    def test_new_codes_replace_the_old_ones(self, browser: Browser) -> None:
        _, codes = turn_on_totp(browser)
        page = browser.post("/accounts/two-step/codes/generate/")
        new = re.findall(r"<code>(\d{8})</code>", page)
        assert len(new) == 10
        assert "was used before" in second_step(Browser(), codes[0])
        assert "Your sign-in" in second_step(Browser(), new[0])


class TestStolenPassword:
    @pytest.mark.parametrize("path", ["/api/accounts/login/", "/api/v1/auths/login/"])
    def test_api_does_not_log_in_people_with_two_steps(self, browser: Browser, path: str) -> None:
        assert Client().post(path, LOGIN).status_code == 200
        turn_on_totp(browser)
        answer = Client().post(path, LOGIN)
        assert answer.status_code == 403
        assert "Use an API key" in answer.json()["message"]
        assert Client().post(path, {**LOGIN, "password": "wrong"}).status_code == 401

    def test_first_step_alone_opens_no_page(self, browser: Browser) -> None:
        turn_on_totp(browser)
        other = Browser()
        other.sign_in("sita@example.com")
        for path in ("", "two-step/", "sessions/", "password/change/", "two-step/codes/generate/"):
            assert other.client.get(f"/accounts/{path}").status_code == 302
        assert other.client.get("/admin/").status_code == 302

    def test_new_password_by_e_mail_does_not_remove_the_second_step(self, browser: Browser) -> None:
        turn_on_totp(browser)
        ask("sita@example.com")
        set_password(link_in(mails()[-1].body), "another-good-password")
        assert "Second step" in Browser().sign_in("sita@example.com", "another-good-password")

    def test_setting_it_up_ends_no_token_and_no_key(self, browser: Browser) -> None:
        token = Client().post("/api/accounts/login/", LOGIN).json()["data"]["token"]
        turn_on_totp(browser)
        answer = Client().post("/api/accounts/token/refresh/", {"refresh": token["refresh"]})
        assert answer.status_code == 200


class TestOperator:
    def test_command_removes_the_second_step_and_ends_logins(
        self, browser: Browser, capsys: pytest.CaptureFixture[str]
    ) -> None:
        turn_on_totp(browser)
        call_command("removesecondfactor", "Sita@example.com")
        assert "signs in with the password alone" in capsys.readouterr().out
        assert not browser.signed_in
        assert "Your sign-in" in Browser().sign_in("sita@example.com")
        call_command("removesecondfactor", "sita@example.com")
        assert "had no two-step sign-in" in capsys.readouterr().out
        with pytest.raises(CommandError, match="no account with the e-mail address"):
            call_command("removesecondfactor", "nobody@example.com")

    def test_admin_page_removes_the_second_step(self, sita: User, browser: Browser) -> None:
        turn_on_totp(browser)
        operator = Browser()
        operator.client.force_login(User.objects.create_superuser("operator@example.com", PASSWORD))
        form = {"action": "remove_second_factor", "_selected_action": [sita.pk]}
        assert "1 people now sign in" in operator.post("/admin/accounts/user/", form)
        assert not Authenticator.objects.exists()


CREDENTIALS: list[Any] = [
    "",
    "null",
    "1",
    "[]",
    "{}",
    '"text"',
    "{",
    "[" * 20_000,
    "9" * 5000,
    '{"id": "\\u0000"}',
    json.dumps({"id": "AA", "rawId": "AA", "type": "public-key", "response": 5}),
    json.dumps({"id": "AA", "rawId": "AA", "type": "public-key", "response": {"userHandle": "!!"}}),
    FORGED,
    json.dumps(
        {
            "id": "AA",
            "rawId": "AA",
            "type": "public-key",
            "response": {
                "userHandle": "enp6enp6enp6enp6eno",
                "clientDataJSON": "e30",
                "authenticatorData": "A" * 60,
                "signature": "AA",
                "attestationObject": "oA",
            },
        }
    ),
]


class TestForgedKeys:
    """tests/accounts/signin/test_browser.py uses real ones."""

    def test_forged_answer_of_a_key_is_refused(self, browser: Browser) -> None:
        browser.confirm()
        browser.get("/accounts/two-step/keys/add/")
        for credential in CREDENTIALS:
            page = browser.post("/accounts/two-step/keys/add/", {"name": "Key", "credential": credential})
            assert "Add a key" in page
        assert not Authenticator.objects.exists()

        alone = Browser()
        for n, credential in enumerate(CREDENTIALS):
            alone.client.defaults["REMOTE_ADDR"] = f"192.0.2.{n}"
            challenge = alone.client.get(
                "/accounts/two-step/keys/login/", headers={"Accept": "application/json"}
            )
            assert challenge.json()["request_options"]["publicKey"]["challenge"]
            assert "Sign in" in alone.post("/accounts/two-step/keys/login/", {"credential": credential})
        assert not alone.signed_in

        turn_on_totp(browser)
        second = Browser()
        assert "Second step" in second.sign_in("sita@example.com")
        for credential in CREDENTIALS:
            page = second.post("/accounts/two-step/authenticate/", {"credential": credential})
            assert "Second step" in page
        assert not second.signed_in

    def test_attempts_with_keys_are_limited(self, db: None) -> None:
        browser = Browser()
        answers = [browser.client.get("/accounts/two-step/keys/login/").status_code for _ in range(21)]
        assert answers == [302] * 20 + [429]
        response = browser.client.get("/accounts/two-step/keys/login/")
        assert 1 <= int(response.headers["Retry-After"]) <= 60
        assert "Too many attempts" in response.content.decode()

    def test_key_of_somebody_else_cannot_be_removed(self, sita: User, browser: Browser) -> None:
        ram = make_member(account_of(sita), "viewer")
        key = Authenticator.objects.create(user=ram, type="webauthn", data={"name": "x"})
        browser.confirm()
        assert browser.client.post(f"/accounts/two-step/keys/{key.pk}/remove/").status_code == 404
        assert Authenticator.objects.exists()


def test_counters_of_codes_are_pruned(browser: Browser) -> None:
    turn_on_totp(browser)
    RateCounter.objects.update(ends_at=F("ends_at") - timedelta(days=2))
    tasks.prune()
    assert not RateCounter.objects.exists()


def test_codes_are_those_of_the_standard() -> None:
    """RFC 6238, appendix B, with the last six of its eight digits."""
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    assert format_hotp_value(hotp_value(secret, 59 // 30)) == "287082"
