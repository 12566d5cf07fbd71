"""Replies from the inbox, and the list of opt-outs."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import AuditEntry
from campaigns.models import Campaign, Recipient
from telephony.models import Channel, OptOut
from tests.console.world import World, client_for
from tests.factories import make_member

pytestmark = pytest.mark.django_db


def get(client: Client, address: str, **query: str) -> str:
    response = client.get(address, query)
    assert response.status_code == 200
    return response.content.decode()


def test_a_reply_is_sent_at_the_price_of_a_campaign(world: World, client: Client) -> None:
    conversation = world.address("conversation") + "?with=%2B9779841000001"
    assert "Your reply" in client.get(conversation).content.decode()
    response = client.post(
        world.address("reply") + "?with=%2B9779841000001", {"text": "धन्यवाद, भोलि आउनुहोस्।"}
    )
    assert response.headers["Location"] == conversation
    campaign = Campaign.objects.filter(owner=world.account).latest("pk")
    assert (campaign.name, campaign.number_count) == ("Reply to +9779841000001", 1)
    assert campaign.runs.get().hold.amount > 0
    assert "The message is on its way." in client.get(conversation).content.decode()


@pytest.mark.parametrize(
    ("number", "text", "said"),
    [
        ("%2B9779841000001", "", "This field is required."),
        ("%2B9779841000001", "{tags_name}", "tags_name"),
        ("12", "Thank you", "phone number"),
    ],
)
def test_a_reply_that_cannot_be_sent_leaves_no_campaign(
    world: World, client: Client, number: str, text: str, said: str
) -> None:
    before = Campaign.objects.count()
    response = client.post(f"{world.address('reply')}?with={number}", {"text": text})
    assert response.status_code == 200
    assert Campaign.objects.count() == before
    if number != "12":
        assert said in response.content.decode()


def test_opt_outs_are_added_and_removed(world: World, client: Client) -> None:
    sent = {"number": "9841000077", "channel": "sms", "reason": "Called us"}
    assert client.post(world.address("opt-outs-add"), sent).status_code == 302
    page = get(client, world.address("opt-outs"))
    assert "+9779841000077" in page
    assert "Called us" in page
    assert "added by a member" in page
    client.post(world.address("opt-outs-remove"), {"number": "+9779841000077"})
    assert "is no longer on the list" in get(client, world.address("opt-outs"))
    assert client.post(world.address("opt-outs-remove"), {"number": "x"}).status_code == 404
    client.post(world.address("opt-outs-add"), {"number": "x"})
    assert 'class="message error"' in get(client, world.address("opt-outs"))
    file = SimpleUploadedFile("list.csv", b"number,channel\n9841000078,call\n9841000079,\n")
    client.post(world.address("opt-outs-add"), {"file": file})
    assert "2 numbers were added." in get(client, world.address("opt-outs"))
    actions = AuditEntry.objects.filter(account_id=world.account.pk, kind="opt_out")
    assert list(actions.order_by("pk").values_list("action", flat=True)) == [
        "opt_outs_added",
        "opt_out_removed",
        "opt_outs_added",
    ]


def test_nobody_replies_to_a_number_that_has_opted_out(world: World, client: Client) -> None:
    page = get(client, world.address("opt-outs"))
    assert world.recipient.to in page
    assert "STOP" in page
    assert world.recipient.to in get(client, world.address("opt-outs"), q=world.recipient.number)
    assert "not on the list" in get(client, world.address("opt-outs"), q="9849999999")
    assert 'role="alert"' in get(client, world.address("opt-outs"), q="x")
    conversation = client.get(
        f"{world.address('conversation')}?with={world.recipient.to.replace('+', '%2B')}"
    )
    assert "Your reply" not in conversation.content.decode()
    viewer = client_for(make_member(world.account, "author"))
    other = viewer.get(world.address("conversation") + "?with=%2B9779841000001").content.decode()
    assert "Your reply" not in other


def test_a_person_is_opted_out_on_the_page_of_a_campaign_with_evidence(world: World, client: Client) -> None:
    first = world.ended.recipients.earliest("pk")
    page = world.address("recipient", recipient_id=first.pk)
    address = world.address("recipient-opt-out", recipient_id=first.pk)
    assert "Put on the opt-out list" in client.get(page).content.decode()
    client.post(address, {"channel": "sms", "reason": "Asked by phone today"})
    listed = OptOut.objects.get(owner=world.account, number=first.to)
    assert (listed.channel, listed.source) == (Channel.SMS, "Asked by phone today")
    assert listed.evidence["campaign"] == world.ended.pk
    assert listed.evidence["recipient"] == first.pk
    assert listed.evidence["id"] == world.owner.pk
    shown = client.get(page).content.decode()
    assert "is on the opt-out list now" in shown
    assert "on your opt-out list for: Text message." in shown
    assert "Remove from the list" in shown
    viewer = client_for(make_member(world.account, "viewer"))
    assert "Remove from the list" not in viewer.get(page).content.decode()
    for strange in (2**63, world.draft.recipients.earliest("pk").pk):
        missing = world.address("recipient-opt-out", recipient_id=strange)
        assert client.post(missing, {"channel": "all"}).status_code == 404


def test_a_number_that_cannot_exist_cannot_opt_out(world: World, client: Client) -> None:
    person = Recipient.objects.create(campaign=world.ended, number="12", to="", tags={})
    assert "Put on the" not in client.get(world.address("recipient", recipient_id=person.pk)).content.decode()
    response = client.post(world.address("recipient-opt-out", recipient_id=person.pk), {"channel": "all"})
    assert response.status_code == 400
