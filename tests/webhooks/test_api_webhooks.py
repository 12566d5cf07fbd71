"""The v0 endpoints under /api/system/webhooks/."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from accounts import apikeys
from accounts.models import Account, AuditEntry
from accounts.permissions import Permission
from campaigns import webhook_events
from tests.factories import client_of, make_account, make_campaign, make_run
from tests.golden import assert_answers_as_documented
from tests.v0 import Caller
from tests.webhooks.making import make_endpoint, publish
from webhooks import attempts, endpoints
from webhooks.attempts import Result
from webhooks.events import Event
from webhooks.models import Endpoint, MessageState, OutboxMessage

ALL = "/api/system/webhooks/"


@pytest.fixture
def caller(account: Account) -> Caller:
    return Caller(account)


def path_of(endpoint: Endpoint, action: str = "") -> str:
    return f"{ALL}{endpoint.pk}/{action}"


class TestGolden:
    def test_created_webhook_is_as_documented(self, account: Account) -> None:
        assert_answers_as_documented(client_of(account), "webhook_create")

    def test_deliveries_are_as_documented(self, account: Account) -> None:
        endpoint = make_endpoint(account)
        webhook_events.tell_finished(make_run(campaign=make_campaign(owner=account)).pk)
        (claimed,) = attempts.claim(trusted=False, most=1, per_endpoint=1, busy={})
        attempts.record([Result(message=claimed, at=timezone.now(), seconds=0.25, code=503)])
        body = OutboxMessage.objects.get().body
        assert_answers_as_documented(
            client_of(account), "webhook_deliveries", webhook_id=endpoint.pk, body=body
        )

    def test_replay_is_as_documented(self, account: Account) -> None:
        endpoint = make_endpoint(account)
        publish(account, "a", "b", "c")
        noon = datetime(2026, 1, 15, 11, 0, tzinfo=ZoneInfo("Asia/Kathmandu"))
        OutboxMessage.objects.update(state=MessageState.DELIVERED, created_at=noon)
        outside = OutboxMessage.objects.latest("pk").pk
        OutboxMessage.objects.filter(pk=outside).update(created_at=noon + timedelta(hours=1))
        assert_answers_as_documented(client_of(account), "webhook_replay", webhook_id=endpoint.pk)
        assert OutboxMessage.objects.filter(state=MessageState.PENDING).count() == 2
        assert OutboxMessage.objects.get(pk=outside).state == MessageState.DELIVERED


class TestSecrets:
    def test_secret_is_shown_once(self, caller: Caller) -> None:
        created = caller.post(ALL, {"url": "https://hooks.example.com/in"}, status=201)["data"]["webhook"]
        assert created["secret"].startswith("whsec_")
        assert created["events"] == []
        path = f"{ALL}{created['id']}/"
        for answer in (caller.get(path), caller.get(ALL), caller.put(path, {"name": "Shop"})):
            assert created["secret"] not in json.dumps(answer)

    def test_rotation_shows_a_new_secret_and_until_when_the_old_one_signs(
        self, caller: Caller, account: Account
    ) -> None:
        endpoint = make_endpoint(account)
        answer = caller.post(path_of(endpoint, "rotate/"))["data"]["webhook"]
        assert answer["secret"] not in ("", endpoint.secret)
        until = datetime.fromisoformat(answer["old_secret_until"]) - timezone.now()
        assert timedelta(hours=23) < until <= endpoints.OVERLAP
        endpoint.refresh_from_db()
        assert endpoint.secret == answer["secret"]


class TestChanges:
    def test_endpoint_is_changed_switched_off_and_deleted(self, caller: Caller, account: Account) -> None:
        endpoint = make_endpoint(account)
        changed = caller.put(
            path_of(endpoint),
            {
                "url": "https://other.example.com/",
                "events": "otp.finished",
                "enabled": False,
            },
        )["data"]["webhook"]
        assert (changed["url"], changed["events"], changed["enabled"]) == (
            "https://other.example.com/",
            ["otp.finished"],
            False,
        )
        assert "switched it off" in changed["disabled_reason"]
        assert (
            caller.patch(path_of(endpoint), {"events": ["all"], "enabled": True})["data"]["webhook"]["events"]
            == []
        )
        caller.delete(path_of(endpoint))
        caller.fails("GET", path_of(endpoint), status=404)
        assert caller.get(ALL)["data"]["webhooks"] == []
        assert list(
            AuditEntry.objects.filter(kind="webhook").order_by("pk").values_list("action", flat=True)
        ) == [
            "webhook_changed",
            "webhook_changed",
            "webhook_deleted",
        ]

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "hooks.example.com",
            "ftp://hooks.example.com/",
            "https://",
            "https://user:secret@hooks.example.com/",
            "https://hooks.example.com:8443/",
            "http://127.0.0.1/",
            "http://localhost/",
            "https://10.0.0.1/in",
            "https://[::1]/",
            "https://2130706433/",
            "https://hooks.example.com/\r\nX: 1",
            f"https://hooks.example.com/{'x' * 3000}",
        ],
    )
    def test_address_to_which_nothing_may_be_sent_is_refused(self, caller: Caller, url: str) -> None:
        caller.fails("POST", ALL, {"url": url}, status=400)
        assert not Endpoint.objects.exists()

    @pytest.mark.parametrize("wrong", [{"events": ["nothing"]}, {"events": {}}, {"enabled": "x"}])
    def test_wrong_value_is_refused_and_nothing_changes(
        self, caller: Caller, account: Account, wrong: dict[str, Any]
    ) -> None:
        endpoint = make_endpoint(account, name="Shop")
        caller.fails("PUT", path_of(endpoint), {"name": "Other", **wrong}, status=400)
        endpoint.refresh_from_db()
        assert endpoint.name == "Shop"

    def test_number_of_endpoints_is_limited(self, caller: Caller, account: Account) -> None:
        for _ in range(endpoints.MAX_ENDPOINTS):
            make_endpoint(account)
        refused = caller.fails("POST", ALL, {"url": "https://hooks.example.com/"}, status=409)
        assert "10 webhook endpoints" in refused["message"]


class TestDeliveries:
    def test_events_are_filtered_by_status_and_kind(self, caller: Caller, account: Account) -> None:
        endpoint = make_endpoint(account)
        publish(account, "a", "b")
        publish(account, "c", event=Event.RUN_FINISHED)
        OutboxMessage.objects.filter(subject="a").update(state=MessageState.GIVEN_UP)

        def count(query: str) -> int:
            answer = caller.get(path_of(endpoint, f"deliveries/?{query}"))
            return int(answer["data"]["pagination"]["total_items"])

        assert [
            count(""),
            count("status=given up"),
            count("event=run.finished"),
            count("status=waiting,delivered"),
        ] == [
            3,
            1,
            1,
            2,
        ]
        caller.fails("GET", path_of(endpoint, "deliveries/?status=lost"), status=400)

    def test_test_event_is_sent_whatever_the_endpoint_subscribes_to(
        self, caller: Caller, account: Account
    ) -> None:
        endpoint = make_endpoint(account, events=[Event.RUN_FINISHED.value])
        answer = caller.post(path_of(endpoint, "test/"), status=201)["data"]["delivery"]
        assert (answer["event"], answer["status"]) == ("webhook.test", "waiting")
        assert json.loads(answer["body"])["data"] == {"endpoint": endpoint.pk, "account": account.pk}

    def test_one_event_is_sent_again_by_its_id(self, caller: Caller, account: Account) -> None:
        endpoint = make_endpoint(account)
        publish(account, "a", "b")
        OutboxMessage.objects.update(state=MessageState.DELIVERED)
        one = OutboxMessage.objects.earliest("pk")
        answer = caller.post(path_of(endpoint, "replay/"), {"event": one.webhook_id})
        assert answer["data"] == {"replayed": 1}
        assert list(OutboxMessage.objects.filter(state=MessageState.PENDING)) == [one]
        # What waits already is not sent twice.
        assert caller.post(path_of(endpoint, "replay/"), {"event": one.webhook_id})["data"] == {"replayed": 0}

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({}, 400),
            ({"event": "msg_unknown"}, 404),
            ({"from": "yesterday"}, 400),
            ({"from": "2026-01-02T00:00", "to": "2026-01-01T00:00"}, 400),
        ],
    )
    def test_replay_without_a_possible_choice_is_refused(
        self, caller: Caller, account: Account, body: dict[str, str], status: int
    ) -> None:
        caller.fails("POST", path_of(make_endpoint(account), "replay/"), body, status=status)

    def test_replay_of_too_many_events_is_refused(
        self, caller: Caller, account: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(endpoints, "MAX_REPLAYED", 2)
        endpoint = make_endpoint(account)
        publish(account, "a", "b", "c")
        OutboxMessage.objects.update(state=MessageState.DELIVERED)
        refused = caller.fails("POST", path_of(endpoint, "replay/"), {"from": "2020-01-01T00:00"}, status=400)
        assert "more than 2 events" in refused["message"]

    @pytest.mark.parametrize(("action", "body"), [("test/", {}), ("replay/", {"from": "2020-01-01T00:00"})])
    def test_nothing_is_sent_to_an_endpoint_that_is_switched_off(
        self, caller: Caller, account: Account, action: str, body: dict[str, str]
    ) -> None:
        endpoint = make_endpoint(account, is_enabled=False)
        caller.fails("POST", path_of(endpoint, action), body, status=409)


def test_key_needs_the_scope_to_manage_the_account(account: Account) -> None:
    for scope, status in ((Permission.SEND, 403), (Permission.MANAGE_ACCOUNT, 200)):
        _, key = apikeys.create(account=account, created_by=None, name="x", scopes=frozenset({scope}))
        client = client_of(make_account())
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
        assert client.get(ALL).status_code == status
