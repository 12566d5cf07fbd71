"""Create rows for tests. Each function has defaults for everything that a test does not specify."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from io import BytesIO
from itertools import count
from typing import Any

from django.utils import timezone
from openpyxl import Workbook
from rest_framework.test import APIClient

from accounts import credits, members
from accounts.api.authentication import issue_tokens
from accounts.models import Account, CreditHold, Member, User
from accounts.services import open_account
from campaigns import services
from campaigns.models import Campaign, Recipient, Run, RunStatus, Service, Source
from campaigns.recipients import editing
from telephony import optouts
from telephony.models import Audio, Channel, Delivery, DeliveryStatus, OptOutWay, PhoneNumber, Purpose, Trunk

_people = count(1)


def make_account(
    *,
    email: str | None = None,
    password: str = "secret-password",
    credits: Decimal | int = 0,
    name: str = "",
    parent: Account | None = None,
    **person: Any,
) -> Account:
    """Create an account and the person who owns it. `credits` are topped up as an operator would.

    Unlike `create_account`, do not look for a person with this address: that takes as long as everything else.
    """
    number = next(_people)
    user = User.objects.create_user(email or f"person{number}@example.com", password, **person)
    account = open_account(user=user, name=name, parent=parent)
    if credits:
        _top_up(account, credits)
    return account


def make_user(**fields: Any) -> User:
    """Create a person who owns an account (`account_of`)."""
    return owner_of(make_account(**fields))


def owner_of(account: Account) -> User:
    """Return the person who owns this account."""
    return User.objects.get(memberships__account=account, memberships__is_owner=True)


def account_of(user: User) -> Account:
    """Return the account that this person owns."""
    return Account.objects.get(members__user=user, members__is_owner=True)


def make_member(account: Account, preset: str, **person: Any) -> User:
    """Create a person without an own account, and add the person to this account."""
    number = next(_people)
    user = User.objects.create_user(f"person{number}@example.com", "secret-password", **person)
    is_owner, permissions = members.parse_preset(preset)
    Member.objects.create(account=account, user=user, is_owner=is_owner, permissions=sorted(permissions))
    return user


def _top_up(account: Account, amount: Decimal | int) -> None:
    credits.top_up(account=account, amount=Decimal(amount), cause=f"test:{account.pk}")
    account.refresh_from_db(fields=["balance"])


_numbers = count(9_800_000_001)


def make_hold(
    *, account: Account | None = None, amount: int | Decimal = 10, cause: str | None = None
) -> CreditHold:
    """Put credits on hold. Without `account`, create one with exactly these credits."""
    account = account or make_account(credits=amount)
    return credits.hold(account=account, amount=Decimal(amount), cause=cause or f"test:{next(_numbers)}")


def make_trunk(alias: str = "sandbox") -> Trunk:
    return Trunk.objects.get_or_create(alias=alias)[0]


def make_delivery(**fields: Any) -> Delivery:
    """Create a delivery. By default it is a queued campaign SMS on the sandbox trunk."""
    pk = next(_numbers)
    defaults: dict[str, Any] = {
        "purpose": Purpose.CAMPAIGN,
        "batch": pk,
        "item": pk,
        "priority": 10,
        "channel": Channel.SMS,
        "to": f"+977{pk}",
        "text": "Namaste",
        "credit_limit": Decimal(1),
    }
    if "owner" not in fields:
        defaults["owner"] = make_account()
    if "trunk" not in fields:
        defaults["trunk"] = make_trunk()
    if fields.get("channel") == Channel.CALL and "audio" not in fields:
        defaults["audio"] = make_audio()
    return Delivery.objects.create(**{**defaults, **fields})


def make_audio(*, seconds: float = 3.0) -> Audio:
    return Audio.objects.create(name=f"{next(_numbers):032x}", seconds=seconds)


def make_campaign(
    *,
    owner: Account | None = None,
    name: str = "Sample",
    service: Service = Service.SMS,
    numbers: Sequence[object] = (9841000001, 9841000002, 9841000003),
    **fields: Any,
) -> Campaign:
    campaign, errors, _ = services.create_campaign(
        account=owner or make_account(credits=1000), name=name, service=service, numbers=numbers
    )
    assert not errors
    for field, value in fields.items():
        setattr(campaign, field, value)
    campaign.save()
    return campaign


def make_sheet(*rows: Sequence[object]) -> BytesIO:
    """Create an .xlsx file with these rows."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    for row in rows:
        sheet.append(list(row))
    file = BytesIO()
    book.save(file)
    file.seek(0)
    return file


def client_of(one: Account | User) -> APIClient:
    """Return an API client that is logged in as this person, or as the owner of this account."""
    user = owner_of(one) if isinstance(one, Account) else one
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_tokens(user).access}")
    return client


def make_phone_number(
    *, number: str = "9800000101", sid: str = "", rate: Decimal | int = 40, owner: Account | None = None
) -> PhoneNumber:
    """Create a phone number. Without `owner` it is for sale."""
    return PhoneNumber.objects.create(
        number=number, sid=sid or f"{next(_numbers):032x}", rate=rate, owner=owner
    )


def make_empty_campaign(
    *, owner: Account, name: str = "Sample", service: Service = Service.SMS, **fields: Any
) -> Campaign:
    """Create a campaign without recipients."""
    return Campaign.objects.create(owner=owner, name=name, service=service, **fields)


def make_recipient(
    *, campaign: Campaign, number: object = 9800000001, tags: Mapping[str, Any] | None = None, **fields: Any
) -> Recipient:
    """Add a recipient to a campaign. `fields` may set its id and the result of its latest delivery."""
    added = editing.add_recipient(campaign=campaign, number=number, tags=tags)
    if fields:
        Recipient.objects.filter(pk=added.pk).update(**fields)
    return Recipient.objects.get(pk=fields.get("id", added.pk))


def make_run(
    *, campaign: Campaign, status: RunStatus = RunStatus.RUNNING, held: Decimal | int = 0, **fields: Any
) -> Run:
    """Create a run without deliveries, in any status. `held` credits are on hold for it."""
    recipients = list(campaign.recipients.order_by("pk").values_list("pk", flat=True))
    defaults: dict[str, Any] = {
        "source": Source.MESSAGE,
        "message": "Namaste",
        "last_recipient": recipients[-1] if recipients else 0,
        "recipient_count": len(recipients),
        "hold": make_hold(account=campaign.owner, amount=held),
        "call_limit": Decimal(1 if Service(campaign.service).calls else 0),
        "call_seconds": 60.0,
        "sms_limit": Decimal(1 if Service(campaign.service).texts else 0),
        "starts_at": timezone.now(),
    }
    return Run.objects.create(campaign=campaign, status=status, **{**defaults, **fields})


def opt_out(owner_id: int, number: str, source: str = "STOP") -> None:
    """Opt a number out of an account's calls and SMS, as an SMS with STOP does."""
    optouts.add([optouts.NewOptOut(owner_id=owner_id, number=number, way=OptOutWay.KEYWORD, source=source)])


def make_delivery_of(*, run: Run, recipient: Recipient, status: DeliveryStatus, **fields: Any) -> Delivery:
    """Create the call or SMS of a run to one of its recipients."""
    channel = Channel.SMS if run.campaign.service == Service.SMS else Channel.CALL
    return make_delivery(
        owner=run.campaign.owner,
        batch=run.pk,
        item=recipient.pk,
        channel=channel,
        to=recipient.to,
        hold=run.hold,
        credit_limit=run.call_limit or run.sms_limit,
        status=status,
        **fields,
    )
