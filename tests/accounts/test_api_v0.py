"""v0: login, user details, token refresh."""

import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
from django.conf import settings
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from accounts.api.authentication import issue_tokens
from accounts.models import User
from tests.factories import client_of, make_user
from tests.golden import assert_answers_as_documented
from tests.v0 import assert_refusal

pytestmark = pytest.mark.django_db

LOGIN = "/api/accounts/login/"
DETAILS = "/api/accounts/user_details/"
REFRESH = "/api/accounts/token/refresh/"
PASSWORD = "secret-password"


@pytest.fixture
def user() -> User:
    return make_user(
        email="sita@example.com",
        password=PASSWORD,
        first_name="Sita",
        last_name="Sharma",
        username="sita1",
        contact_number="9800000001",
        address="Lotus house, Patan, 12",
        is_verified_email=True,
        is_verified_phone=True,
    )


def refused(response: Any, status: int) -> Any:
    assert response.status_code == status, response.content
    answer = json.loads(response.content)
    assert_refusal(answer, status)
    return answer


def claims(token: str) -> Any:
    return jwt.decode(token, settings.SECRET_KEY, algorithms=["HS256"])


class TestLogin:
    def test_answers_as_documented(self, api: APIClient, user: User) -> None:
        assert_answers_as_documented(api, "login")

    @pytest.mark.parametrize("path", [LOGIN, LOGIN.rstrip("/")])
    @pytest.mark.parametrize("format", ["json", "multipart"])
    def test_login_accepts_json_and_multipart_with_and_without_trailing_slash(
        self, api: APIClient, user: User, path: str, format: str
    ) -> None:
        response = api.post(path, {"email": "SITA@example.com", "password": PASSWORD}, format=format)
        assert response.status_code == 200
        assert (
            api.get(
                DETAILS, HTTP_AUTHORIZATION=f"Bearer {response.json()['data']['token']['access']}"
            ).status_code
            == 200
        )

    def test_login_accepts_a_urlencoded_form(self, api: APIClient, user: User) -> None:
        form = "email=sita%40example.com&password=secret-password"
        response = api.post(LOGIN, form, content_type="application/x-www-form-urlencoded")
        assert response.status_code == 200

    def test_token_lifetimes_follow_the_settings(self, api: APIClient, user: User) -> None:
        token = api.post(LOGIN, {"email": user.email, "password": PASSWORD}).json()["data"]["token"]
        access, refresh = claims(token["access"]), claims(token["refresh"])
        assert access["exp"] - access["iat"] == 86400
        assert refresh["exp"] - refresh["iat"] == 7 * 86400
        assert (access["token_type"], refresh["token_type"]) == ("access", "refresh")
        assert {"jti", "user_id"} <= access.keys()

    def test_login_updates_last_login(self, api: APIClient, user: User) -> None:
        api.post(LOGIN, {"email": user.email, "password": PASSWORD})
        user.refresh_from_db()
        assert user.last_login is not None

    @pytest.mark.parametrize(
        "sent",
        [
            {"email": "sita@example.com", "password": "wrong"},
            {"email": "sita@example.com", "password": f" {PASSWORD}"},
            {"email": "nobody@example.com", "password": PASSWORD},
            {"email": "no address", "password": PASSWORD},
        ],
    )
    def test_wrong_credentials_are_a_401_that_does_not_reveal_which_is_wrong(
        self, api: APIClient, user: User, sent: dict[str, str]
    ) -> None:
        response = api.post(LOGIN, sent)
        answer = refused(response, 401)
        assert answer["message"] == "The e-mail address or the password is wrong. Check both and try again."
        assert response["WWW-Authenticate"].startswith("Bearer")

    def test_a_person_without_a_password_cannot_log_in(self, api: APIClient) -> None:
        User.objects.create_user("gita@example.com")
        refused(api.post(LOGIN, {"email": "gita@example.com", "password": "x"}), 401)

    def test_login_reveals_a_deactivated_person_only_with_the_right_password(
        self, api: APIClient, user: User
    ) -> None:
        User.objects.update(is_active=False)
        right = refused(api.post(LOGIN, {"email": user.email, "password": PASSWORD}), 401)
        wrong = refused(api.post(LOGIN, {"email": user.email, "password": "wrong"}), 401)
        assert "switched off" in right["message"]
        assert "switched off" not in wrong["message"]

    @pytest.mark.parametrize(
        ("sent", "fields"),
        [
            ({}, ["email", "password"]),
            ({"email": "sita@example.com"}, ["password"]),
            ({"email": "", "password": PASSWORD}, ["email"]),
            ({"email": None, "password": PASSWORD}, ["email"]),
            ({"email": ["sita@example.com"], "password": PASSWORD}, ["email"]),
            ({"email": {"a": 1}, "password": PASSWORD}, ["email"]),
            ({"email": "a" * 300, "password": PASSWORD}, ["email"]),
            ({"email": "sita@example.com", "password": "x" * 2000}, ["password"]),
            ({"email": True, "password": PASSWORD}, ["email"]),
        ],
    )
    def test_invalid_login_fields_are_a_400_that_names_them(
        self, api: APIClient, user: User, sent: dict[str, Any], fields: list[str]
    ) -> None:
        answer = refused(api.post(LOGIN, sent, format="json"), 400)
        assert [error["field"] for error in answer["errors"]] == fields
        assert all(error["message"] for error in answer["errors"])

    @pytest.mark.parametrize("text", ["sita\x00@example.com", "sita\ud800@example.com"])
    def test_login_with_text_that_postgresql_cannot_store_is_a_400(
        self, api: APIClient, user: User, text: str
    ) -> None:
        raw = json.dumps({"email": text, "password": text})
        refused(api.post(LOGIN, raw, content_type="application/json"), 400)

    def test_a_login_body_that_cannot_be_parsed_is_a_400(self, api: APIClient) -> None:
        refused(api.post(LOGIN, "{", content_type="application/json"), 400)

    def test_other_methods_are_a_405(self, api: APIClient) -> None:
        response = api.get(LOGIN)
        refused(response, 405)
        assert response["Allow"] == "POST, OPTIONS"

    def test_login_ignores_an_invalid_token_in_the_header(self, api: APIClient, user: User) -> None:
        sent = {"email": user.email, "password": PASSWORD}
        assert api.post(LOGIN, sent, HTTP_AUTHORIZATION="Bearer stale").status_code == 200


class TestUserDetails:
    def test_answers_as_documented(
        self, user: User, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        client = client_of(user)
        with django_assert_num_queries(1):
            assert_answers_as_documented(client, "user_details")

    def test_user_details_are_those_of_the_authenticated_person(self, user: User) -> None:
        stranger = client_of(make_user(email="other@example.com"))
        assert stranger.get(DETAILS).json()["data"]["user_details"]["email"] == "other@example.com"

    @pytest.mark.parametrize(
        "header",
        [
            None,
            "",
            "Bearer",
            "Bearer ",
            "Bearer not-a-token",
            "Bearer a.b.c",
            "Bearer one two",
            "Basic c2l0YTpzZWNyZXQ=",
            "Token abc",
            "Bearer नेपाल",
            "Bearer \x00",
            "Bearer " + "x" * 5000,
        ],
    )
    def test_user_details_without_a_valid_token_are_a_401(self, api: APIClient, header: str | None) -> None:
        headers = {} if header is None else {"HTTP_AUTHORIZATION": header}
        response = api.get(DETAILS, **headers)  # type: ignore[arg-type]
        refused(response, 401)
        assert response["WWW-Authenticate"] == 'Bearer realm="api"'

    def test_the_bearer_scheme_is_case_insensitive(self, api: APIClient, user: User) -> None:
        token = issue_tokens(user).access
        assert api.get(DETAILS, HTTP_AUTHORIZATION=f"bearer {token}").status_code == 200

    def test_an_expired_token_is_a_401_that_says_so(self, api: APIClient, user: User) -> None:
        token = AccessToken.for_user(user)
        token.set_exp(lifetime=-timedelta(seconds=1))
        answer = refused(api.get(DETAILS, HTTP_AUTHORIZATION=f"Bearer {token}"), 401)
        assert "expired" in answer["message"]

    def test_a_refresh_token_is_refused_as_an_access_token(self, api: APIClient, user: User) -> None:
        refused(api.get(DETAILS, HTTP_AUTHORIZATION=f"Bearer {issue_tokens(user).refresh}"), 401)

    def test_an_unsigned_token_or_one_with_a_foreign_signature_is_a_401(
        self, api: APIClient, user: User
    ) -> None:
        content = claims(issue_tokens(user).access)
        for token in (
            jwt.encode(content, "x" * 50, algorithm="HS256"),
            jwt.encode(content, "", algorithm="none"),
        ):
            refused(api.get(DETAILS, HTTP_AUTHORIZATION=f"Bearer {token}"), 401)

    @pytest.mark.parametrize("user_id", ["abc", None, 10**30, -1, "\x00", {"a": 1}, 1.5, ""])
    def test_an_access_token_with_an_invalid_user_id_is_a_401(
        self, api: APIClient, user: User, user_id: Any
    ) -> None:
        content = {**claims(issue_tokens(user).access), "user_id": user_id}
        token = jwt.encode(content, settings.SECRET_KEY, algorithm="HS256")
        refused(api.get(DETAILS, HTTP_AUTHORIZATION=f"Bearer {token}"), 401)

    def test_tokens_of_a_deactivated_or_deleted_person_are_a_401(self, user: User) -> None:
        client = client_of(user)
        User.objects.update(is_active=False)
        assert "switched off" in refused(client.get(DETAILS), 401)["message"]
        User.objects.all().delete()
        refused(client.get(DETAILS), 401)


def test_logout_responds_as_documented(user: User) -> None:
    assert_answers_as_documented(client_of(user), "logout")


class TestTokenRefresh:
    def test_answers_as_documented_without_the_envelope(self, api: APIClient, user: User) -> None:
        assert_answers_as_documented(api, "token_refresh", refresh=issue_tokens(user).refresh)

    @pytest.mark.parametrize("format", ["json", "multipart"])
    @pytest.mark.parametrize("path", [REFRESH, REFRESH.rstrip("/")])
    def test_a_refreshed_access_token_is_accepted(
        self, api: APIClient, user: User, path: str, format: str
    ) -> None:
        access = api.post(path, {"refresh": issue_tokens(user).refresh}, format=format).json()["access"]
        assert api.get(DETAILS, HTTP_AUTHORIZATION=f"Bearer {access}").status_code == 200

    def test_a_refresh_token_can_be_used_again(self, api: APIClient, user: User) -> None:
        refresh = issue_tokens(user).refresh
        for _ in range(2):
            assert api.post(REFRESH, {"refresh": refresh}).status_code == 200

    @pytest.mark.parametrize("refresh", ["x", "a.b.c", "नेपाल", "x" * 5000, "123"])
    def test_refresh_with_a_malformed_token_is_a_401(self, api: APIClient, refresh: str) -> None:
        refused(api.post(REFRESH, {"refresh": refresh}), 401)

    @pytest.mark.parametrize("user_id", ["abc", None, 10**30, "\x00", {"a": 1}, ""])
    def test_refresh_with_an_invalid_user_id_is_a_401(self, api: APIClient, user: User, user_id: Any) -> None:
        content = {**claims(issue_tokens(user).refresh), "user_id": user_id}
        token = jwt.encode(content, settings.SECRET_KEY, algorithm="HS256")
        refused(api.post(REFRESH, {"refresh": token}), 401)

    def test_refresh_with_an_access_token_or_an_expired_token_is_a_401(
        self, api: APIClient, user: User
    ) -> None:
        refused(api.post(REFRESH, {"refresh": issue_tokens(user).access}), 401)
        expired = RefreshToken.for_user(user)
        expired.set_exp(lifetime=-timedelta(seconds=1))
        refused(api.post(REFRESH, {"refresh": str(expired)}), 401)

    def test_refresh_for_a_deactivated_person_is_a_401(self, api: APIClient, user: User) -> None:
        refresh = issue_tokens(user).refresh
        User.objects.update(is_active=False)
        refused(api.post(REFRESH, {"refresh": refresh}), 401)

    @pytest.mark.parametrize("sent", [{}, {"refresh": ""}, {"refresh": None}, {"refresh": ["x"]}])
    def test_refresh_without_a_token_is_a_400(self, api: APIClient, sent: dict[str, Any]) -> None:
        answer = refused(api.post(REFRESH, sent, format="json"), 400)
        assert [error["field"] for error in answer["errors"]] == ["refresh"]


class TestThrottles:
    def test_logins_to_one_account_from_one_address_are_limited(
        self, api: APIClient, user: User, settings: Settings
    ) -> None:
        settings.IRIS_LOGIN_THROTTLE = "3/min"
        wrong = {"email": "Sita@example.com ", "password": "wrong"}
        for _ in range(3):
            refused(api.post(LOGIN, wrong), 401)
        response = api.post(LOGIN, {"email": user.email, "password": PASSWORD})
        answer = refused(response, 429)
        assert 1 <= int(response["Retry-After"]) <= 60
        assert f"Wait {response['Retry-After']} seconds" in answer["message"]
        assert api.post(LOGIN, {**wrong, "email": "other@example.com"}).status_code == 401
        assert api.post(LOGIN, wrong, REMOTE_ADDR="192.0.2.7").status_code == 401

    def test_a_forged_x_forwarded_for_header_does_not_change_the_counted_address(
        self, api: APIClient, user: User, settings: Settings
    ) -> None:
        settings.IRIS_LOGIN_THROTTLE = "2/min"
        sent = {"email": user.email, "password": "wrong"}
        statuses = [api.post(LOGIN, sent, HTTP_X_FORWARDED_FOR=f"192.0.2.{n}").status_code for n in range(3)]
        assert statuses == [401, 401, 429]

    def test_each_account_has_its_own_request_limit(self, user: User, settings: Settings) -> None:
        settings.IRIS_API_THROTTLE = "2/hour"
        client, other = client_of(user), client_of(make_user())
        assert [client.get(DETAILS).status_code for _ in range(3)] == [200, 200, 429]
        assert other.get(DETAILS).status_code == 200
