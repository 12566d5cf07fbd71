"""An account with one of everything that the console shows, and the addresses of all pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from accounts import apikeys
from accounts.models import Account, User
from accounts.permissions import Permission
from accounts.request_log import entries
from campaigns import text_templates
from campaigns.models import Campaign, Recipient, ReportFormat, Run, RunStatus, Service
from campaigns.recipients import editing, lists
from campaigns.report_files import files
from console.words_of_reports import labels
from otp.models import Origin, Otp
from telephony.engine import outcomes, workers
from telephony.models import (
    Cause,
    Channel,
    DeliveryStatus,
    InboundMessage,
    OptOut,
    PhoneNumber,
    Purpose,
    SandboxMessage,
    Sender,
    SenderStatus,
    TimeSlice,
)
from tests.campaigns.lists.making import make_list, make_text_template
from tests.factories import (
    make_account,
    make_delivery,
    make_delivery_of,
    make_empty_campaign,
    make_hold,
    make_phone_number,
    make_run,
    make_trunk,
    owner_of,
)
from tests.webhooks.making import make_endpoint, publish

MESSAGE = "नमस्कार {tags_name}, भोलि वडा कार्यालयमा आउनुहोस्।"
OUTCOMES = (
    (DeliveryStatus.COMPLETED, ""),
    (DeliveryStatus.HUNGUP, Cause.CUT_OFF),
    (DeliveryStatus.UNANSWERED, Cause.BUSY),
    (DeliveryStatus.FAILED, Cause.REFUSED),
    (DeliveryStatus.TERMINATED, Cause.STOPPED),
)


@dataclass
class World:
    account: Account
    owner: User
    draft: Campaign
    running: Campaign
    ended: Campaign
    number: PhoneNumber
    recipient: Recipient

    def arguments(self, name: str) -> dict[str, int]:
        """Return the ids that the address of this page needs."""
        ids: dict[str, Callable[[], int]] = {
            "account_id": lambda: self.account.pk,
            "campaign_id": lambda: self.campaign_for(name).pk,
            "recipient_id": lambda: self.recipient.pk,
            "member_id": lambda: self.account.members.earliest("pk").pk,
            "report_id": lambda: self.ended.report_files.earliest("pk").pk,
            "list_id": lambda: self.account.contact_lists.earliest("pk").pk,
            "template_id": lambda: self.account.text_templates.earliest("pk").pk,
            "sender_id": lambda: self.account.senders.earliest("pk").pk,
            "webhook_id": lambda: self.account.webhook_endpoints.earliest("pk").pk,
            "key_id": lambda: self.account.api_keys.earliest("pk").pk,
        }
        return {key: ids[key]() for key in ADDRESSES[name]}

    def campaign_for(self, name: str) -> Campaign:
        if name.startswith(("step-", "message-", "people-clear")):
            return self.draft
        return self.running if name in ("campaign-stop", "campaign-live") else self.ended

    def address(self, name: str, **other: int) -> str:
        return reverse(f"console:{name}", kwargs={**self.arguments(name), **other})


def _addresses() -> dict[str, tuple[str, ...]]:
    """Return the names of all pages below an account, with the ids in their addresses."""
    found: dict[str, tuple[str, ...]] = {}

    def walk(patterns: list[Any], ids: tuple[str, ...]) -> None:
        for pattern in patterns:
            inner = (*ids, *pattern.pattern.converters)
            if isinstance(pattern, URLResolver):
                walk(pattern.url_patterns, inner)
            elif isinstance(pattern, URLPattern) and "account_id" in inner:
                found[str(pattern.name)] = inner

    root = next(one for one in get_resolver().url_patterns if getattr(one, "app_name", "") == "console")
    walk(root.url_patterns, ())  # type: ignore[union-attr]
    return found


ADDRESSES = _addresses()
CHARTS = ("outcomes-by-day", "outcomes-by-hour")  # their addresses are images and not pages


def make_world(*, size: int = 1, account: Account | None = None) -> World:
    """Create an account with `size` of everything that is listed."""
    account = account or make_account(name="Ward office", credits=10_000)
    draft = _campaign(account, "Draft", service=Service.BOTH, draft=True)
    running = ended = draft
    recipient = draft.recipients.latest("pk")
    for number in range(size):
        running = _campaign(account, f"Running {number}", service=Service.CALL, people=3)
        run = _run(running, status=RunStatus.RUNNING)
        first = running.recipients.earliest("pk")
        make_delivery_of(run=run, recipient=first, status=DeliveryStatus.RINGING)
        Run.objects.filter(pk=run.pk).update(cursor=first.pk)
        waiting = _campaign(account, f"Scheduled {number}", service=Service.SMS)
        _run(waiting, status=RunStatus.SCHEDULED, starts_at=timezone.now() + timedelta(days=1))
        ended = _campaign(account, f"Ended {number}", service=Service.CALL, people=len(OUTCOMES) * size)
        recipient = _end(ended)
        another = _campaign(account, f"Another draft {number}", service=Service.CALL, draft=True)
        parents = make_list(owner=account, name=f"Parents {number}")
        lists.add_list(campaign=another, contact_list=parents)
        template = make_text_template(owner=account, name=f"Cut {number}", message=MESSAGE, voice="np_rija")
        draft = text_templates.use_template(campaign=draft, version=text_templates.find_version(template))
        text_templates.update_template(template=template, sms_message="धन्यवाद")
        _receive(account, recipient, number)
        _send_otp(account, number)
        _arrive_in_sandbox(account, number)
    for number in range(size):
        apikeys.create(
            account=account,
            created_by=owner_of(account),
            name=f"Program {number}",
            scopes=frozenset({Permission.VIEW}),
        )
        make_endpoint(account, name="पसल")
        entries.write(logged(account))
    publish(account, *map(str, range(size)))
    owned = make_phone_number(number=f"98{account.pk % 10**8:08}", owner=account)
    for number in range(size):
        make_phone_number(number=f"97{(account.pk + number) % 10**8:08}")
        Sender.objects.create(owner=account, address=f"98{number}", status=SenderStatus.REQUESTED)
    files.request_soon(campaign=ended, run=None, format=ReportFormat.XLSX, labels=labels(), seconds=10)
    OptOut.objects.create(owner=account, number=recipient.to, source="STOP")
    outcomes.count_due()
    return World(account, owner_of(account), draft, running, ended, owned, recipient)


def record_worker() -> None:
    """Record that a worker is alive, as workers do."""
    TimeSlice.objects.create(name=f"{workers.PREFIX}2:7:server", began_at=timezone.now())


def logged(account: Account, **fields: Any) -> entries.Entry:
    """Return a request to the API that was refused."""
    usual = {
        "request": "0123456789abcdef0123456789abcdef",
        "method": "POST",
        "path": "/api/system/send/otp/",
        "status": 400,
        "code": "invalid",
        "milliseconds": 12,
        "needed": Permission.SEND.value,
        "request_body": '{"number": "…12", "message": "***"}',
        "response_body": '{"status": 400}',
    }
    return entries.Entry(account_id=account.pk, **{**usual, **fields})


def client_for(user: User, *, language: str = "en") -> Client:
    client = Client()
    client.force_login(user)
    client.cookies["django_language"] = language
    return client


def _campaign(account: Account, name: str, *, service: Service, people: int = 2, **fields: Any) -> Campaign:
    campaign = make_empty_campaign(owner=account, name=name, service=service, **fields)
    rows = [
        (f"98410{number:05}", {"tags_name": f"सीता {number}", "tags_ward": 5}) for number in range(people)
    ]
    editing.add_recipients(campaign=campaign, rows=rows)
    Campaign.objects.filter(pk=campaign.pk).update(message=MESSAGE, voice="np_rija")
    return Campaign.objects.get(pk=campaign.pk)


def _run(campaign: Campaign, *, status: RunStatus, **fields: Any) -> Run:
    return make_run(campaign=campaign, status=status, held=10, message=MESSAGE, voice="np_rija", **fields)


def _end(campaign: Campaign) -> Recipient:
    """Let a run of the campaign end with every outcome. Return the last recipient."""
    now = timezone.now()
    run = _run(
        campaign,
        status=RunStatus.COMPLETED,
        finished_at=now,
        filled_at=now,
        starts_at=now - timedelta(hours=1),
    )
    recipient = campaign.recipients.earliest("pk")
    for place, recipient in enumerate(campaign.recipients.order_by("pk")):
        status, cause = OUTCOMES[place % len(OUTCOMES)]
        make_delivery_of(
            run=run,
            recipient=recipient,
            status=status,
            cause=cause,
            carrier_text="486 Busy Here",
            seconds=12.5,
            playback=80,
            ended_at=now,
        )
        Recipient.objects.filter(pk=recipient.pk).update(status=status)
    return recipient


def _receive(account: Account, recipient: Recipient, number: int) -> None:
    InboundMessage.objects.create(
        trunk=make_trunk(),
        owner=account,
        sender=recipient.to,
        to="9801000001",
        text="धन्यवाद",
        received_at=timezone.now(),
        ref=f"{account.pk}-{number}",
    )


def _arrive_in_sandbox(account: Account, number: int) -> None:
    """Let a call that can still be answered, and an SMS arrive at the phone of the sandbox."""
    now = timezone.now()
    for channel in Channel:
        SandboxMessage.objects.create(
            delivery_key="0",
            channel=channel,
            to=f"+977984200{number:04}",
            text=MESSAGE,
            audio_name="0" * 32 if channel == Channel.CALL else "",
            fate="completes",
            owner_id=account.pk,
            ring_at=now if channel == Channel.CALL else None,
            answer_at=now if channel == Channel.CALL else None,
            end_at=now + timedelta(hours=1),
            report_at=now + timedelta(hours=1),
        )


def _send_otp(account: Account, number: int) -> None:
    hold = make_hold(account=account, amount=1)
    otp = Otp.objects.create(
        owner=account,
        number="9841000009",
        to="+9779841000009",
        channel=Channel.SMS,
        origin=Origin.GENERATED,
        code="471147",
        message="Your code is 471147",
        hold=hold,
    )
    otp.delivery = make_delivery(
        owner=account,
        purpose=Purpose.OTP,
        batch=otp.pk,
        item=otp.pk,
        to=otp.to,
        status=DeliveryStatus.COMPLETED,
        credit_limit=Decimal(1),
    )
    otp.save()
