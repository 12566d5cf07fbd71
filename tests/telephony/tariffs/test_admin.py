"""The admin pages of tariffs: edit, import, give to accounts."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import User
from telephony.models import Tariff, TariffOfAccount, TariffPrice
from tests.factories import make_account
from tests.telephony.tariffs.making import make_tariff, sms

NO_ACCOUNTS = {"accounts-TOTAL_FORMS": "0", "accounts-INITIAL_FORMS": "0"}


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("operator@example.com", "secret-password"))
    return client


def upload(client: Client, tariff: Tariff, content: str, **fields: Any) -> Any:
    file = SimpleUploadedFile("prices.csv", content.encode())
    return client.post(reverse("admin:telephony_tariff_import", args=[tariff.pk]), {"file": file, **fields})


def test_a_tariff_is_added_and_given_to_an_account(operator: Client) -> None:
    account = make_account()
    sent = {
        "name": "Retail",
        "refuses_unpriced": "on",
        "accounts-TOTAL_FORMS": "1",
        "accounts-INITIAL_FORMS": "0",
        "accounts-0-account": str(account.pk),
    }
    assert operator.post(reverse("admin:telephony_tariff_add"), sent).status_code == 302
    assert TariffOfAccount.objects.get(account=account).tariff.name == "Retail"


def test_there_is_one_default_tariff(operator: Client) -> None:
    make_tariff(is_default=True)
    sent = {"name": "Other", "is_default": "on", **NO_ACCOUNTS}
    page = operator.post(reverse("admin:telephony_tariff_add"), sent)
    assert (page.status_code, Tariff.objects.count()) == (200, 1)
    assert "Another tariff is the default" in page.content.decode()


@pytest.mark.parametrize(
    ("changes", "is_valid"),
    [
        ({}, True),
        ({"prefix": "+977"}, False),
        ({"prefix": "0977"}, False),
        ({"prefix": "97\n"}, True),  # the form strips it
        ({"credits": "-1"}, False),
        ({"credits": "10001"}, False),
        ({"credits": "0.00001"}, False),
        ({"channel": "call"}, False),
        ({"channel": "call", "pulse_seconds": "60"}, True),
        ({"channel": "call", "pulse_seconds": "0"}, False),
        ({"pulse_seconds": "60"}, False),
        ({"prefix": "1"}, False),
    ],
)
def test_a_price_is_added_only_if_it_can_be_charged(
    operator: Client, changes: dict[str, str], is_valid: bool
) -> None:
    tariff = make_tariff(sms("1", "1"))
    sent = {"tariff": str(tariff.pk), "channel": "sms", "prefix": "977", "credits": "0.75", **changes}
    page = operator.post(reverse("admin:telephony_tariffprice_add"), sent)
    assert page.status_code == (302 if is_valid else 200)
    assert TariffPrice.objects.count() == 1 + is_valid


def test_prices_are_imported(operator: Client) -> None:
    tariff = make_tariff(sms("1", "1"))
    page = operator.get(reverse("admin:telephony_tariff_import", args=[tariff.pk]))
    assert "Import prices" in page.content.decode()
    content = "prefix,channel,credits,pulse_seconds\n977,sms,2,\n"
    assert upload(operator, tariff, content).status_code == 302
    assert TariffPrice.objects.count() == 2
    assert upload(operator, tariff, content, replaces="on").status_code == 302
    assert TariffPrice.objects.get().prefix == "977"
    assert (
        "Imported 1 prices."
        in operator.get(reverse("admin:telephony_tariff_history", args=[tariff.pk])).content.decode()
    )


def test_a_wrong_file_is_refused_with_its_rows(operator: Client) -> None:
    tariff = make_tariff(sms("1", "1"))
    page = upload(operator, tariff, "prefix,channel,credits,pulse_seconds\n<b>,sms,2,\n", replaces="on")
    assert "Row 2: “&lt;b&gt;” is no prefix" in page.content.decode()
    assert TariffPrice.objects.get().prefix == "1"


def test_only_operators_who_may_change_tariffs_import(operator: Client) -> None:
    tariff = make_tariff()
    client = Client()
    client.force_login(User.objects.create_user("staff@example.com", "secret-password", is_staff=True))
    path = reverse("admin:telephony_tariff_import", args=[tariff.pk])
    assert client.get(path).status_code == 403
    assert Client().get(path).status_code == 302
    assert operator.get(reverse("admin:telephony_tariff_import", args=[0])).status_code == 404


@pytest.mark.parametrize("model", ["tariff", "tariffprice"])
def test_lists_need_the_same_queries_for_many_rows(operator: Client, model: str) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            assert operator.get(reverse(f"admin:telephony_{model}_changelist")).status_code == 200
        return len(context)

    make_tariff(sms("1", "1"))
    few = queries()
    for _ in range(3):
        make_tariff(*(sms(str(n), "1") for n in range(1, 40)))
    assert queries() == few


def test_a_tariff_is_deleted_with_its_prices_unless_an_account_has_it(operator: Client) -> None:
    account = make_account()
    tariff = make_tariff(*(sms(str(n), "1") for n in range(1, 300)), account=account)
    path = reverse("admin:telephony_tariff_delete", args=[tariff.pk])
    assert len(operator.get(path).content) < 20_000
    operator.post(path, {"post": "yes"})
    assert Tariff.objects.exists()
    TariffOfAccount.objects.all().delete()
    assert operator.post(path, {"post": "yes"}).status_code == 302
    assert not TariffPrice.objects.exists()
