"""Operators decide requests of senders in the admin pages, several at once."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from telephony.models import Sender, SenderStatus
from tests.factories import make_account
from tests.telephony.senders.making import make_sender

pytestmark = pytest.mark.django_db

LIST = "admin:telephony_sender_changelist"
ADD = "admin:telephony_sender_add"


@pytest.fixture
def operator(admin_client: Client) -> Client:
    return admin_client


def act(client: Client, action: str, *senders: Sender, reason: str = "") -> str:
    response = client.post(
        reverse(LIST),
        {"action": action, "_selected_action": [one.pk for one in senders], "reason": reason},
        follow=True,
    )
    assert response.status_code == 200
    return response.content.decode()


def statuses() -> list[tuple[str, str]]:
    return list(Sender.objects.order_by("pk").values_list("status", "reason"))


def test_several_requests_are_approved_and_refused_at_once(operator: Client) -> None:
    one, two = (
        make_sender(name, owner=make_account(), status=SenderStatus.REQUESTED) for name in ("ACME", "acme")
    )
    page = operator.get(reverse(LIST)).content.decode()
    assert str(one.owner) in page
    assert str(two.owner) in page
    assert "2 senders approved" in act(operator, "approve", one, two)
    assert statuses() == [("approved", ""), ("approved", "")]
    assert "Write a reason" in act(operator, "refuse", one, two)
    assert "2 senders refused" in act(operator, "refuse", one, two, reason="Not your brand.")
    assert statuses() == [("refused", "Not your brand.")] * 2


def test_sender_that_the_operator_adds_is_approved(operator: Client) -> None:
    operator.post(
        reverse(ADD), {"address": " 9841000001 ", "operator": "ntc", "trunk": "sandbox", "note": ""}
    )
    sender = Sender.objects.get()
    assert (sender.owner, sender.address, sender.trunk, sender.status) == (
        None, "+9779841000001", "sandbox", "approved",
    )  # fmt: skip
    assert sender.decided_at is not None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"address": "नेपाल"}, "Use Latin letters"),
        ({"trunk": "gone"}, "This trunk does not exist or takes no senders"),
        ({"trunk": "test_twins"}, "This trunk does not exist or takes no senders"),
        ({"operator": "airtel"}, "not one of the available choices"),
        ({}, "exists already"),
    ],
)
def test_wrong_sender_is_refused_with_a_sentence(
    operator: Client, changes: dict[str, str], words: str
) -> None:
    make_sender("ACME", operator="ntc")
    body = {"address": "ACME", "operator": "ntc", "trunk": "", "note": "", **changes}
    assert words in operator.post(reverse(ADD), body).content.decode()
    assert Sender.objects.count() == 1


def test_staff_who_may_only_view_cannot_decide(client: Client) -> None:
    from django.contrib.auth.models import Permission

    person = User.objects.create_user("staff@example.com", "secret-password", is_staff=True)
    person.user_permissions.add(Permission.objects.get(codename="view_sender"))
    client.force_login(person)
    sender = make_sender("ACME", status=SenderStatus.REQUESTED)
    act(client, "approve", sender)
    assert statuses() == [("requested", "")]


def test_removing_an_approved_sender_asks_first_and_then_removes_it(operator: Client) -> None:
    sender = make_sender("ACME")
    page = operator.post(
        reverse(LIST), {"action": "delete_selected", "_selected_action": [sender.pk]}
    ).content.decode()
    assert "ACME" in page
    operator.post(
        reverse(LIST), {"action": "delete_selected", "_selected_action": [sender.pk], "post": "yes"}
    )
    assert not Sender.objects.exists()
