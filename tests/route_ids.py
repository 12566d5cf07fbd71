"""Objects to which the ids in the routes refer."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from accounts import apikeys, departments
from accounts.models import Account, Member
from accounts.models.people import RequestKind
from accounts.permissions import KEY_SCOPES
from campaigns.models import Campaign, Contact
from telephony import people
from telephony.models import Purpose, SandboxMessage, SeedSms
from tests.campaigns.lists.making import make_list, make_text_template
from tests.campaigns.surveys.surveying import make_template
from tests.factories import make_delivery
from tests.routes import Route
from tests.telephony.senders.making import make_sender
from tests.webhooks.making import make_endpoint


def _make_seed_sms(owner: Account) -> int:
    delivery = make_delivery(owner=owner, purpose=Purpose.SEED)
    return SeedSms.objects.create(delivery=delivery.pk, owner=owner).pk


def _make_sandbox_message(owner: Account) -> int:
    return SandboxMessage.objects.create(
        delivery_key="1",
        channel="sms",
        to="+9779841000001",
        text="Namaste",
        fate="completes",
        owner_id=owner.pk,
    ).pk


def address_of(route: Route, campaign: Campaign, **others: int) -> str:
    """Fill in ids of this campaign and its recipient, of objects created for its owner, and of the given `others`."""
    return route.with_ids(**ids_for(route.ids, campaign, **others))


def ids_for(names: Iterable[str], campaign: Campaign, **others: int) -> dict[str, int]:
    """Return the id for each of these parameters of routes, and create the objects that do not exist yet."""
    owner, recipient = campaign.owner, campaign.recipients.latest("pk").pk
    ids: dict[str, Callable[[], int]] = {
        "campaign_id": lambda: campaign.pk,
        "number_id": lambda: recipient,
        "contact_id": lambda: recipient,
        "template_id": lambda: make_template(owner=owner).pk,
        "list_id": lambda: make_list(owner=owner).pk,
        "list_contact_id": lambda: Contact.objects.latest("pk").pk,
        "text_template_id": lambda: make_text_template(owner=owner).pk,
        "member_id": lambda: Member.objects.get(account=owner).pk,
        "department_id": lambda: departments.create(parent=owner, name="Ward 5").pk,
        "key_id": lambda: (
            apikeys.create(account=owner, created_by=None, name="x", scopes=frozenset(KEY_SCOPES))[0].pk
        ),
        "request_id": lambda: people.ask(account=owner, kind=RequestKind.EXPORT, number="9841000001").pk,
        "sender_id": lambda: make_sender("ACME", owner=owner).pk,
        "delivery_id": lambda: _make_seed_sms(owner),
        "message_id": lambda: _make_sandbox_message(owner),
        "webhook_id": lambda: make_endpoint(owner).pk,
    }
    return {name: others[name] if name in others else ids[name]() for name in names}
