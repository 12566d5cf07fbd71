"""The sandbox's phone in the console: who has it, what it shows, and what people do as the recipients."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts import twins
from accounts.models import Account
from campaigns.models import Service
from telephony.carriers.sandbox import fates
from telephony.carriers.sandbox.fates import Faults
from telephony.models import Channel, InboundMessage, OptOut, SandboxMessage
from tests.console.world import World, client_for
from tests.factories import make_account, make_campaign, make_member
from tests.telephony.carriers.sandboxing import sent

pytestmark = pytest.mark.django_db
LIVE = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def slow_sandbox(settings: Any) -> None:
    settings.IRIS_SANDBOX_SPEED = 0.1


@pytest.fixture
def twin(world: World) -> Account:
    return twins.open_twin(account=world.account)


def address(world: World, name: str, account: Account) -> str:
    return world.address(name, account_id=account.pk)


def page_of(client: Client, world: World, account: Account, **query: str) -> str:
    response = client.get(address(world, "phone", account), query)
    assert response.status_code == 200
    return response.content.decode()


def test_a_test_account_has_a_phone_on_every_server(
    world: World, client: Client, twin: Account, settings: Any
) -> None:
    settings.IRIS_SANDBOX_INBOX = False
    page = page_of(client, world, twin)
    assert "every 2s" in page
    assert "Nothing has arrived yet." in page
    page = page_of(client, world, world.account)
    assert "This account reaches real phones." in page
    assert f"/console/{twin.pk}/phone/" in page
    assert "नमस्कार" not in page
    for name in ("phone-reply", "phone-press", "phone-faults", "phone-empty"):
        assert client.post(address(world, name, world.account)).status_code == 404


def test_an_account_without_a_test_account_is_told_how_to_get_one(settings: Any) -> None:
    settings.IRIS_SANDBOX_INBOX = False
    account = make_account(name="School")
    from tests.factories import owner_of

    page = client_for(owner_of(account)).get(f"/console/{account.pk}/phone/").content.decode()
    assert "first test key" in page
    assert ">Test phone</a>" not in page.replace("</svg> ", "")


def test_a_phone_shows_only_what_its_account_has_sent(world: World, client: Client, twin: Account) -> None:
    message = sent(make_campaign(owner=twin, message="Namaste twin"))[0]
    page = page_of(client, world, twin)
    assert page.count("Namaste twin") == 3
    assert "नमस्कार" not in page  # of the account itself
    page = page_of(client, world, twin, to=message.to)
    assert page.count("Namaste twin") == 1
    assert page_of(client, world, twin, to="+9779999999999").count("Namaste twin") == 3


def test_a_reply_appears_in_the_phone_and_stop_opts_out(world: World, client: Client, twin: Account) -> None:
    message = sent(make_campaign(owner=twin, message="Namaste"))[0]
    fields = {"message": message.pk, "text": "STOP", "to": message.to}
    response = client.post(address(world, "phone-reply", twin), fields)
    assert response.headers["Location"] == f"{address(world, 'phone', twin)}?to=%2B{message.to[1:]}"
    assert OptOut.objects.filter(owner=twin).count() == 1
    part = client.post(
        address(world, "phone-reply", twin), fields | {"text": "धन्यवाद"}, headers=LIVE
    ).content.decode()
    assert "<html" not in part
    assert part.index("धन्यवाद") < part.index("STOP</div>") < part.index("Namaste")
    part = client.post(
        address(world, "phone-reply", twin), fields | {"text": " "}, headers=LIVE
    ).content.decode()
    assert 'role="alert"' in part
    assert InboundMessage.objects.filter(owner=twin).count() == 2


def test_keys_are_pressed_while_a_call_can_be_answered(world: World, client: Client, twin: Account) -> None:
    call = sent(make_campaign(owner=twin, service=Service.CALL, message="Namaste"))[0]
    fields = {"message": call.pk, "keys": "7", "to": call.to}
    part = client.post(address(world, "phone-press", twin), fields, headers=LIVE).content.decode()
    assert "Keys that were pressed: 7" in part
    assert 'value="#"' in part
    SandboxMessage.objects.filter(pk=call.pk).update(
        report_at=None, end_at=timezone.now() - timedelta(minutes=2)
    )
    assert 'value="#"' not in page_of(client, world, twin, to=call.to)
    part = client.post(address(world, "phone-press", twin), fields, headers=LIVE).content.decode()
    assert "This call has ended" in part
    assert client.post(address(world, "phone-press", twin), fields).status_code == 409


@pytest.mark.parametrize("message", ["", "abc", "-1", "9" * 40])
def test_a_message_of_another_account_does_not_exist(
    world: World, client: Client, twin: Account, message: str
) -> None:
    of_others = SandboxMessage.objects.filter(owner_id=world.account.pk, channel=Channel.SMS).latest("pk")
    for named in (message, str(of_others.pk)):
        fields = {"message": named, "text": "Hi"}
        assert client.post(address(world, "phone-reply", twin), fields).status_code == 404
    assert not InboundMessage.objects.filter(owner=twin).exists()


def test_faults_are_set_for_the_account_alone(world: World, client: Client, twin: Account) -> None:
    fields = {"busy": "10", "lost": "20", "throttled": "30", "latency_seconds": "5"}
    page = client.post(address(world, "phone-faults", twin), fields, follow=True).content.decode()
    assert "This holds for what is sent from now on." in page
    assert 'value="30"' in page
    assert fates.faults_of(twin.pk) == Faults(busy=10, lost=20, throttled=30, latency_seconds=5)
    assert fates.faults_by_owner({world.account.pk}) == {world.account.pk: Faults()}
    for wrong in ({"busy": "60"}, {"busy": "x"}, {"lost": "-1"}, {"latency_seconds": "61"}, {"busy": ""}):
        page = client.post(address(world, "phone-faults", twin), fields | wrong).content.decode()
        assert 'role="alert"' in page
    assert fates.faults_of(twin.pk).busy == 10


def test_the_phone_is_emptied(world: World, client: Client, twin: Account) -> None:
    sent(make_campaign(owner=twin, message="Namaste"))
    assert (
        "The phone is empty."
        in client.post(address(world, "phone-empty", twin), follow=True).content.decode()
    )
    assert "Namaste" not in page_of(client, world, twin)
    assert SandboxMessage.objects.filter(owner_id=world.account.pk, hidden=False).exists()


def test_a_viewer_only_looks(world: World) -> None:
    page = page_of(client_for(make_member(world.account, "viewer")), world, world.account)
    assert "नमस्कार" in page
    assert 'method="post"' not in page.split('id="content"')[1]
