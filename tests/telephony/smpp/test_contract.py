"""Test that the SMPP carrier keeps the contract of all carriers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from django.utils import timezone

from telephony.carriers import Carrier
from telephony.carriers.base import Submission, Unknown
from telephony.carriers.smpp import SmppCarrier, resends
from telephony.engine import delivery_reports, lifecycle
from telephony.models import Bind, Channel, Delivery, DeliveryStatus, Trunk
from tests.factories import make_delivery
from tests.telephony.carriers.carrier_contract import KeepsSession, LooksUp, ReportLog, Reports
from tests.telephony.smpp.processes import smsc


class TestSmppCarrier(Reports, LooksUp, KeepsSession):
    channel: ClassVar = Channel.SMS
    refused_number: ClassVar = "+9779841009917"
    # SMPP has no look-up by key: silence shows that an SMS was not accepted, and receipts report those that were.
    confirms_accepted: ClassVar = False

    @pytest.fixture
    def carrier(self, report_log: ReportLog, tmp_path: Path, trunk: Trunk) -> Iterator[Carrier]:
        self.trunk = trunk
        with smsc(tmp_path) as self.far:
            carrier = SmppCarrier(
                alias=trunk.alias,
                host="127.0.0.1",
                port=self.far.port,
                system_id="iris",
                repeat_after_seconds=60,
            )
            carrier.open(report_log)
            yield carrier
            carrier.close()

    @contextmanager
    def far_end_away(self) -> Iterator[None]:
        self.far.kill()
        yield
        self.far.start()

    def received_numbers(self) -> list[str]:
        return [f"+{entry['to']}" for entry in self.far.entries]

    def make_unknown(self, carrier: Carrier, report_log: ReportLog, batch: Sequence[Submission]) -> None:
        """Claim the deliveries 200 s ago without a response, and note a bind of 121 s since, with all receipts stored."""
        self.wait_until(carrier, report_log, lambda: bool(report_log.events()))
        for one in batch:
            make_delivery(
                pk=int(one.key), trunk=self.trunk, to=one.to, status=DeliveryStatus.SUBMITTING, attempts=1
            )
        lifecycle.apply_results([Unknown(key=one.key) for one in batch], report_timeout=3600)
        Delivery.objects.update(claimed_at=timezone.now() - timedelta(seconds=200))
        delivery_reports.apply_events(self.trunk.alias, report_log.events())
        resends.note_bound(self.trunk.alias, at=time.monotonic(), seconds=121)
        Bind.objects.update(tells_numbers=True)
