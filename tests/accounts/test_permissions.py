"""Test what every route of both dialects needs: for each kind of member, and for strangers."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import apikeys, departments, twins
from accounts.api.authentication import issue_tokens
from accounts.models import Account, ApiKey
from accounts.permissions import ALL, KEY_SCOPES, PRESETS, AccountKind, Permission
from iris.management.commands.permissionstable import ANYBODY, NOBODY, operations, routes
from tests.factories import make_account, make_campaign, make_member, owner_of
from tests.routes import DIALECTS
from tests.scale import spread
from tests.v0 import row_counts_and_balances

ROUTES = list(routes())
PEOPLE: dict[str, frozenset[Permission]] = {**PRESETS, "owner": ALL}
SEND = {
    "/begin/",
    "/approve/",
    "/reject/",
    "/resume/",
    "/next_wave/",
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
        "/api/system/people/requests/",
        "/api/system/people/requests/<id:request_id>/",
        "/api/system/senders/",
        "/api/system/webhooks/",
        "/api/system/webhooks/<id:webhook_id>/",
        "/api/system/webhooks/<id:webhook_id>/deliveries/",
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
        "/api/v1/auths/list/send-otps/",
        "/api/system/twin/",  # it prepares tests of these
    }


NOT_FOR_TWINS = {(path, method) for path, method, _, kind in operations() if kind is AccountKind.LIVE}
SENDERS = {
    **PEOPLE,
    # A member of the account acts for its department and for its test twin with the same permissions.
    **{f"{preset} of the parent": PEOPLE[preset] for preset in ("viewer", "sender", "owner")},
    **{f"{preset} of the twin's account": PEOPLE[preset] for preset in ("author", "owner")},
    "key": frozenset(KEY_SCOPES),
    "sending key": frozenset({Permission.SEND}),
    "test key": frozenset(KEY_SCOPES),
    "key of a department": frozenset(KEY_SCOPES),
    "stranger": frozenset(),
    "member of a department": frozenset(),
    "stranger who names a department": frozenset(),
    "key of the parent": frozenset(),
}


def credentials_of(sender: str, account: Account) -> tuple[Account, dict[str, str]]:
    """Return the account for which the sender's requests are, and their headers."""
    department = departments.create(parent=account, name="Ward 5")
    acts_for = account
    if "department" in sender or "parent" in sender:
        acts_for = account if sender == "member of a department" else department
    elif "test" in sender or "twin" in sender:
        acts_for = twins.open_twin(account=account)
    if sender.endswith("key") or sender.startswith("key"):
        scopes = SENDERS[sender] or frozenset(KEY_SCOPES)
        of = account if sender == "key of the parent" else acts_for
        _, token = apikeys.create(account=of, created_by=None, name="x", scopes=scopes)
    else:
        preset = sender.partition(" of ")[0]
        if "stranger" in sender:
            user = owner_of(make_account())
        elif sender == "member of a department":
            user = make_member(department, "owner")
        else:
            user = make_member(account, preset)
        token = issue_tokens(user).access
    return acts_for, {"HTTP_AUTHORIZATION": f"Bearer {token}", "HTTP_X_ACCOUNT": str(acts_for.pk)}


# These act for another account. That does not depend on the route, apart from routes that are not for test twins.
ACTING = [sender for sender in SENDERS if sender not in {*PEOPLE, "key", "sending key", "stranger"}]


def routes_for(sender: str) -> list[tuple[str, str, str]]:
    """Return all routes, but only some of them for each sender who acts for another account: all with `make field`."""
    if sender not in ACTING:
        return ROUTES
    some = spread(ROUTES, part=ACTING.index(sender), of=4)
    return [route for route in ROUTES if route in some or route[:2] in NOT_FOR_TWINS]


@pytest.mark.field
@pytest.mark.django_db
@pytest.mark.parametrize("sender", SENDERS)
def test_every_route_admits_exactly_the_members_with_its_permission(sender: str) -> None:
    account = make_account(credits=100)
    acts_for, headers = credentials_of(sender, account)
    client = APIClient(raise_request_exception=False)
    client.credentials(**headers)
    make_campaign(owner=acts_for)
    before = row_counts_and_balances()
    wrong = []
    for path, method, needed in routes_for(sender):
        if needed == NOBODY or "logout" in path:
            continue
        # No id exists, and no body is valid, so that nothing happens if the permission suffices.
        answer = client.generic(method, re.sub(r"<id:\w+>", "0", path), "[]", content_type="application/json")
        if path.endswith("revoke_all/"):
            ApiKey.objects.update(revoked_at=None)
        granted = SENDERS[sender]
        admitted = bool(granted) and (needed == ANYBODY or Permission(needed) in granted)
        refused_as_twin = acts_for.is_twin and (path, method) in NOT_FOR_TWINS
        if (answer.status_code != 403) != (admitted and not refused_as_twin) or answer.status_code >= 500:
            wrong.append((method, path, needed, answer.status_code))
        if answer.status_code == 403 and granted:
            assert ("live" if refused_as_twin else f"“{needed}”") in answer.json()["message"], path
    assert wrong == []
    # Only v1's generate-api-keys and the filling up of a twin succeed with any body.
    changed = {
        "accounts_apikey": 0,
        "accounts_account": 0,
        "accounts_auditentry": 0,
        "accounts_creditentry": 0,
        "telephony_phonenumber": 0,
    }
    after = row_counts_and_balances()
    assert {**after, **changed, "balances": 0} == {**before, **changed, "balances": 0}
    if Permission.SEND not in SENDERS[sender]:
        assert after["accounts_account"] == before["accounts_account"]
    assert {pk: balance for pk, balance in after["balances"].items() if pk in before["balances"]} == before[
        "balances"
    ]


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["live", "test"])
def test_every_route_refuses_an_expired_key(kind: str) -> None:
    account = make_account()
    of = twins.open_twin(account=account) if kind == "test" else account
    _, token = apikeys.create(account=of, created_by=None, name="x", scopes=frozenset(KEY_SCOPES))
    ApiKey.objects.update(expires_at=timezone.now())
    client = APIClient(HTTP_AUTHORIZATION=f"Bearer {token}")
    statuses = {
        client.generic(method, re.sub(r"<id:\w+>", "0", path)).status_code
        for path, method, needed in ROUTES
        if needed != NOBODY
    }
    assert statuses == {401}
