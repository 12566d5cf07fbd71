"""Test the admin pages for operators: they open for every kind of row, and show no secrets."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from campaigns import runs
from campaigns.models import Campaign, Recipient, Run
from campaigns.runs import hopper
from otp.models import Otp
from otp.services import send_otp
from telephony.admin import MAX_COUNTED, CappedPaginator
from telephony.models import (
    Audio,
    Channel,
    Delivery,
    DeliveryStatus,
    PhoneNumber,
    SandboxMessage,
    Trunk,
    Voice,
)
from telephony.phone_numbers import buy_number
from tests import engine
from tests.factories import (
    make_account,
    make_audio,
    make_campaign,
    make_delivery_of,
    make_phone_number,
    make_run,
)

READ_ONLY_MODELS: list[type[Model]] = [Campaign, Recipient, Run, Delivery, Audio, SandboxMessage, Otp]
PAGES: list[type[Model]] = [*READ_ONLY_MODELS, PhoneNumber, Trunk, Voice]


def make_one_of_each(number: int) -> None:
    owner = make_account(credits=100)
    make_phone_number(number=f"98000010{number:02}", owner=owner)
    make_audio()
    campaign = make_campaign(owner=owner, numbers=[9800000001])
    run = make_run(campaign=campaign, held=1, filled_at=timezone.now(), individual=[1, 2], statuses=[103])
    make_delivery_of(run=run, recipient=campaign.recipients.get(), status=DeliveryStatus.QUEUED)
    send_otp(
        account=owner, number="9800000034", message="Your OTP is {otp}", channel=Channel.SMS, code="47114711"
    )


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("operator@example.com", "secret-password"))
    return client


def page_of(model: type[Model], name: str = "changelist", *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


@pytest.mark.parametrize("model", PAGES)
def test_admin_list_uses_the_same_number_of_queries_for_many_rows(
    operator: Client, model: type[Model]
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            assert operator.get(page_of(model)).status_code == 200
        return len(context)

    make_one_of_each(0)
    engine.run_all_loops_once()
    before = queries()
    for number in range(1, 4):
        make_one_of_each(number)
    engine.run_all_loops_once()
    assert queries() <= before


@pytest.mark.parametrize("model", PAGES)
def test_admin_list_can_be_searched(operator: Client, model: type[Model]) -> None:
    make_one_of_each(0)
    for query in ("1", "9800000034", "sita@example.com", "x\x00", "9" * 30):
        assert operator.get(page_of(model), {"q": query}).status_code == 200


@pytest.mark.parametrize("model", PAGES)
def test_admin_page_of_one_row_opens(operator: Client, model: type[Model]) -> None:
    make_one_of_each(0)
    engine.run_all_loops_once()
    row = model._default_manager.latest("pk")
    assert operator.get(page_of(model, "change", row.pk)).status_code == 200


def test_admin_shows_that_a_delivery_is_paused(operator: Client) -> None:
    campaign = make_campaign()
    runs.begin(campaign=campaign, message="Namaste")
    hopper.fill_all(budget=0)
    runs.pause(campaign=campaign)
    assert "campaign" in operator.get(page_of(Delivery)).content.decode()
    row = Delivery.objects.values_list("pk", flat=True)[0]
    assert "icon-yes" in operator.get(page_of(Delivery, "change", row)).content.decode()


@pytest.mark.parametrize("model", READ_ONLY_MODELS)
def test_rows_that_only_iris_writes_are_read_only_in_the_admin(operator: Client, model: type[Model]) -> None:
    make_one_of_each(0)
    engine.run_all_loops_once()
    row = model._default_manager.latest("pk")
    assert operator.get(page_of(model, "add")).status_code == 403
    assert operator.post(page_of(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    assert operator.post(page_of(model, "change", row.pk), {}).status_code == 403
    assert model._default_manager.filter(pk=row.pk).exists()


@pytest.mark.parametrize("model", [Delivery, Otp])
def test_admin_does_not_show_one_time_passwords(operator: Client, model: type[Model]) -> None:
    make_one_of_each(0)
    row = Delivery.objects.get(purpose="otp") if model is Delivery else Otp.objects.get()
    for page in (page_of(model), page_of(model, "change", row.pk)):
        assert not re.search(r"\b4711\b", operator.get(page).content.decode())


def test_operator_can_offer_a_phone_number_for_sale(operator: Client) -> None:
    form = operator.get(page_of(PhoneNumber, "add"))
    sid = form.context["adminform"].form.initial["sid"]
    assert len(sid) == 32
    sent = {"number": "9800000101", "sid": sid, "rate": "40", "capabilities": "Voice, SMS"}
    assert operator.post(page_of(PhoneNumber, "add"), sent).status_code == 302
    assert PhoneNumber.objects.get().owner is None


def test_editing_a_phone_number_does_not_undo_a_concurrent_purchase(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = make_phone_number(rate=40)
    buyer = make_account(credits=40)
    page = admin.site.get_model_admin(PhoneNumber)
    original_get_object = page.get_object

    def get_object_then_buy(*args: Any, **options: Any) -> Any:
        opened_number = original_get_object(*args, **options)
        buy_number(account=buyer, sid=number.sid)
        return opened_number

    monkeypatch.setattr(page, "get_object", get_object_then_buy)
    sent = {"number": number.number, "sid": number.sid, "rate": "50", "capabilities": "Voice, SMS"}
    assert operator.post(page_of(PhoneNumber, "change", number.pk), sent).status_code == 302
    number.refresh_from_db()
    assert (number.rate, number.owner) == (Decimal(50), buyer)


def test_operator_can_clear_the_pause_of_a_trunk(operator: Client) -> None:
    make_one_of_each(0)
    Trunk.objects.update(pause_reason="No funds", last_error="No funds")
    trunk = Trunk.objects.get()
    sent = {"pause_reason": "", "paused_until_0": "", "paused_until_1": ""}
    assert operator.post(page_of(Trunk, "change", trunk.pk), sent).status_code == 302
    trunk.refresh_from_db()
    assert (trunk.pause_reason, trunk.last_error) == ("", "No funds")


@pytest.mark.django_db
def test_admin_stops_counting_a_long_list_at_a_limit() -> None:
    with CaptureQueriesContext(connection) as context:
        assert CappedPaginator(User.objects.order_by("pk"), 50).count == 0
    assert f"LIMIT {MAX_COUNTED}" in context[0]["sql"]
