"""Campaigns, imports and OTPs that are under way when a person is erased."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone

from accounts.ledger import check_ledger
from accounts.models import Account, PersonRequest
from accounts.models.people import RequestStage
from accounts.people import requests
from campaigns import runs
from campaigns.models import (
    Recipient,
    RunStatus,
)
from campaigns.people import erasing as of_campaigns
from campaigns.recipients import background_imports, editing
from campaigns.runs import delivery_requests, hopper, intake
from iris.locks import locked
from otp.services import send_otp
from telephony.models import (
    FINAL,
    Channel,
    Delivery,
    DeliveryStatus,
    SandboxMessage,
)
from tests.accounts.people.erasing import (
    NAME,
    NUMBER,
    OTHER,
    TO,
    campaign_with_person,
    erase,
    erased,
    sent_campaign,
    tables_with,
    work,
)
from tests.engine import run_to_the_end
from tests.factories import (
    make_campaign,
    make_delivery,
    make_sheet,
)

pytestmark = pytest.mark.django_db


class TestRunning:
    """Campaigns, imports and OTPs that are under way at the time of an erasure."""

    def test_queued_calls_are_stopped_and_the_campaign_goes_on(self, account: Account) -> None:
        campaign = campaign_with_person(account)
        run = runs.begin(campaign=campaign, message="Namaste {tags_name}")
        hopper.fill_all(budget=0, waits_for_room=False)
        assert Delivery.objects.filter(to=TO, status=DeliveryStatus.QUEUED).exists()
        erased(account)
        run_to_the_end()
        run.refresh_from_db()
        assert run.status == RunStatus.COMPLETED
        assert set(SandboxMessage.objects.values_list("to", flat=True)) == {f"+977{OTHER}"}
        statuses = dict(campaign.recipients.values_list("number", "status"))
        assert statuses == {"erased": DeliveryStatus.TERMINATED, OTHER: DeliveryStatus.COMPLETED}
        assert not check_ledger().differences
        assert tables_with(NUMBER, NAME) == set()

    def test_recipient_that_a_run_has_not_reached_is_not_called(self, account: Account) -> None:
        campaign = campaign_with_person(account)
        runs.begin(campaign=campaign, message="Namaste {tags_name}")
        erased(account)
        run_to_the_end()
        assert set(SandboxMessage.objects.values_list("to", flat=True)) == {f"+977{OTHER}"}
        assert not check_ledger().differences
        assert tables_with(NUMBER, NAME) == set()

    def test_call_under_way_is_erased_when_it_has_ended(self, account: Account) -> None:
        campaign = campaign_with_person(account)
        runs.begin(campaign=campaign, message="Namaste {tags_name}")
        hopper.fill_all(budget=0, waits_for_room=False)
        flying = Delivery.objects.filter(to=TO)
        flying.update(status=DeliveryStatus.UNKNOWN, expires_at=timezone.now() + timedelta(hours=1))
        one = erase(account)
        work()
        one.refresh_from_db()
        assert one.stage == RequestStage.WAIT
        assert "under way" in one.waits_for
        assert flying.get().stopped
        assert not Recipient.objects.filter(to=TO).exists()
        flying.update(status=DeliveryStatus.FAILED, ended_at=timezone.now(), expires_at=None)
        work()
        one.refresh_from_db()
        assert one.stage == RequestStage.DONE
        assert tables_with(NUMBER, NAME) == set()

    def test_otp_that_is_sent_later_is_not_stopped(self, account: Account) -> None:
        flying = make_delivery(owner=account, to=TO, status=DeliveryStatus.UNKNOWN)
        one = erase(account)
        work()
        send_otp(account=account, number=NUMBER, message="{otp}", channel=Channel.SMS)
        work()
        Delivery.objects.filter(pk=flying.pk).update(status=DeliveryStatus.FAILED)
        work()
        one.refresh_from_db()
        assert one.stage == RequestStage.DONE
        queued = Delivery.objects.get(purpose="otp")
        assert (queued.to, queued.status) == (TO, DeliveryStatus.QUEUED)

    def test_rows_of_a_sheet_that_is_being_imported_are_erased_too(self, account: Account) -> None:
        campaign = make_campaign(owner=account, numbers=[OTHER])
        with override_settings(IRIS_BACKGROUND_IMPORT_BYTES=1):
            editing.import_sheet(campaign=campaign, file=make_sheet(["number", "name"], [NUMBER, NAME]))
        one = erase(account)
        work()
        one.refresh_from_db()
        assert one.stage == RequestStage.SCAN
        assert "import" in one.waits_for
        background_imports.import_all()
        assert Recipient.objects.filter(to=TO).exists()
        work()
        one.refresh_from_db()
        assert one.stage == RequestStage.DONE
        assert tables_with(NUMBER, NAME) == set()

    def test_request_begins_again_where_a_failed_step_began(
        self, account: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sent_campaign(account)
        one = erase(account)
        with monkeypatch.context() as patch:
            patch.setattr(of_campaigns, "erase_recipients", lambda ids: 1 / 0)
            work()
        one.refresh_from_db()
        assert (one.stage, one.failures) == (RequestStage.SCAN, 1)
        assert "tries again" in one.waits_for
        work()
        one.refresh_from_db()
        assert (one.stage, one.failures) == (RequestStage.DONE, 0)
        assert tables_with(NUMBER, NAME) == set()


@pytest.mark.django_db(transaction=True)
def test_erasure_waits_for_a_process_that_has_read_the_recipient_before(account: Account) -> None:
    """Such a process queues the call after the recipient was erased. The call is stopped, and erased."""
    campaign = campaign_with_person(account)
    run = runs.begin(campaign=campaign, message="Namaste {tags_name}")
    read = delivery_requests.addressees
    asked: list[PersonRequest] = []

    def erase_meanwhile(rows: Any) -> Any:
        addressees = read(rows)
        asked.append(erase(account))
        PersonRequest.objects.update(not_before=timezone.now())
        requests.work(budget=0)
        return addressees

    with pytest.MonkeyPatch.context() as patch, locked("people"):
        patch.setattr(intake, "addressees", erase_meanwhile)
        assert hopper.fill(run.pk) == 2
    assert Delivery.objects.filter(to=TO, status=DeliveryStatus.QUEUED).exists()
    work()
    asked[0].refresh_from_db()
    assert asked[0].stage == RequestStage.DONE
    assert not Delivery.objects.filter(status__lt=FINAL, to=TO).exists()
    assert tables_with(NUMBER, NAME) == set()
    run_to_the_end()
    assert set(SandboxMessage.objects.values_list("to", flat=True)) == {f"+977{OTHER}"}
    assert not check_ledger().differences
