"""Tokens end when the password changes, when the account is deactivated, and when their login ends."""

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
from tests.factories import account_of, make_user
from tests.v1.caller import assert_refusal

pytestmark = pytest.mark.django_db

PASSWORD = "secret-password"
DETAILS, REFRESH = "/api/accounts/user_details/", "/api/accounts/token/refresh/"
LOGOUT, LOGOUT_V1 = "/api/accounts/logout/", "/api/v1/auths/logout/"
LOGIN_V1, REFRESH_V1 = "/api/v1/auths/login/", "/api/v1/auths/login/refresh/"
PROFILE = "/api/v1/auths/user-profile/"


class OtherHasher(MD5PasswordHasher):
    """A hasher that a later version might use."""

    algorithm = "other"


@pytest.fixture
def user() -> User:
    return make_user(email="sita@example.com", password=PASSWORD)


def bearer(token: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def alive(tokens: Tokens) -> tuple[bool, bool]:
    """Return whether the access token and the refresh token are accepted, in both dialects."""
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


def set_unusable_password(user: User) -> None:
    user.set_unusable_password()
    user.save()


def set_by_queryset_update(user: User) -> None:
    User.objects.update(password=make_password("another-password"))


def set_by_sql(user: User) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_person SET password = '!'")


def deactivate_and_activate(user: User) -> None:
    user.is_active = False
    user.save()
    User.objects.update(is_active=True)


def deactivate_by_queryset_update_and_activate(user: User) -> None:
    User.objects.update(is_active=False)
    User.objects.update(is_active=True)


@pytest.mark.parametrize(
    "change",
    [
        set_password,
        set_password_field,
        set_unusable_password,
        set_by_queryset_update,
        set_by_sql,
        deactivate_and_activate,
        deactivate_by_queryset_update_and_activate,
    ],
)
def test_tokens_end_when_the_password_changes_or_the_account_is_deactivated(
    user: User, change: Callable[[User], None]
) -> None:
    tokens, other = issue_tokens(user), issue_tokens(make_user())
    key = apikeys.generate(account=account_of(user))
    assert alive(tokens) == (True, True)

    change(User.objects.get(pk=user.pk))

    assert alive(tokens) == (False, False)
    if "queryset_update" not in change.__name__ and change is not set_by_sql:
        assert alive(other) == (True, True)
    assert bearer(key).get(PROFILE).status_code == 200
    assert alive(issue_tokens(User.objects.get(pk=user.pk))) == (True, True)


def test_saving_a_stale_account_object_revives_no_token(user: User) -> None:
    tokens, stale = issue_tokens(user), User.objects.get(pk=user.pk)
    user.set_password("another-password")
    user.save()
    stale.first_name = "Sita"
    stale.save()
    assert alive(tokens) == (False, False)


def test_saving_other_fields_ends_no_token(user: User) -> None:
    tokens = issue_tokens(user)
    user.first_name, user.last_login = "Sita", timezone.now()
    user.save()
    User.objects.update(password=user.password, is_active=True)
    log_in(email=user.email, password=PASSWORD)
    assert alive(tokens) == (True, True)


def test_rehashing_the_same_password_ends_no_token(user: User, settings: Settings) -> None:
    tokens, before = issue_tokens(user), user.password
    settings.PASSWORD_HASHERS = [f"{__name__}.OtherHasher", *settings.PASSWORD_HASHERS]
    again = log_in(email=user.email, password=PASSWORD)
    user.refresh_from_db()
    assert user.password != before
    assert user.password.startswith("other$")
    assert alive(tokens) == alive(issue_tokens(again)) == (True, True)
    User.objects.update(
        password=before
    )  # in the same transaction, but outside same_password(): counts as another password
    assert alive(tokens) == (False, False)


def test_changing_a_password_in_the_admin_pages_ends_tokens(user: User, client: Client) -> None:
    client.force_login(User.objects.create_superuser("operator@example.com", "secret-password"))
    tokens = issue_tokens(user)
    words = {"password1": "Another-passw0rd", "password2": "Another-passw0rd", "usable_password": "true"}
    assert client.post(reverse("admin:auth_user_password_change", args=[user.pk]), words).status_code == 302
    assert alive(tokens) == (False, False)


@pytest.mark.parametrize("action", ["end_logins", "revoke_keys"])
def test_admin_actions_end_logins_and_revoke_keys(user: User, client: Client, action: str) -> None:
    client.force_login(User.objects.create_superuser("operator@example.com", "secret-password"))
    tokens, key = issue_tokens(user), apikeys.generate(account=account_of(user))
    sent = {"action": action, "_selected_action": [user.pk]}
    model = "user" if action == "end_logins" else "account"
    assert client.post(reverse(f"admin:accounts_{model}_changelist"), sent).status_code == 302
    assert alive(tokens) == ((False, False) if action == "end_logins" else (True, True))
    assert bearer(key).get(PROFILE).status_code == (200 if action == "end_logins" else 401)
    page = client.get(reverse("admin:accounts_apikey_changelist"))
    assert key[:8] in page.content.decode()
    assert key not in page.content.decode()


class TestLogout:
    @pytest.mark.parametrize("path", [LOGOUT, LOGOUT_V1])
    @pytest.mark.parametrize("format", ["json", "multipart"])
    def test_logout_ends_both_tokens_of_this_login_only(self, user: User, path: str, format: str) -> None:
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
    def test_logout_with_everywhere_ends_all_logins(self, user: User, path: str, everywhere: object) -> None:
        tokens, other, stranger = issue_tokens(user), issue_tokens(user), issue_tokens(make_user())
        assert bearer(tokens.access).post(path, {"everywhere": everywhere}).status_code == 200
        assert alive(tokens) == alive(other) == (False, False)
        assert alive(stranger) == (True, True)
        user.refresh_from_db()
        assert alive(issue_tokens(user)) == (True, True)

    @pytest.mark.parametrize("everywhere", [None, "", False, "false"])
    def test_logout_with_everywhere_false_ends_one_login(self, user: User, everywhere: object) -> None:
        tokens, other = issue_tokens(user), issue_tokens(user)
        assert (
            bearer(tokens.access).post(LOGOUT, {"everywhere": everywhere}, format="json").status_code == 200
        )
        assert (alive(tokens), alive(other)) == ((False, False), (True, True))

    @pytest.mark.parametrize("sent", [{"everywhere": "perhaps"}, {"everywhere": [1]}, {"refresh": ["x"]}])
    def test_logout_with_invalid_fields_ends_nothing(self, user: User, sent: dict[str, Any]) -> None:
        tokens = issue_tokens(user)
        answer = bearer(tokens.access).post(LOGOUT, sent, format="json")
        assert (answer.status_code, answer.json()["success"]) == (400, False)
        assert alive(tokens) == (True, True)

    def test_logout_ends_the_login_of_a_sent_refresh_token_of_the_same_account_only(self, user: User) -> None:
        tokens, other, stranger = issue_tokens(user), issue_tokens(user), issue_tokens(make_user())
        for refresh in (other.refresh, stranger.refresh, "nonsense"):
            sent = issue_tokens(user)
            assert bearer(sent.access).post(LOGOUT, {"refresh": refresh}).status_code == 200
        assert alive(other) == (False, False)
        assert alive(tokens) == alive(stranger) == (True, True)

    def test_logout_deletes_the_cookies_of_a_browser(self, user: User) -> None:
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

    def test_a_page_of_another_site_cannot_log_out_a_browser(self, user: User) -> None:
        browser = APIClient()
        browser.post(LOGIN_V1, {"email": user.email, "password": PASSWORD})
        answer = browser.post(LOGOUT_V1, HTTP_SEC_FETCH_SITE="cross-site", HTTP_ORIGIN="https://evil.example")
        assert answer.status_code == 401
        assert browser.get(PROFILE).status_code == 200

    def test_an_api_key_cannot_be_logged_out(self, user: User) -> None:
        key, tokens = apikeys.generate(account=account_of(user)), issue_tokens(user)
        answer = bearer(key).post(LOGOUT_V1)
        assert answer.status_code == 400
        assert_refusal(answer)
        assert alive(tokens) == (True, True)
        assert bearer(key).post(LOGOUT_V1, {"everywhere": True}).status_code == 200
        assert alive(tokens) == (False, False)
        assert bearer(key).get(PROFILE).status_code == 200


class TestTokensOfEarlierVersions:
    """Tokens without a version and a login id. Polling clients must be able to keep them after an upgrade."""

    def test_tokens_without_a_version_work_until_the_password_changes(self, user: User) -> None:
        tokens = Tokens(access=str(AccessToken.for_user(user)), refresh=str(RefreshToken.for_user(user)))
        assert alive(tokens) == (True, True)
        set_password(user)
        assert alive(tokens) == (False, False)

    def test_a_logout_that_sends_both_tokens_without_a_login_id_ends_both(self, user: User) -> None:
        refresh = RefreshToken.for_user(user)
        tokens = Tokens(access=str(refresh.access_token), refresh=str(refresh))
        later = APIClient().post(REFRESH, {"refresh": tokens.refresh}).json()["access"]
        assert bearer(tokens.access).post(LOGOUT, {"refresh": tokens.refresh}).status_code == 200
        assert alive(tokens) == (False, False)
        assert bearer(later).get(DETAILS).status_code == 401


def test_authenticating_a_token_executes_one_query(
    user: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = bearer(issue_tokens(user).access)
    with django_assert_num_queries(1):
        assert client.get(DETAILS).status_code == 200


def test_ended_logins_are_kept_until_their_tokens_expire(user: User, settings: Settings) -> None:
    tokens = issue_tokens(user)
    bearer(tokens.access).post(LOGOUT)
    end_login(login="of-long-ago", expires=timezone.now())
    tasks.prune()
    ended = EndedLogin.objects.get()
    assert ended.ends_at.timestamp() >= RefreshToken(tokens.refresh)["exp"]  # type: ignore[arg-type]
    assert alive(tokens) == (False, False)
