"""The SMPP carrier does what the engine relies on in every carrier."""

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
from tests.telephony.carriers.carrier_contract import Heard, KeepsSession, LooksUp, Reports
from tests.telephony.smpp.processes import smsc


class TestSmppCarrier(Reports, LooksUp, KeepsSession):
    channel: ClassVar = Channel.SMS
    refused: ClassVar = "+9779841009917"
    # SMPP cannot be asked. Silence says that something was not taken; what was taken is reported, not looked up.
    knows_what_it_has: ClassVar = False

    @pytest.fixture
    def carrier(self, heard: Heard, tmp_path: Path, trunk: Trunk) -> Iterator[Carrier]:
        self.trunk = trunk
        with smsc(tmp_path) as self.far:
            carrier = SmppCarrier(
                alias=trunk.alias,
                host="127.0.0.1",
                port=self.far.port,
                system_id="iris",
                repeat_after_seconds=60,
            )
            carrier.open(heard)
            yield carrier
            carrier.close()

    @contextmanager
    def far_end_away(self) -> Iterator[None]:
        self.far.kill()
        yield
        self.far.start()

    def taken(self) -> list[str]:
        return [f"+{entry['to']}" for entry in self.far.entries]

    def leave_unknown(self, carrier: Carrier, heard: Heard, batch: Sequence[Submission]) -> None:
        """Their answers were lost 200 s ago, and all that has come in 121 s of a bind since is stored."""
        self.listen(carrier, heard, lambda: bool(heard.events()))
        for one in batch:
            make_delivery(
                pk=int(one.key), trunk=self.trunk, to=one.to, status=DeliveryStatus.SUBMITTING, attempts=1
            )
        lifecycle.record([Unknown(key=one.key) for one in batch], report_timeout=3600)
        Delivery.objects.update(claimed_at=timezone.now() - timedelta(seconds=200))
        delivery_reports.record(self.trunk.alias, heard.events())
        resends.note_bound(self.trunk.alias, at=time.monotonic(), seconds=121)
        Bind.objects.update(tells_numbers=True)
