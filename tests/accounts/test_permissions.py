"""Test what every route of both dialects needs: for each kind of member, and for strangers."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from accounts.api.authentication import issue_tokens
from accounts.permissions import ALL, PRESETS, Permission
from iris.management.commands.permissionstable import ANYBODY, NOBODY, routes
from tests.factories import make_account, make_campaign, make_member, owner_of
from tests.routes import DIALECTS
from tests.v0 import row_counts_and_balances

ROUTES = list(routes())
PEOPLE: dict[str, frozenset[Permission]] = {**PRESETS, "owner": ALL}
SEND = {
    "/begin/",
    "/approve/",
    "/reject/",
    "/resume/",
    "/run-campaign/",
    "/demo-call/",
    "/run-survey/",
    "/test-survey/",
    "/send/otp/",
}


def test_the_table_has_every_route_of_both_dialects() -> None:
    served = {(route.path, method) for dialect in DIALECTS for route, method in dialect.calls}
    assert {(path, method) for path, method, _ in ROUTES} == served


def test_the_document_is_up_to_date(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    call_command("permissionstable", check=True)
    (tmp_path / "docs").mkdir()
    written = (settings.BASE_DIR / "docs" / "permissions.md").read_text()
    (tmp_path / "docs" / "permissions.md").write_text(written.replace("| GET |", "| PUT |", 1))
    monkeypatch.setattr(settings, "BASE_DIR", tmp_path)
    with pytest.raises(CommandError, match="permissionstable"):
        call_command("permissionstable", check=True)
    call_command("permissionstable")
    assert (tmp_path / "docs" / "permissions.md").read_text() == written


def test_reading_needs_no_more_than_view() -> None:
    exceptions = {
        "/api/system/audit/",
        "/api/system/keys/",
        "/api/system/members/",
        "/api/v1/auths/get-api-keys/",
        "/api/v1/auths/list/send-otps/",  # it shows the passwords
    }
    stricter = {
        path for path, method, needed in ROUTES if method == "GET" and needed not in (ANYBODY, "view")
    }
    assert stricter == exceptions


def test_what_reaches_phones_needs_send() -> None:
    reaching = {path for path, method, needed in ROUTES if any(part in path for part in SEND)}
    assert {needed for path, method, needed in ROUTES if path in reaching} == {"send"}
    assert {path for path, _, needed in ROUTES if needed == "send"} - reaching == {
        "/api/v1/auths/list/send-otps/"
    }


@pytest.mark.django_db
@pytest.mark.parametrize("person", [*PEOPLE, "stranger"])
def test_every_route_admits_exactly_the_members_with_its_permission(person: str) -> None:
    account = make_account(credits=100)
    client = APIClient(raise_request_exception=False)
    user = owner_of(make_account()) if person == "stranger" else make_member(account, person)
    header = {"HTTP_X_ACCOUNT": str(account.pk)}
    make_campaign(owner=account)
    before = row_counts_and_balances()
    wrong = []
    for path, method, needed in ROUTES:
        if needed == NOBODY or "logout" in path:
            continue
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_tokens(user).access}", **header)
        # No id exists, and no body is valid, so that nothing happens if the permission suffices.
        answer = client.generic(method, re.sub(r"<id:\w+>", "0", path), "[]", content_type="application/json")
        admitted = person != "stranger" and (needed == ANYBODY or Permission(needed) in PEOPLE[person])
        if (answer.status_code != 403) != admitted or answer.status_code >= 500:
            wrong.append((method, path, needed, answer.status_code))
        if answer.status_code == 403 and person != "stranger":
            assert f"“{needed}”" in answer.json()["message"], path
    assert wrong == []
    if person != "owner":
        of_keys = {"accounts_apikey": 0, "accounts_auditentry": 0}  # a key needs no body, and is logged
        assert row_counts_and_balances() | of_keys == before | of_keys
