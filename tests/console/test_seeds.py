"""The page of seed numbers: people write them, see what was sent to them, and say whether it has arrived."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from telephony.models import Channel, DeliveryStatus, Purpose, SeedSms
from telephony.seeds.numbers import numbers_of, set_numbers
from tests.console.world import World, client_for
from tests.factories import make_account, make_delivery, make_member

pytestmark = pytest.mark.django_db


def make_seed_sms(world: World, *, sent: bool = True) -> SeedSms:
    delivery = make_delivery(
        owner=world.account,
        purpose=Purpose.SEED,
        batch=1,
        item=5,
        to="+9779841000001",
        channel=Channel.SMS,
        status=DeliveryStatus.SUBMITTED if sent else DeliveryStatus.QUEUED,
        submitted_at=timezone.now() if sent else None,
    )
    return SeedSms.objects.create(delivery=delivery.pk, owner=world.account)


def test_seed_numbers_are_written_one_in_each_line(world: World, client: Client) -> None:
    client.post(world.address("seeds-change"), {"numbers": "9841000001\n\n 9803000002, 9841000001"})
    assert numbers_of(world.account.pk) == ["+9779841000001", "+9779803000002"]
    page = client.get(world.address("seeds")).content.decode()
    assert "+9779803000002" in page
    client.post(world.address("seeds-change"), {"numbers": ""})
    assert numbers_of(world.account.pk) == []


@pytest.mark.parametrize("written", ["12", "9841000001\nabc", "\n".join(f"984100000{n}" for n in range(6))])
def test_wrong_seed_numbers_are_said_and_not_lost(world: World, client: Client, written: str) -> None:
    set_numbers(account=world.account, numbers=["9841000009"])
    page = client.post(world.address("seeds-change"), {"numbers": written}).content.decode()
    assert 'role="alert"' in page
    assert written.splitlines()[-1] in page
    assert numbers_of(world.account.pk) == ["+9779841000009"]


def test_people_say_whether_a_text_message_has_arrived(world: World, client: Client) -> None:
    row = make_seed_sms(world)
    assert "+9779841000001" in client.get(world.address("seeds")).content.decode()
    for word, stored, button in (("yes", True, "It is missing"), ("no", False, "It has arrived")):
        page = client.post(
            world.address("seeds-tell"), {"sms": row.pk, "arrived": word}, follow=True
        ).content.decode()
        row.refresh_from_db()
        assert row.arrived is stored
        assert f">{button}</button>" in page


def test_what_was_not_sent_cannot_have_arrived(world: World, client: Client) -> None:
    row = make_seed_sms(world, sent=False)
    assert "</button></form></td>" not in client.get(world.address("seeds")).content.decode()
    assert client.post(world.address("seeds-tell"), {"sms": row.pk, "arrived": "yes"}).status_code == 409


@pytest.mark.parametrize("sms", ["", "abc", "-1", "9" * 30])
def test_only_text_messages_to_own_seed_numbers_are_told_about(
    world: World, client: Client, sms: str
) -> None:
    assert client.post(world.address("seeds-tell"), {"sms": sms, "arrived": "yes"}).status_code == 404
    other = make_account(name="Other")
    row = make_seed_sms(world)
    SeedSms.objects.filter(pk=row.pk).update(owner=other)
    assert client.post(world.address("seeds-tell"), {"sms": row.pk, "arrived": "yes"}).status_code == 404


def test_a_viewer_reads_the_numbers(world: World) -> None:
    set_numbers(account=world.account, numbers=["9841000009"])
    make_seed_sms(world)
    page = client_for(make_member(world.account, "viewer")).get(world.address("seeds")).content.decode()
    assert "+9779841000009" in page
    assert 'method="post"' not in page.split('id="content"')[1]
