"""Tokens end with the password, with the account, and with the login that they came from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher, make_password
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from accounts import apikeys, tasks
from accounts.api.authentication import Tokens, issue_tokens
from accounts.models import EndedLogin, User
from accounts.services import end_login, log_in
from tests.factories import make_user
from tests.v1.caller import assert_refusal

pytestmark = pytest.mark.django_db

PASSWORD = "secret-password"
DETAILS, REFRESH = "/api/accounts/user_details/", "/api/accounts/token/refresh/"
LOGOUT, LOGOUT_V1 = "/api/accounts/logout/", "/api/v1/auths/logout/"
LOGIN_V1, REFRESH_V1 = "/api/v1/auths/login/", "/api/v1/auths/login/refresh/"
PROFILE = "/api/v1/auths/user-profile/"


class OtherHasher(MD5PasswordHasher):
    """What a later version would hash passwords with."""

    algorithm = "other"


@pytest.fixture
def user() -> User:
    return make_user(email="sita@example.com", password=PASSWORD)


def bearer(token: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def alive(tokens: Tokens) -> tuple[bool, bool]:
    """Whether the access token works, and whether the refresh token does; in both dialects."""
    access = [bearer(tokens.access).get(path).status_code for path in (DETAILS, PROFILE)]
    refresh = [
        APIClient().post(path, {"refresh": tokens.refresh}).status_code for path in (REFRESH, REFRESH_V1)
    ]
    assert access in ([200] * 2, [401] * 2)
    assert refresh in ([200] * 2, [401] * 2)
    return access == [200] * 2, refresh == [200] * 2


def set_password(user: User) -> None:
    user.set_password("another-password")
    user.save()


def set_password_field(user: User) -> None:
    user.set_password("another-password")
    user.save(update_fields=["password"])


def set_none(user: User) -> None:
    user.set_unusable_password()
    user.save()


def set_in_a_set(user: User) -> None:
    User.objects.update(password=make_password("another-password"))


def set_by_hand(user: User) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_user SET password = '!'")


def switch_off_and_on(user: User) -> None:
    user.is_active = False
    user.save()
    User.objects.update(is_active=True)


def switch_off_in_a_set_and_on(user: User) -> None:
    User.objects.update(is_active=False)
    User.objects.update(is_active=True)


@pytest.mark.parametrize(
    "change",
    [
        set_password,
        set_password_field,
        set_none,
        set_in_a_set,
        set_by_hand,
        switch_off_and_on,
        switch_off_in_a_set_and_on,
    ],
)
def test_tokens_end_with_the_password_and_the_account(user: User, change: Callable[[User], None]) -> None:
    tokens, other = issue_tokens(user), issue_tokens(make_user())
    key = apikeys.generate(user=user)
    assert alive(tokens) == (True, True)

    change(User.objects.get(pk=user.pk))

    assert alive(tokens) == (False, False)
    if "a_set" not in change.__name__ and change is not set_by_hand:
        assert alive(other) == (True, True)
    assert bearer(key).get(PROFILE).status_code == 200
    assert alive(issue_tokens(User.objects.get(pk=user.pk))) == (True, True)


def test_a_stale_object_that_is_saved_revives_no_token(user: User) -> None:
    tokens, stale = issue_tokens(user), User.objects.get(pk=user.pk)
    user.set_password("another-password")
    user.save()
    stale.first_name = "Sita"
    stale.save()
    assert alive(tokens) == (False, False)


def test_what_else_is_saved_ends_nothing(user: User) -> None:
    tokens = issue_tokens(user)
    user.first_name, user.last_login = "Sita", timezone.now()
    user.save()
    User.objects.update(password=user.password, is_active=True)
    log_in(email=user.email, password=PASSWORD)
    assert alive(tokens) == (True, True)


def test_a_password_that_is_hashed_again_ends_nothing(user: User, settings: Settings) -> None:
    tokens, before = issue_tokens(user), user.password
    settings.PASSWORD_HASHERS = [f"{__name__}.OtherHasher", *settings.PASSWORD_HASHERS]
    again = log_in(email=user.email, password=PASSWORD)
    user.refresh_from_db()
    assert user.password != before
    assert user.password.startswith("other$")
    assert alive(tokens) == alive(issue_tokens(again)) == (True, True)
    User.objects.update(password=before)  # in the same transaction: from now on it is another password again
    assert alive(tokens) == (False, False)


def test_the_password_page_of_operators_ends_tokens(user: User, client: Client) -> None:
    client.force_login(User.objects.create_superuser("operator@example.com", "secret-password"))
    tokens = issue_tokens(user)
    words = {"password1": "Another-passw0rd", "password2": "Another-passw0rd", "usable_password": "true"}
    assert client.post(reverse("admin:auth_user_password_change", args=[user.pk]), words).status_code == 302
    assert alive(tokens) == (False, False)


@pytest.mark.parametrize("action", ["end_logins", "revoke_keys"])
def test_operators_end_logins_and_keys(user: User, client: Client, action: str) -> None:
    client.force_login(User.objects.create_superuser("operator@example.com", "secret-password"))
    tokens, key = issue_tokens(user), apikeys.generate(user=user)
    sent = {"action": action, "_selected_action": [user.pk]}
    assert client.post(reverse("admin:accounts_user_changelist"), sent).status_code == 302
    assert alive(tokens) == ((False, False) if action == "end_logins" else (True, True))
    assert bearer(key).get(PROFILE).status_code == (200 if action == "end_logins" else 401)
    page = client.get(reverse("admin:accounts_apikey_changelist"))
    assert key[:8] in page.content.decode()
    assert key not in page.content.decode()


class TestLogout:
    @pytest.mark.parametrize("path", [LOGOUT, LOGOUT_V1])
    @pytest.mark.parametrize("format", ["json", "multipart"])
    def test_ends_both_tokens_of_this_login_only(self, user: User, path: str, format: str) -> None:
        tokens, other = issue_tokens(user), issue_tokens(user)
        later = APIClient().post(REFRESH, {"refresh": tokens.refresh}).json()["access"]
        answer = bearer(tokens.access).post(path, {}, format=format)
        assert (answer.status_code, answer.json()["message"]) == (
            (200, "Successfully logged out") if path == LOGOUT else (200, "Logout Successful")
        )
        assert alive(tokens) == alive(Tokens(access=later, refresh=tokens.refresh)) == (False, False)
        assert alive(other) == (True, True)
        assert bearer(tokens.access).post(path).status_code == 401

    @pytest.mark.parametrize("path", [LOGOUT, LOGOUT_V1])
    @pytest.mark.parametrize("everywhere", [True, "true", "1"])
    def test_everywhere(self, user: User, path: str, everywhere: object) -> None:
        tokens, other, stranger = issue_tokens(user), issue_tokens(user), issue_tokens(make_user())
        assert bearer(tokens.access).post(path, {"everywhere": everywhere}).status_code == 200
        assert alive(tokens) == alive(other) == (False, False)
        assert alive(stranger) == (True, True)
        user.refresh_from_db()
        assert alive(issue_tokens(user)) == (True, True)

    @pytest.mark.parametrize("everywhere", [None, "", False, "false"])
    def test_not_everywhere(self, user: User, everywhere: object) -> None:
        tokens, other = issue_tokens(user), issue_tokens(user)
        assert (
            bearer(tokens.access).post(LOGOUT, {"everywhere": everywhere}, format="json").status_code == 200
        )
        assert (alive(tokens), alive(other)) == ((False, False), (True, True))

    @pytest.mark.parametrize("sent", [{"everywhere": "perhaps"}, {"everywhere": [1]}, {"refresh": ["x"]}])
    def test_what_cannot_be_read_ends_nothing(self, user: User, sent: dict[str, Any]) -> None:
        tokens = issue_tokens(user)
        answer = bearer(tokens.access).post(LOGOUT, sent, format="json")
        assert (answer.status_code, answer.json()["success"]) == (400, False)
        assert alive(tokens) == (True, True)

    def test_with_a_refresh_token_of_another_login_or_account(self, user: User) -> None:
        tokens, other, stranger = issue_tokens(user), issue_tokens(user), issue_tokens(make_user())
        for refresh in (other.refresh, stranger.refresh, "nonsense"):
            sent = issue_tokens(user)
            assert bearer(sent.access).post(LOGOUT, {"refresh": refresh}).status_code == 200
        assert alive(other) == (False, False)
        assert alive(tokens) == alive(stranger) == (True, True)

    def test_of_a_browser_deletes_its_cookies(self, user: User) -> None:
        browser = APIClient()
        browser.post(LOGIN_V1, {"email": user.email, "password": PASSWORD})
        kept = {name: browser.cookies[name].value for name in ("access", "refresh")}
        answer = browser.post(LOGOUT_V1)
        assert answer.status_code == 200
        for name in kept:
            assert (answer.cookies[name].value, answer.cookies[name]["max-age"]) == ("", 0)
        assert alive(Tokens(**kept)) == (False, False)
        for name, value in kept.items():
            browser.cookies[name] = value
        assert (browser.get(PROFILE).status_code, browser.post(REFRESH_V1).status_code) == (401, 401)

    def test_pages_of_others_log_nobody_out(self, user: User) -> None:
        browser = APIClient()
        browser.post(LOGIN_V1, {"email": user.email, "password": PASSWORD})
        answer = browser.post(LOGOUT_V1, HTTP_SEC_FETCH_SITE="cross-site", HTTP_ORIGIN="https://evil.example")
        assert answer.status_code == 401
        assert browser.get(PROFILE).status_code == 200

    def test_a_key_is_no_login(self, user: User) -> None:
        key, tokens = apikeys.generate(user=user), issue_tokens(user)
        answer = bearer(key).post(LOGOUT_V1)
        assert answer.status_code == 400
        assert_refusal(answer)
        assert alive(tokens) == (True, True)
        assert bearer(key).post(LOGOUT_V1, {"everywhere": True}).status_code == 200
        assert alive(tokens) == (False, False)
        assert bearer(key).get(PROFILE).status_code == 200


class TestTokensOfOlderVersions:
    """They carry neither a version nor a login. Clients that poll must not lose them by an upgrade."""

    def test_work_until_the_password_changes(self, user: User) -> None:
        tokens = Tokens(access=str(AccessToken.for_user(user)), refresh=str(RefreshToken.for_user(user)))
        assert alive(tokens) == (True, True)
        set_password(user)
        assert alive(tokens) == (False, False)

    def test_end_by_a_logout_that_has_both(self, user: User) -> None:
        refresh = RefreshToken.for_user(user)
        tokens = Tokens(access=str(refresh.access_token), refresh=str(refresh))
        later = APIClient().post(REFRESH, {"refresh": tokens.refresh}).json()["access"]
        assert bearer(tokens.access).post(LOGOUT, {"refresh": tokens.refresh}).status_code == 200
        assert alive(tokens) == (False, False)
        assert bearer(later).get(DETAILS).status_code == 401


def test_a_request_makes_one_query_for_its_token(
    user: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = bearer(issue_tokens(user).access)
    with django_assert_num_queries(1):
        assert client.get(DETAILS).status_code == 200


def test_ended_logins_are_kept_as_long_as_their_tokens_live(user: User, settings: Settings) -> None:
    tokens = issue_tokens(user)
    bearer(tokens.access).post(LOGOUT)
    end_login(login="of-long-ago", expires=timezone.now())
    tasks.prune()
    ended = EndedLogin.objects.get()
    assert ended.ends_at.timestamp() >= RefreshToken(tokens.refresh)["exp"]  # type: ignore[arg-type]
    assert alive(tokens) == (False, False)
