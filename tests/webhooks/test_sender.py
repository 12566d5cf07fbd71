"""Sending over HTTP to a receiver on this machine."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from accounts.models import Account
from telephony.engine import time_slices
from telephony.models import Delivery, Trunk
from tests.factories import make_delivery
from tests.ports import free_port
from tests.webhooks.making import make_endpoint, publish, send_until_finished
from tests.webhooks.receiver import SLOW_SECONDS, Receiver
from webhooks import endpoints, holds, sender
from webhooks.models import Endpoint, MessageState, OutboxMessage


def states() -> set[str]:
    return set(OutboxMessage.objects.values_list("state", flat=True))


def test_request_is_signed_as_the_specification_says(account: Account, receiver: Receiver) -> None:
    endpoint = make_endpoint(account, url=receiver.url("/ok"))
    publish(account, "a")
    assert sender.send_due(budget=1) is False
    (got,) = receiver.received
    row = OutboxMessage.objects.get()
    assert Webhook(endpoint.secret).verify(got.body, got.headers) == got.event
    assert (got.id, got.body, got.headers["content-type"]) == (row.webhook_id, row.body, "application/json")
    assert (row.state, row.attempts[0]["code"], len(row.attempts)) == (MessageState.DELIVERED, 200, 1)
    with pytest.raises(WebhookVerificationError):
        Webhook(endpoint.secret).verify(got.body.replace("1", "2"), got.headers)


def test_both_secrets_verify_after_a_rotation(account: Account, receiver: Receiver) -> None:
    old = make_endpoint(account, url=receiver.url("/ok"))
    new = endpoints.rotate(account=account, endpoint_id=old.pk)
    publish(account, "a")
    sender.send_due(budget=1)
    (got,) = receiver.received
    for secret in (old.secret, new.secret):
        Webhook(secret).verify(got.body, got.headers)


def test_every_attempt_sends_the_same_body_and_id(account: Account, receiver: Receiver) -> None:
    make_endpoint(account, url=receiver.url("/fails-twice"))
    publish(account, "a")
    send_until_finished()
    assert [one.status for one in receiver.received] == [500, 500, 200]
    assert len({(one.body, one.id) for one in receiver.received}) == 1


def test_redirect_is_a_failure_and_is_not_followed(account: Account, receiver: Receiver) -> None:
    make_endpoint(account, url=receiver.url("/moved"))
    publish(account, "a")
    sender.send_due(budget=0.2)
    assert [one.path for one in receiver.received] == ["/moved"]
    row = OutboxMessage.objects.get()
    assert (row.state, row.attempts[0]["code"]) == (MessageState.PENDING, 302)


def test_endpoint_that_is_down_is_tried_again(account: Account, receiver: Receiver) -> None:
    make_endpoint(account, url=f"http://127.0.0.1:{free_port()}/")
    publish(account, "a")
    sender.send_due(budget=0.2)
    row = OutboxMessage.objects.get()
    assert (row.state, row.attempts[0]["code"]) == (MessageState.PENDING, None)
    assert "does not answer" in row.attempts[0]["error"]


def test_private_addresses_are_never_reached(account: Account, receiver: Receiver, settings: Any) -> None:
    settings.IRIS_WEBHOOKS_TO_PRIVATE = False
    make_endpoint(account, url="http://127.0.0.1/ok")
    make_endpoint(account, url="http://localhost/ok")
    make_endpoint(account, url=receiver.url("/ok"))  # its port is not allowed
    publish(account, "a")
    sender.send_due(budget=0.5)
    assert receiver.received == []
    errors = sorted(row.attempts[0]["error"] for row in OutboxMessage.objects.all())
    assert [error.split(" ")[-1] for error in errors] == ["internet.", "are.", "internet."] or len(
        errors
    ) == 3


def test_slow_and_failing_endpoints_do_not_delay_others(account: Account, receiver: Receiver) -> None:
    make_endpoint(account, url=receiver.url("/slow"))
    make_endpoint(account, url=receiver.url("/fails"))
    quick = make_endpoint(account, url=receiver.url("/ok"), is_trusted=True)
    publish(account, *map(str, range(30)))
    began = time.time()
    sender.send_due(budget=2)
    of_quick = [one for one in receiver.received if one.path == "/ok"]
    assert len(of_quick) == 30
    # All of them were sent while the first request to the slow endpoint was open, and that one had a single request.
    first_of_slow = min(one.at for one in receiver.received if one.path == "/slow")
    assert max(one.at for one in of_quick) < first_of_slow
    assert first_of_slow - began >= SLOW_SECONDS
    assert sum(one.path == "/slow" for one in receiver.received) == 1
    quick.refresh_from_db()
    assert quick.is_trusted


def test_410_stops_at_once(account: Account, receiver: Receiver) -> None:
    make_endpoint(account, url=receiver.url("/gone"))
    publish(account, *map(str, range(10)))
    sender.send_due(budget=1)
    assert not Endpoint.objects.get().is_enabled
    assert len(receiver.received) == 1  # an endpoint that was never reached gets one request at a time


def test_nothing_is_sent_while_a_restored_backup_is_held(
    account: Account, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_endpoint(account, url=receiver.url("/ok"))
    publish(account, "a")
    monkeypatch.setattr(holds, "_holds", [lambda: True])
    assert sender.send_due(budget=1) is False
    assert receiver.received == []


def test_replayed_events_have_their_id_and_body_again(account: Account, receiver: Receiver) -> None:
    endpoint = make_endpoint(account, url=receiver.url("/ok"))
    publish(account, "a", "b")
    send_until_finished()
    since = timezone.now() - timedelta(hours=1)
    assert endpoints.replay(account=account, endpoint_id=endpoint.pk, since=since) == 2
    send_until_finished()
    sent = [(one.id, one.body) for one in receiver.received]
    assert sorted(sent[:2]) == sorted(sent[2:])
    assert states() == {MessageState.DELIVERED}


def test_more_is_due_when_the_budget_ends(account: Account, receiver: Receiver) -> None:
    make_endpoint(account, url=receiver.url("/ok"), is_trusted=True)
    publish(account, *map(str, range(60)))
    assert sender.send_due(budget=0.001) is True
    assert 0 < len(receiver.received) < 60


def test_few_events_are_sent_while_calls_and_sms_need_the_processors(
    account: Account, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_endpoint(account, url=receiver.url("/ok"), is_trusted=True)
    publish(account, *map(str, range(100)))
    monkeypatch.setattr(holds, "_loads", [lambda: True])
    # The tick goes on in the next second.
    assert sender.send_due(budget=5) is False
    assert len(receiver.received) == sender.MAX_WHILE_YIELDING
    monkeypatch.setattr(holds, "_loads", [lambda: False])
    sender.send_due(budget=5)
    assert len(receiver.received) == 100


def test_processors_are_needed_while_a_trunk_without_a_pace_has_due_deliveries(account: Account) -> None:
    assert not time_slices.are_processors_needed()
    delivery = make_delivery(owner=account, not_before=timezone.now() + timedelta(hours=1))
    assert not time_slices.are_processors_needed()
    Delivery.objects.filter(pk=delivery.pk).update(not_before=timezone.now() - timedelta(seconds=1))
    assert time_slices.are_processors_needed()
    Trunk.objects.update(cps=5)
    assert not time_slices.are_processors_needed()
