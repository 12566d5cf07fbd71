"""The page of webhooks."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from tests.console.world import World, client_for
from tests.webhooks.making import make_endpoint
from webhooks.events import Event
from webhooks.models import Endpoint, MessageState, OutboxMessage

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(world: World) -> Client:
    return client_for(world.owner)


def endpoint_of(world: World) -> Endpoint:
    return Endpoint.objects.get(owner=world.account, deleted_at=None)


def test_secret_of_a_new_webhook_is_shown_once(world: World, client: Client) -> None:
    form = {
        "url": "https://shop.example.com/in",
        "name": "Shop",
        "events": [Event.RUN_FINISHED.value],
    }
    page = client.post(world.address("webhooks"), form).content.decode()
    made = Endpoint.objects.get(name="Shop")
    assert (made.url, made.events) == ("https://shop.example.com/in", ["run.finished"])
    assert made.secret in page
    for name in ("webhooks", "webhook"):
        assert made.secret not in client.get(world.address(name)).content.decode()


@pytest.mark.parametrize("wrong", [{"url": "https://10.0.0.1/"}, {"url": ""}, {"events": ["x"]}])
def test_wrong_input_gets_a_sentence_and_nothing_is_created(
    world: World, client: Client, wrong: dict[str, object]
) -> None:
    form = {"url": "https://shop.example.com/in", **wrong}
    page = client.post(world.address("webhooks"), form).content.decode()
    assert 'role="alert"' in page
    assert Endpoint.objects.count() == 1


def test_webhook_is_changed_and_switched_off(world: World, client: Client) -> None:
    form = {"url": "https://shop.example.com/in", "name": "Shop"}
    page = client.post(world.address("webhook"), form, follow=True).content.decode()
    assert "The webhook is saved" in page
    assert "This webhook is switched off" in page
    changed = endpoint_of(world)
    assert (changed.url, changed.events, changed.is_enabled) == ("https://shop.example.com/in", [], False)
    client.post(world.address("webhook"), {**form, "is_enabled": "on"})
    assert endpoint_of(world).is_enabled


def test_new_secret_is_shown_once(world: World, client: Client) -> None:
    old = endpoint_of(world)
    page = client.post(world.address("webhook-rotate")).content.decode()
    new = endpoint_of(world)
    assert (new.old_secret, new.secret in page) == (old.secret, True)
    page = client.get(world.address("webhook")).content.decode()
    assert new.secret not in page
    assert "The old one still works until" in page


def test_test_event_and_its_state_are_shown(world: World, client: Client) -> None:
    page = client.post(world.address("webhook-test"), follow=True).content.decode()
    assert re.search(r"A test<.*waits", page, re.DOTALL)


def test_events_are_sent_again_one_by_one_and_by_time(world: World, client: Client) -> None:
    sent = OutboxMessage.objects.filter(endpoint=endpoint_of(world))
    for form in ({"event": sent.get().webhook_id}, {"since": "2020-01-01T00:00"}):
        sent.update(state=MessageState.DELIVERED)
        page = client.post(world.address("webhook-replay"), form, follow=True).content.decode()
        assert "1 event is sent again" in page
        assert sent.get().state == MessageState.PENDING
    page = client.post(world.address("webhook-replay"), {"since": "soon"}).content.decode()
    assert 'role="alert"' in page


def test_webhook_is_deleted_after_a_question(world: World, client: Client) -> None:
    address = world.address("webhook-delete")
    assert "Delete this webhook?" in client.get(address).content.decode()
    assert "The webhook is deleted" in client.post(address, follow=True).content.decode()
    assert not Endpoint.objects.filter(owner=world.account, deleted_at=None).exists()
    assert (
        client.get(world.address("webhook", webhook_id=Endpoint.objects.latest("pk").pk)).status_code == 404
    )


def test_webhook_of_another_account_does_not_exist(world: World, client: Client) -> None:
    from tests.factories import make_account

    other = make_endpoint(make_account())
    for name in ("webhook-rotate", "webhook-test", "webhook-replay", "webhook-delete"):
        address = world.address(name, webhook_id=other.pk)
        assert client.post(address, {"event": "msg_x"}).status_code == 404
    other.refresh_from_db()
    assert (other.old_secret, other.deleted_at) == ("", None)
