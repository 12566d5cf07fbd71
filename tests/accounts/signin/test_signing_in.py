"""People sign in with a browser, by the same rules and limits as clients of the API."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db.models import F
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts import hashing, members, services, tasks
from accounts.models import KnownAddress, User
from accounts.permissions import ALL
from tests.accounts.signin.pages import PASSWORD, Browser, turn_on_totp
from tests.factories import account_of, make_account, make_member, make_user

pytestmark = pytest.mark.django_db
LOGIN = "/api/accounts/login/"


@pytest.fixture
def sita() -> User:
    return make_user(email="Sita@example.com", password=PASSWORD, first_name="Sita", name="Water office")


class TestSigningIn:
    def test_person_signs_in_and_out(self, sita: User) -> None:
        browser = Browser()
        assert not browser.signed_in
        page = browser.sign_in("sita@EXAMPLE.com")
        assert "Water office" in page
        assert "owner" in browser.get("/accounts/")
        sita.refresh_from_db()
        assert sita.last_login is not None
        browser.post("/accounts/logout/")
        assert not browser.signed_in

    def test_the_page_fills_in_the_demo_account_only_if_the_operator_wants_it(
        self, settings: Settings
    ) -> None:
        assert "demo" not in Browser().get("/accounts/login/")
        settings.IRIS_DEMO_LOGIN = "demo@example.com demo-password"
        page = Browser().get("/accounts/login/")
        assert 'value="demo@example.com"' in page
        assert 'value="demo-password"' in page

    def test_wrong_password_and_unknown_address_have_the_same_answer(self, sita: User) -> None:
        pages = [
            re.sub(r'value="[^"]*"', "", Browser().sign_in(email, "wrong"))
            for email in ("sita@example.com", "nobody@example.com")
        ]
        assert pages[0] == pages[1]
        assert "address or the password is wrong" in pages[0]

    def test_address_is_known_after_a_sign_in(self, sita: User) -> None:
        Browser("192.0.2.7").sign_in("sita@example.com")
        assert KnownAddress.objects.filter(user=sita).count() == 1

    def test_failures_are_counted_together_with_those_of_the_api(
        self, sita: User, settings: Settings
    ) -> None:
        settings.IRIS_LOGIN_THROTTLE = "3/day"
        browser = Browser()
        for _ in range(2):
            assert "Too many" not in browser.sign_in("sita@example.com", "guess")
        answer = browser.client.post(LOGIN, {"email": " Sita@example.com", "password": "guess"})
        assert answer.status_code == 401
        page = browser.sign_in("sita@example.com")
        assert re.search(r"Too many logins in a short time\. Wait \d+ seconds and try again\.", page)
        assert not browser.signed_in
        answer = browser.client.post(LOGIN, {"email": "sita@example.com", "password": PASSWORD})
        assert answer.status_code == 429

    def test_passwords_are_hashed_one_at_a_time(self, sita: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(hashing, "MAX_WAITING_STRANGERS", 0)
        with hashing.slot(known=False):
            assert "Many people are logging in at this moment" in Browser().sign_in("sita@example.com")

    @pytest.mark.parametrize("email", ["", "💥", "x" * 5000, "a\x00b@example.com", "no address", "ａ@ｂ.c"])
    def test_arbitrary_text_as_the_address_is_an_error_of_the_form(self, email: str) -> None:
        browser = Browser()
        assert "Sign in" in browser.sign_in(email, "guess")
        assert not browser.signed_in

    def test_password_has_a_maximum_length(self, sita: User) -> None:
        assert "at most 1024 characters" in Browser().sign_in("sita@example.com", "x" * 1025)

    def test_large_form_is_refused(self) -> None:
        page = Browser().sign_in("sita@example.com", "x" * 70_000, status=413)
        assert "The form is larger" in page

    def test_inactive_person_is_told_so_only_with_the_right_password(self, sita: User) -> None:
        User.objects.update(is_active=False)
        assert "switched off" in Browser().sign_in("sita@example.com")
        assert "switched off" not in Browser().sign_in("sita@example.com", "wrong")

    def test_person_without_an_account_is_told_so(self) -> None:
        User.objects.create_user("ram@example.com", PASSWORD)
        browser = Browser()
        page = browser.sign_in("ram@example.com", status=403)
        assert (
            "You are not a member of any account. Ask an owner of an account to add ram@example.com." in page
        )
        assert not browser.signed_in

    def test_nobody_can_sign_up(self) -> None:
        for path in (
            "/accounts/signup/",
            "/accounts/login/code/",
            "/accounts/email/",
            "/accounts/password/set/",
        ):
            assert Browser().client.get(path).status_code == 404

    @pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
    def test_sign_in_leads_to_no_other_site(self, sita: User, target: str) -> None:
        response = Client().post(
            "/accounts/login/", {"login": "sita@example.com", "password": PASSWORD, "next": target}
        )
        assert response.headers["Location"] == "/"

    def test_form_without_its_token_is_refused_with_a_sentence(self, sita: User) -> None:
        client = Client(enforce_csrf_checks=True)
        response = client.post("/accounts/login/", {"login": "sita@example.com", "password": PASSWORD})
        assert response.status_code == 403
        assert "Nothing was changed" in response.content.decode()


class TestSessions:
    def test_cookie_is_unreadable_for_scripts_and_other_sites(self, sita: User, settings: Settings) -> None:
        settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
        browser = Browser()
        browser.get("/accounts/login/")
        browser.sign_in("sita@example.com")
        for name in ("sessionid", "csrftoken"):
            cookie = browser.client.cookies[name]
            assert cookie["httponly"]
            assert cookie["secure"]
            assert cookie["samesite"] == "Lax"

    def test_session_ends_after_a_fixed_time(self, sita: User, settings: Settings) -> None:
        settings.IRIS_SESSION_HOURS = 5
        browser = Browser()
        browser.sign_in("sita@example.com")
        session = Session.objects.get(pk=browser.client.session.session_key)
        left = session.expire_date - timezone.now()
        assert timedelta(hours=4.9) < left <= timedelta(hours=5)
        changed = browser.client.session
        changed["something"] = "new"
        changed.save()
        session.refresh_from_db()
        assert session.expire_date - timezone.now() <= timedelta(hours=5)
        Session.objects.update(expire_date=timezone.now())
        assert not browser.signed_in

    def test_person_sees_and_ends_sessions(self, sita: User) -> None:
        here, there = Browser("192.0.2.1"), Browser("192.0.2.2")
        for browser in (here, there):
            browser.sign_in("sita@example.com")
        page = here.get("/accounts/sessions/")
        assert "192.0.2.1" in page
        assert "192.0.2.2" in page
        assert "Firefox" in page
        here.post("/accounts/sessions/")
        assert here.signed_in
        assert not there.signed_in

    def test_nothing_is_kept_of_sessions_that_have_ended(self, sita: User) -> None:
        here, there = Browser(), Browser()
        for browser in (here, there):
            browser.sign_in("sita@example.com")
        UserSession.objects.update(created_at=F("created_at") - timedelta(hours=1))
        Session.objects.filter(pk=there.client.session.session_key).update(expire_date=timezone.now())
        tasks.prune()
        assert UserSession.objects.get().session_key == Session.objects.get().session_key
        assert here.signed_in

    def test_new_password_ends_all_other_sessions_and_tokens(self, sita: User) -> None:
        here, there = Browser(), Browser()
        for browser in (here, there):
            browser.sign_in("sita@example.com")
        token = Client().post(LOGIN, {"email": "sita@example.com", "password": PASSWORD}).json()
        bearer = {"Authorization": f"Bearer {token['data']['token']['access']}"}
        assert Client().get("/api/accounts/user_details/", headers=bearer).status_code == 200
        form = {"oldpassword": PASSWORD, "password1": "better-words-7", "password2": "better-words-7"}
        page = here.post("/accounts/password/change/", form)
        assert "Change your password" in page
        assert here.signed_in
        assert not there.signed_in
        assert Client().get("/api/accounts/user_details/", headers=bearer).status_code == 401
        assert "address or the password is wrong" in Browser().sign_in("sita@example.com")
        Browser().sign_in("sita@example.com", "better-words-7")

    @pytest.mark.parametrize("how", ["password", "end_logins", "inactive"])
    def test_sessions_end_when_the_operator_ends_logins(self, sita: User, how: str) -> None:
        browser = Browser()
        browser.sign_in("sita@example.com")
        if how == "password":
            sita.set_password("set-by-operator-9")
            sita.save()
        elif how == "inactive":
            User.objects.filter(pk=sita.pk).update(is_active=False)
        else:
            services.end_all_logins(user_ids=[sita.pk])
        assert not browser.signed_in

    def test_session_survives_a_new_hash_of_the_same_password(self, sita: User) -> None:
        browser = Browser()
        browser.sign_in("sita@example.com")
        sita.refresh_from_db()
        sita._rehash(PASSWORD)
        assert browser.signed_in

    def test_removed_member_sees_the_account_no_more(self, sita: User) -> None:
        office = make_account(name="Health post")
        member = members.add(
            account=office,
            email=sita.email,
            permissions=ALL,
            by=members.Actor(granted=ALL, is_owner=True),
        )
        browser = Browser()
        assert "Health post" in browser.sign_in("sita@example.com")
        members.remove(account=office, member_id=member.pk, by=members.Actor(granted=ALL, is_owner=True))
        assert "Health post" not in browser.get("/accounts/")

    def test_wrong_present_password_changes_nothing_and_counts(self, sita: User, settings: Settings) -> None:
        settings.IRIS_LOGIN_THROTTLE = "2/day"
        browser = Browser()
        browser.sign_in("sita@example.com")
        form = {"oldpassword": "wrong", "password1": "better-words-7", "password2": "better-words-7"}
        for said in ("not your current password", "not your current password", "Too many logins"):
            assert said in browser.post("/accounts/password/change/", form)
        sita.refresh_from_db()
        assert sita.check_password(PASSWORD)


class TestAdmin:
    def test_admin_pages_use_the_same_sign_in(self) -> None:
        User.objects.create_superuser("operator@example.com", PASSWORD)
        browser = Browser()
        response = browser.client.get("/admin/accounts/account/")
        assert response.status_code == 302
        response = browser.client.get(response.headers["Location"])
        assert response.headers["Location"] == "/accounts/login/?next=%2Fadmin%2Faccounts%2Faccount%2F"
        form = {"login": "operator@example.com", "password": PASSWORD, "next": "/admin/accounts/account/"}
        assert "Select account to change" in browser.post("/accounts/login/", form)

    def test_person_who_is_no_operator_is_told_so(self, sita: User) -> None:
        browser = Browser()
        browser.sign_in("sita@example.com")
        response = browser.client.get("/admin/", follow=True)
        assert response.status_code == 403
        assert "is not an operator of this server" in response.content.decode()

    def test_operators_may_be_required_to_sign_in_in_two_steps(self, settings: Settings) -> None:
        settings.IRIS_STAFF_SECOND_FACTOR = True
        User.objects.create_superuser("operator@example.com", PASSWORD)
        browser = Browser()
        browser.sign_in("operator@example.com")
        response = browser.client.get("/admin/", follow=True)
        assert response.status_code == 403
        assert "Set up an authenticator app or a key" in response.content.decode()
        for path in ("/admin/accounts/user/", "/admin/accounts/account/1/change/", "/admin/jsi18n/"):
            assert browser.client.get(path).status_code == 302
        turn_on_totp(browser)
        assert "Site administration" in browser.get("/admin/")

    def test_admin_shows_no_secrets_of_the_second_step(self) -> None:
        browser = Browser()
        browser.client.force_login(User.objects.create_superuser("operator@example.com", PASSWORD))
        page = browser.get("/admin/")
        assert "Authenticators" not in page
        assert browser.client.get("/admin/mfa/authenticator/").status_code == 404

    def test_password_page_of_the_admin_leads_to_that_of_the_sign_in(self) -> None:
        browser = Browser()
        browser.client.force_login(User.objects.create_superuser("operator@example.com", PASSWORD))
        response = browser.client.get("/admin/password_change/")
        assert response.headers["Location"] == "/accounts/password/change/"


def test_member_of_a_suspended_account_can_still_sign_in(sita: User) -> None:
    account = account_of(sita)
    account.is_suspended = True
    account.save()
    assert "suspended" in Browser().sign_in("sita@example.com")


@pytest.mark.parametrize(
    "path",
    ["", "two-step/", "two-step/keys/", "sessions/", "password/change/", "two-step/codes/", "email/send/"],
)
def test_pages_of_a_person_need_a_sign_in(path: str) -> None:
    client: Any = Client()
    method = client.post if path == "email/send/" else client.get
    response = method(f"/accounts/{path}")
    assert response.status_code == 302
    assert response.headers["Location"].startswith("/accounts/login/?next=/accounts/")


def test_viewer_can_sign_in() -> None:
    viewer = make_member(make_account(name="Health post"), "viewer")
    assert "Health post" in Browser().sign_in(viewer.email)
