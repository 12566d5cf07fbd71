"""The settings of an account and its audit log."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.account_settings import settings_of
from accounts.models import Account, AuditEntry
from tests.console.world import World, client_for
from tests.factories import make_account

pytestmark = pytest.mark.django_db


def get(client: Client, address: str, **query: str) -> str:
    response = client.get(address, query)
    assert response.status_code == 200
    return response.content.decode()


def sent(world: World, **changes: Any) -> dict[str, Any]:
    """Return what the form sends if a person changes these fields."""
    stored = {name: "" if value is None else value for name, value in settings_of(world.account).items()}
    return {name: value for name, value in {**stored, **changes}.items() if value is not False}


def test_settings_are_saved(world: World, client: Client) -> None:
    changes = {
        "time_zone": "UTC",
        "default_services": "sms",
        "default_caller": world.number.number,
        "default_spending_limit": "100.50",
        "approval_above": "1000",
        "approval_hours": "5",
        "announce_recording": "on",
        "keep_recipients_days": "30",
        "opt_out_key": "on",
    }
    response = client.post(world.address("settings"), sent(world, **changes))
    assert response.status_code == 302
    account = Account.objects.get(pk=world.account.pk)
    stored = {name: str(value) for name, value in settings_of(account).items() if name in changes}
    assert stored == changes | {"announce_recording": "True", "opt_out_key": "True"}
    page = get(client, world.address("settings"))
    assert "The settings are saved" in page
    assert 'value="1000"' in page
    entry = AuditEntry.objects.filter(account_id=account.pk, action="settings_changed").latest("pk")
    assert entry.user_id == world.owner.pk
    page = get(client, world.address("audit"))
    assert "Campaigns for more people than this need approval: 1000 (before: none)" in page
    client.post(
        world.address("settings"),
        sent(
            world,
            **dict.fromkeys(changes, "") | {"time_zone": "Asia/Kathmandu", "approval_hours": "5"},
        ),
    )
    assert Account.objects.get(pk=account.pk).approval_above is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"time_zone": "Mars/Base"},
        {"approval_above": "-1"},
        {"approval_hours": "0"},
        {"approval_hours": ""},
        {"keep_messages_days": "0"},
        {"keep_messages_days": "99999999999999999999"},
        {"default_spending_limit": "NaN"},
        {"default_spending_limit": "0"},
        {"default_voice": "nobody"},
        {"default_caller": "9840000000"},
    ],
)
def test_a_wrong_setting_is_said_beside_its_field(
    world: World, client: Client, wrong: dict[str, str]
) -> None:
    page = client.post(world.address("settings"), sent(world, **wrong))
    assert page.status_code == 200
    name = next(iter(wrong))
    assert f'id="id_{name}_error"' in page.content.decode()
    before = settings_of(world.account)
    assert settings_of(Account.objects.get(pk=world.account.pk)) == before


def test_pages_show_times_in_the_zone_of_the_account(world: World, client: Client) -> None:
    shown = []
    for zone in ("UTC", "Asia/Kathmandu"):
        Account.objects.filter(pk=world.account.pk).update(time_zone=zone)
        shown.append(get(client, world.address("campaign")))
    local = timezone.localtime(world.ended.runs.get().starts_at)
    assert f"{local:%H:%M}" in shown[1]
    assert f"{local:%H:%M}" not in shown[0]


def test_the_log_is_narrowed_and_continues_on_the_next_page(world: World, client: Client) -> None:
    address = world.address("audit")
    for number in range(60):
        AuditEntry.objects.create(
            account_id=world.account.pk,
            action="signed_in",
            kind="person",
            actor_kind="person",
            actor_name=f"Gita {number}",
        )
    page = get(client, address, who="gita")
    assert page.count("signed in.") == 50
    entries = AuditEntry.objects.filter(account_id=world.account.pk, actor_name__startswith="Gita")
    last = entries.order_by("-at", "-pk")[49]
    assert f"who=gita&amp;before={last.pk}" in page
    assert get(client, address, who="gita", before=str(last.pk)).count("signed in.") == 10
    assert get(client, address, kind="person").count("signed in.") == 50
    assert "signed in." not in get(client, address, kind="campaign")
    today = f"{timezone.localdate()}"
    assert "signed in." in get(client, address, first=today, last=today)
    assert "No entry is like that" in get(client, address, last="2020-01-01")


@pytest.mark.parametrize(
    "query",
    [
        {"first": "0001-01-01"},
        {"last": "9999-12-31"},
        {"first": "x"},
        {"before": "9" * 18},
        {"before": "-1"},
        {"who": "\x00"},
        {"kind": "x"},
    ],
)
def test_strange_searches_of_the_log_are_answered(
    world: World, client: Client, query: dict[str, str]
) -> None:
    get(client, world.address("audit"), **query)
    assert client.get(world.address("audit-csv"), query).status_code == 200


def test_the_log_is_exported_in_the_language_of_the_person(world: World) -> None:
    for language, word in (("en", "created the campaign “Ended 0”."), ("ne", "अभियान “Ended 0” बनाउनुभयो।")):
        response = client_for(world.owner, language=language).get(world.address("audit-csv"))
        text = b"".join(response.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
        rows = list(csv.reader(io.StringIO(text)))
        assert any(word in row[3] for row in rows)
        assert {len(row) for row in rows} == {6}
    assert AuditEntry.objects.filter(account_id=world.account.pk, action="exported").count() == 2


def test_the_log_has_only_entries_of_its_account(world: World) -> None:
    other = make_account(name="Other office")
    AuditEntry.objects.create(
        account_id=other.pk, action="signed_in", actor_kind="person", actor_name="Stranger"
    )
    client = client_for(world.owner)
    assert "Stranger" not in get(client, world.address("audit"))
    entry = AuditEntry.objects.filter(account_id=other.pk).latest("pk")
    assert "Stranger" not in get(client, world.address("audit"), before=str(entry.pk))
