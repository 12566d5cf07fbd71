"""`manage.py prune_deliveries` removes old deliveries, and nothing that is still needed or shown."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.ledger import check_ledger
from accounts.models import CreditEntry
from campaigns import retention, runs
from campaigns.models import Campaign, ImportStatus, Run, RunStatus, SheetImport
from campaigns.recipients.imports import SHEETS
from otp.models import Otp
from otp.services import send_otp
from telephony.engine import retention as of_telephony
from telephony.models import (
    Channel,
    Delivery,
    DeliveryStatus,
    InboundMessage,
    MessagePart,
    OptOut,
    SandboxMessage,
)
from tests import v0
from tests.engine import run_to_the_end
from tests.factories import make_account, make_campaign, make_delivery_of, make_run, make_trunk
from tests.v1.caller import Caller as CallerOfV1

pytestmark = pytest.mark.django_db

LONG_AGO = timezone.now() - timedelta(days=100)


@pytest.fixture(autouse=True)
def _fast(settings: Any) -> None:
    settings.IRIS_SANDBOX_SPEED = 1000
    settings.IRIS_KEEP_DELIVERIES_DAYS = 90


def prune(*arguments: str) -> str:
    output = StringIO()
    call_command("prune_deliveries", *arguments, stdout=output)
    return output.getvalue()


def finished_campaign(*, ended_at: Any = LONG_AGO) -> Campaign:
    """Create a campaign whose only run finished at `ended_at`, with calls of every outcome."""
    campaign = make_campaign(numbers=[9841000001, 9841009904, 9841009901, 9841000004])
    runs.begin(campaign=campaign, message="Namaste")
    run_to_the_end()
    Run.objects.filter(campaign=campaign).update(finished_at=ended_at)
    Delivery.objects.update(ended_at=ended_at, created_at=ended_at)
    SandboxMessage.objects.update(created_at=ended_at)
    return campaign


def test_old_deliveries_are_removed_and_a_dry_run_only_counts_them() -> None:
    finished_campaign()
    messages = SandboxMessage.objects.count()
    said = (
        f"4 calls and SMS, {messages} messages of the sandbox and 0 from people, from more than 90 days ago."
    )
    assert prune("--dry-run") == f"Would remove {said}\n"
    assert Delivery.objects.count() == 4
    assert prune() == f"Removed {said}\n"
    assert (Delivery.objects.count(), SandboxMessage.objects.count()) == (0, 0)


def test_pruning_changes_neither_the_ledger_nor_the_shown_numbers() -> None:
    campaign = finished_campaign()
    of_v0, of_v1 = v0.Caller(campaign.owner), CallerOfV1(campaign.owner)

    def shown_figures() -> list[Any]:
        return [
            of_v0.get(f"/api/system/campaigns/number/{campaign.pk}"),
            of_v0.get(f"/api/system/campaigns/{campaign.pk}/details/"),
            without_times(of_v1.get(f"campaign/{campaign.pk}/contacts/")),
        ]

    before, entries = shown_figures(), list(CreditEntry.objects.order_by("pk").values_list())
    prune()
    assert not Delivery.objects.exists()
    assert shown_figures() == before
    assert list(CreditEntry.objects.order_by("pk").values_list()) == entries
    assert check_ledger().differences == ()


def without_times(answer: Any) -> Any:
    """Remove `updated_at`, which contacts take from their deliveries while these exist."""
    if isinstance(answer, dict):
        return {key: without_times(value) for key, value in answer.items() if key != "updated_at"}
    if isinstance(answer, list):
        return [without_times(value) for value in answer]
    return answer


def test_a_pruned_campaign_can_be_rerun_for_recipients_not_reached() -> None:
    campaign = finished_campaign()
    prune()
    run = runs.begin(campaign=campaign, statuses=[DeliveryStatus.FAILED])
    run_to_the_end()
    assert Delivery.objects.filter(batch=run.pk).count() == run.recipient_count > 0


def ended(run: Run, **fields: Any) -> None:
    for recipient in run.campaign.recipients.all():
        make_delivery_of(
            run=run,
            recipient=recipient,
            **{"status": DeliveryStatus.COMPLETED, "ended_at": LONG_AGO, **fields},
        )


@pytest.mark.parametrize("status", [RunStatus.RUNNING, RunStatus.PAUSED, RunStatus.STOPPING])
def test_deliveries_of_unfinished_runs_are_kept(status: RunStatus) -> None:
    """Even old deliveries are kept, because they prevent a second call to the same recipient."""
    ended(make_run(campaign=make_campaign(), status=status, starts_at=LONG_AGO))
    prune()
    assert Delivery.objects.count() == 3


def test_recent_deliveries_are_kept() -> None:
    finished_campaign(ended_at=timezone.now() - timedelta(days=89))
    prune()
    assert Delivery.objects.count() == 4


def test_unfinished_deliveries_are_kept_even_if_their_run_has_finished() -> None:
    run = make_run(campaign=make_campaign(), status=RunStatus.TERMINATED, finished_at=LONG_AGO)
    ended(run, status=DeliveryStatus.SUBMITTED, ended_at=None)
    prune()
    assert Delivery.objects.count() == 3


def test_pruning_keeps_otps_and_removes_their_deliveries() -> None:
    owner = make_account(credits=10)
    otp = send_otp(account=owner, number="9841000001", message="{otp}", channel=Channel.SMS)
    prune()
    run_to_the_end()
    prune()
    assert Delivery.objects.count() == 1
    Delivery.objects.update(ended_at=LONG_AGO)
    prune()
    assert Otp.objects.get(pk=otp.pk).delivery_id is None
    assert not Delivery.objects.exists()


def test_pruning_removes_inbound_messages_and_parts_but_keeps_opt_outs() -> None:
    campaign = finished_campaign()
    delivery = Delivery.objects.all()[0]
    MessagePart.objects.create(delivery=delivery, trunk=delivery.trunk, ref="part-1")
    for at in (LONG_AGO, timezone.now()):
        InboundMessage.objects.create(trunk=make_trunk(), sender=delivery.to, text="STOP", received_at=at)
    OptOut.objects.create(owner=campaign.owner, number=delivery.to, source="STOP", created_at=LONG_AGO)
    prune()
    assert (MessagePart.objects.count(), InboundMessage.objects.count(), OptOut.objects.count()) == (0, 1, 1)


def test_rows_are_removed_in_chunks(
    monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    monkeypatch.setattr(of_telephony, "CHUNK", 3)
    finished_campaign()
    assert retention.prune(days=90).deliveries == 4
    assert not Delivery.objects.exists()


def test_the_size_of_statements_does_not_grow_with_the_removed_rows(
    django_assert_max_num_queries: Callable[..., Any],
) -> None:
    for _ in range(3):
        finished_campaign()
    with django_assert_max_num_queries(40):
        retention.prune(days=90)


def test_nothing_is_removed_if_the_setting_is_0(settings: Any) -> None:
    settings.IRIS_KEEP_DELIVERIES_DAYS = 0
    finished_campaign()
    assert "keeps everything" in prune()
    assert Delivery.objects.count() == 4
    assert prune("--days", "90").startswith("Removed 4 calls")
    with pytest.raises(CommandError):
        prune("--days", "0")


def test_uploaded_sheets_without_a_pending_import_are_removed(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path
    campaign = make_campaign()
    kept = {
        name: default_storage.save(f"{SHEETS}/{name}", ContentFile(b"numbers"))
        for name in ("waits", "done", "nobody", "young")
    }
    SheetImport.objects.create(campaign=campaign, file=kept["waits"], after=0)
    SheetImport.objects.create(campaign=campaign, file=kept["done"], after=0, status=ImportStatus.DONE)
    for name in ("waits", "done", "nobody"):
        os.utime(default_storage.path(kept[name]), (LONG_AGO.timestamp(),) * 2)

    output = StringIO()
    call_command("prune_deliveries", "--dry-run", stdout=output)
    assert "Would remove 2 uploaded sheets" in output.getvalue()
    assert len(default_storage.listdir(SHEETS)[1]) == 4
    call_command("prune_deliveries", stdout=output)

    assert sorted(default_storage.listdir(SHEETS)[1]) == ["waits", "young"]
