"""The senders of an account's text messages: ask for one, see its state for each operator, and remove it."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts import twins
from telephony.models import Sender, SenderStatus
from telephony.senders import decisions
from tests.console.world import World, client_for
from tests.factories import make_account, make_member

pytestmark = pytest.mark.django_db


def get(client: Client, world: World) -> str:
    response = client.get(world.address("numbers"))
    assert response.status_code == 200
    return response.content.decode()


def asked(world: World) -> dict[str, str]:
    """Return the state of WARD5 for each operator."""
    return dict(Sender.objects.filter(owner=world.account, address="WARD5").values_list("operator", "status"))


def test_a_sender_is_asked_for_and_its_state_is_shown_for_each_operator(world: World, client: Client) -> None:
    sent = {"address": " WARD5 ", "operators": ["ntc", "ncell"], "note": "Letter 12"}
    page = client.post(world.address("sender-ask"), sent, follow=True).content.decode()
    assert "You have asked for the sender" in page
    assert asked(world) == {"ntc": "requested", "ncell": "requested"}
    ntc, ncell = Sender.objects.filter(address="WARD5").order_by("-operator")
    decisions.approve([ntc.pk])
    decisions.refuse([ncell.pk], reason="Ncell has not registered it")
    page = get(client, world)
    assert page.count("WARD5") == 2
    for words in ("Approved", "Refused", "Ncell has not registered it", "Nepal Telecom"):
        assert words in page
    client.post(world.address("sender-ask"), {**sent, "operators": ["ncell"]})
    assert asked(world) == {"ntc": "approved", "ncell": "requested"}


def test_no_operator_stands_for_every_operator(world: World, client: Client) -> None:
    client.post(world.address("sender-ask"), {"address": "WARD5"})
    assert asked(world) == {"": "requested"}
    assert "every operator" in get(client, world)


@pytest.mark.parametrize(
    ("address", "operators", "sentence"),
    [
        ("", [], "This field is required"),
        ("A name that is too long", [], "is too long: a name"),
        ("वडा", [], "characters some phones cannot show"),
        ("12", [], "is no sender"),
        ("x" * 41, [], "at most 40 characters"),
        ("WARD5", ["vodafone"], "Select a valid choice"),
        ("980", [], "is already requested"),
    ],
)
def test_an_impossible_sender_is_said_in_the_form(
    world: World, client: Client, address: str, operators: list[str], sentence: str
) -> None:
    before = Sender.objects.count()
    sent = {"address": address, "operators": operators}
    response = client.post(world.address("sender-ask"), sent)
    assert response.status_code == 200
    page = response.content.decode()
    assert sentence in page
    assert "<details open>" in page
    assert Sender.objects.count() == before
    in_nepali = client_for(world.owner, language="ne").post(world.address("sender-ask"), sent)
    assert sentence not in in_nepali.content.decode()


def test_a_number_of_somebody_else_is_no_sender(world: World, client: Client) -> None:
    world.number.owner = make_account()
    world.number.save(update_fields=["owner"])
    page = client.post(world.address("sender-ask"), {"address": f"+977{world.number.number}"})
    assert "is not your phone number" in page.content.decode()


def test_an_own_sender_is_removed_after_a_question(world: World, client: Client) -> None:
    address = world.address("sender-remove")
    assert "Remove this sender?" in client.get(address).content.decode()
    assert Sender.objects.filter(owner=world.account).exists()
    assert client.post(address).status_code == 302
    assert not Sender.objects.filter(owner=world.account).exists()
    assert client.post(address).status_code == 404
    assert client.get(address).status_code == 404
    too_large = address.replace(f"/{address.split('/')[-3]}/", f"/{2**63}/")
    assert client.get(too_large).status_code == client.post(too_large).status_code == 404


def test_shared_senders_are_shown_but_cannot_be_removed(world: World, client: Client) -> None:
    shared = Sender.objects.create(address="SERVER", status=SenderStatus.APPROVED)
    page = get(client, world)
    assert "shared with you" in page
    own = world.account.senders.get()
    assert f"/{own.pk}/remove/" in page
    assert f"/{shared.pk}/remove/" not in page
    address = world.address("sender-remove", sender_id=shared.pk)
    assert client.get(address).status_code == client.post(address).status_code == 404


def test_only_people_who_manage_the_account_see_senders(world: World) -> None:
    assert "Ask for a sender" not in get(client_for(make_member(world.account, "sender")), world)


def test_the_sender_of_a_test_account_is_approved_at_once(world: World, client: Client) -> None:
    twin = twins.open_twin(account=world.account)
    client.post(world.address("sender-ask", account_id=twin.pk), {"address": "WARD5"})
    assert Sender.objects.get(owner=twin).status == SenderStatus.APPROVED
