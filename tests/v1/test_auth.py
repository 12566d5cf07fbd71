"""Test authentication in v1: API keys, access tokens, and login cookies."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from accounts import apikeys
from accounts.models import ApiKey, User
from tests.factories import account_of, make_user
from tests.v1.caller import assert_refusal, code_of

PROFILE = "/api/v1/auths/user-profile/"
LOGIN = "/api/v1/auths/login/"
REFRESH = "/api/v1/auths/login/refresh/"
CREATE = "/api/v1/campaign/create/"
CAMPAIGN = {"name": "Water", "services": "SMS"}


@pytest.fixture
def user(db: None) -> User:
    return make_user(email="sita@example.com", password="secret-password")


@pytest.fixture
def browser(user: User) -> APIClient:
    """Return a client that has logged in and keeps its cookies."""
    client = APIClient()
    answer = client.post(LOGIN, {"email": "sita@example.com", "password": "secret-password"})
    assert answer.status_code == 200
    return client


def ask(authorization: str, client: APIClient | None = None) -> Any:
    return (client or APIClient()).get(PROFILE, HTTP_AUTHORIZATION=authorization)


class TestTokens:
    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "Token", "TOKEN"])
    def test_api_keys_and_access_tokens_work_with_both_schemes(self, user: User, scheme: str) -> None:
        for token in (apikeys.generate(account=account_of(user)), str(AccessToken.for_user(user))):
            assert ask(f"{scheme} {token}").json()["user"]["email"] == "sita@example.com"

    def test_refresh_token_is_refused_as_an_access_token(self, user: User) -> None:
        answer = ask(f"Bearer {RefreshToken.for_user(user)}")
        assert answer.status_code == 401
        assert_refusal(answer)

    def test_v0_refuses_the_token_scheme(self, user: User) -> None:
        answer = APIClient().get(
            "/api/accounts/user_details/", HTTP_AUTHORIZATION=f"Token {AccessToken.for_user(user)}"
        )
        assert answer.status_code == 401

    def test_tokens_of_a_disabled_account_are_refused(self, user: User) -> None:
        tokens = [apikeys.generate(account=account_of(user)), str(AccessToken.for_user(user))]
        User.objects.update(is_active=False)
        for token in tokens:
            assert code_of(ask(f"Bearer {token}")) == "user_inactive"

    def test_401_names_the_bearer_scheme(self, db: None) -> None:
        answer = APIClient().get(PROFILE)
        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, 'Bearer realm="api"')


class TestKeys:
    def test_api_key_is_stored_as_a_hash(self, user: User) -> None:
        key = apikeys.generate(account=account_of(user))
        with connection.cursor() as cursor:
            cursor.execute("SELECT k::text FROM accounts_apikey k")
            assert key not in cursor.fetchone()[0]

    def test_new_api_key_revokes_the_previous_one(self, user: User) -> None:
        first = apikeys.generate(account=account_of(user))
        second = APIClient().post("/api/v1/auths/generate-api-keys/", HTTP_AUTHORIZATION=f"Bearer {first}")
        assert ask(f"Bearer {first}").status_code == 401
        assert ask(f"Bearer {second.json()['token']}").status_code == 200
        assert ApiKey.objects.filter(account__members__user=user).count() == 2

    def test_api_key_shown_later_is_masked_and_does_not_work(self, user: User) -> None:
        key = apikeys.generate(account=account_of(user))
        shown = (
            APIClient().get("/api/v1/auths/get-api-keys/", HTTP_AUTHORIZATION=f"Bearer {key}").json()["token"]
        )
        assert (shown[:8], set(shown[8:])) == (key[:8], {"*"})
        assert ask(f"Bearer {shown}").status_code == 401

    def test_last_use_of_an_api_key_is_stored_once_a_minute(self, user: User) -> None:
        key = apikeys.generate(account=account_of(user), created_by=user)
        assert ask(f"Bearer {key}").status_code == 200
        first_use = ApiKey.objects.get().last_used_at
        assert first_use is not None
        with CaptureQueriesContext(connection) as queries:
            ask(f"Bearer {key}")
        assert len(queries) == 1
        ApiKey.objects.update(last_used_at=first_use - timedelta(minutes=2))
        ask(f"Bearer {key}")
        second_use = ApiKey.objects.get().last_used_at
        assert second_use is not None
        assert timezone.now() - second_use < timedelta(minutes=1)

    @pytest.mark.parametrize("key", ["x", "💥", "a" * 10_000, "<jwt>", "...", "*" * 64])
    def test_invalid_api_key_of_any_form_is_a_401(self, db: None, key: str) -> None:
        assert ask(f"Bearer {key}").status_code == 401


class TestCookies:
    def test_login_sets_http_only_cookies(self, browser: APIClient) -> None:
        for name, days in (("access", 1), ("refresh", 7)):
            cookie = browser.cookies[name]
            assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
            assert cookie["max-age"] == days * 86400
            assert not cookie["secure"]
        assert browser.get(PROFILE).json()["user"]["email"] == "sita@example.com"

    def test_cookies_are_secure_when_https_is_configured(self, user: User, settings: Any) -> None:
        settings.SESSION_COOKIE_SECURE = True
        client = APIClient()
        client.post(LOGIN, {"email": "sita@example.com", "password": "secret-password"})
        assert client.cookies["access"]["secure"]

    def test_empty_authorization_header_falls_back_to_cookies(self, browser: APIClient) -> None:
        assert ask("", browser).status_code == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"HTTP_SEC_FETCH_SITE": "same-origin", "HTTP_ORIGIN": "http://testserver"},
            {
                "HTTP_SEC_FETCH_SITE": "same-origin",
                "HTTP_ORIGIN": "http://127.0.0.1:5173",
            },  # a development proxy
            {"HTTP_ORIGIN": "http://testserver"},
        ],
    )
    def test_cookies_allow_changes_from_same_origin_pages(
        self, browser: APIClient, headers: dict[str, Any]
    ) -> None:
        assert browser.post(CREATE, CAMPAIGN, **headers).status_code == 201

    @pytest.mark.parametrize(
        "headers",
        [
            {"HTTP_SEC_FETCH_SITE": "cross-site", "HTTP_ORIGIN": "https://evil.example"},
            {"HTTP_SEC_FETCH_SITE": "same-site", "HTTP_ORIGIN": "https://other.testserver"},
            {"HTTP_SEC_FETCH_SITE": "cross-site"},
            {"HTTP_ORIGIN": "https://evil.example"},
            {"HTTP_ORIGIN": "null"},
        ],
    )
    def test_cookies_allow_no_changes_from_other_sites(
        self, browser: APIClient, headers: dict[str, Any]
    ) -> None:
        for send in (browser.post, browser.put, browser.patch, browser.delete):
            answer = send(CREATE, CAMPAIGN, **headers)
            assert (answer.status_code, code_of(answer)) == (401, "cross_site")
        assert browser.post(REFRESH, **headers).status_code == 401
        login = {"email": "sita@example.com", "password": "secret-password"}
        assert APIClient().post(LOGIN, login, **headers).status_code == 401
        assert browser.get(PROFILE, **headers).status_code == 200

    def test_other_sites_may_send_a_token(self, user: User) -> None:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {apikeys.generate(account=account_of(user))}")
        assert client.post(CREATE, CAMPAIGN, HTTP_ORIGIN="https://shop.example").status_code == 201

    def test_invalid_access_cookie_is_a_401(self, browser: APIClient) -> None:
        browser.cookies["access"] = "nonsense"
        assert browser.get(PROFILE).status_code == 401


class TestRefresh:
    def test_refresh_by_cookie_sets_a_new_access_cookie(self, browser: APIClient) -> None:
        del browser.cookies["access"]
        answer = browser.post(REFRESH)
        assert answer.json()["message"] == "Session Refreshed Successfully"
        assert browser.cookies["access"].value == answer.json()["access"]
        assert browser.get(PROFILE).status_code == 200

    def test_refresh_by_body_returns_an_access_token(self, user: User) -> None:
        answer = APIClient().post(REFRESH, {"refresh": str(RefreshToken.for_user(user))})
        assert ask(f"Bearer {answer.json()['access']}").status_code == 200

    @pytest.mark.parametrize(
        ("body", "status", "message"),
        [
            ({}, 400, "No refresh token provided"),
            ({"refresh": 7}, 400, "Invalid token payload."),
            ({"refresh": "nonsense"}, 401, "Failed To Refresh The Session"),
        ],
    )
    def test_invalid_refresh_request_is_refused(
        self, db: None, body: dict[str, Any], status: int, message: str
    ) -> None:
        answer = APIClient().post(REFRESH, body)
        assert answer.status_code == status
        assert_refusal(answer)
        assert answer.json()["message"] == message

    def test_refresh_for_a_disabled_account_is_a_401(self, user: User) -> None:
        token = str(RefreshToken.for_user(user))
        User.objects.update(is_active=False)
        answer = APIClient().post(REFRESH, {"refresh": token})
        assert (answer.status_code, answer.json()["detail"]) == (401, "Account is not activated.")


class TestLogin:
    def test_login_with_a_wrong_password_is_a_401(self, user: User) -> None:
        answer = APIClient().post(LOGIN, {"email": "sita@example.com", "password": "wrong"})
        assert (answer.status_code, code_of(answer)) == (401, "wrong_credentials")
        assert "access" not in answer.cookies

    def test_login_without_fields_is_a_400(self, user: User) -> None:
        answer = APIClient().post(LOGIN, {})
        assert answer.status_code == 400
        assert answer.json()["password"] == ["Send the password of the account."]

    def test_login_after_too_many_failures_is_a_429(self, user: User, settings: Any) -> None:
        settings.IRIS_LOGIN_THROTTLE = "2/minute"
        for _ in range(2):
            APIClient().post(LOGIN, {"email": "sita@example.com", "password": "wrong"})
        answer = APIClient().post(LOGIN, {"email": "sita@example.com", "password": "secret-password"})
        assert answer.status_code == 429
        assert_refusal(answer)
