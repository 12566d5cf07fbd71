"""Recipients who were reached after a backup was made are skipped when it has been restored."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from django.core.management import CommandError

from accounts.ledger import check_ledger
from campaigns import runs
from campaigns.models import RunStatus, Service
from campaigns.runs import hopper
from telephony.engine import restore_hold
from telephony.models import DeliveryStatus, SandboxMessage
from tests import engine
from tests.campaigns.runs.test_restore import _restored, after_restore, sent, tick
from tests.factories import make_account, make_campaign

__all__ = ["_restored"]

pytestmark = pytest.mark.django_db


@pytest.mark.usefixtures("_restored")
@pytest.mark.parametrize("filled", [True, False])
def test_recipients_reached_since_the_backup_are_skipped(filled: bool, tmp_path: Path) -> None:
    owner = make_account(credits=100)
    run = runs.begin(campaign=make_campaign(owner=owner), message="Namaste")
    if filled:
        hopper.fill(run.pk)
    tick()
    file = tmp_path / "reached"
    file.write_text("9841000002\n\n+9779841777777\n")

    assert "2 numbers; 1 calls and SMS to them count as completed." in after_restore("--reached", str(file))
    assert "2 numbers; 0 calls" in after_restore("--reached", str(file))
    assert sent() == 0
    after_restore("--resume")
    engine.run_to_the_end()

    assert sorted(SandboxMessage.objects.values_list("to", flat=True)) == ["+9779841000001", "+9779841000003"]
    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED
    assert set(run.campaign.recipients.values_list("status", flat=True)) == {int(DeliveryStatus.COMPLETED)}
    owner.refresh_from_db()
    assert owner.balance == 97
    assert not check_ledger().differences


@pytest.mark.usefixtures("_restored")
@pytest.mark.parametrize("service", [Service.CALL, Service.SMS, Service.BOTH])
def test_recipients_marked_as_reached_never_cost_more_than_the_spending_limit(
    service: Service, tmp_path: Path
) -> None:
    campaign = make_campaign(service=service, spending_limit=Decimal(6))
    run = runs.begin(campaign=campaign, message="Namaste " * 40)
    tick()
    file = tmp_path / "reached"
    file.write_text("9841000001\n9841000002\n9841000003\n")

    after_restore("--reached", str(file))
    after_restore("--resume")
    engine.run_to_the_end()

    run.hold.refresh_from_db()
    assert sent() == 0
    assert run.hold.captured <= 6
    assert not check_ledger().differences


@pytest.mark.parametrize("line", ["Number", "9841000002,completed", "1111111"])
def test_a_file_with_an_invalid_number_changes_nothing(line: str, tmp_path: Path) -> None:
    file = tmp_path / "reached"
    file.write_text(f"9841000001\n{line}\n")

    with pytest.raises(CommandError, match=r"Line 2 of .* Nothing has been changed\."):
        after_restore("--reached", str(file))
    with pytest.raises(CommandError, match="cannot be read"):
        after_restore("--reached", str(tmp_path / "missing"))

    assert not restore_hold.is_held()
