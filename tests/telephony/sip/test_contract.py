"""Test that the SIP carrier keeps the contract of all carriers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from telephony.carriers import Carrier
from telephony.carriers.base import Submission
from telephony.carriers.sip import SipCarrier
from telephony.models import Channel
from tests.live import wait_for
from tests.telephony.carriers.carrier_contract import KeepsSession, ReportLog, Reports
from tests.telephony.sip.far_end import FarEnd, Ports
from tests.telephony.sip.line import chirp


class TestSipCarrier(Reports, KeepsSession):
    channel: ClassVar = Channel.CALL
    refused_number: ClassVar = "+9779841009904"

    @pytest.fixture
    def carrier(self, report_log: ReportLog, tmp_path: Path, settings: Any) -> Iterator[Carrier]:
        self.folder, self.ports = tmp_path, Ports()
        self.far_ends: list[FarEnd] = []
        self.start_far_end()
        settings.CARRIERS["line"] = {"CHANNELS": 10}  # this carrier requires CHANNELS
        options = {"host": f"127.0.0.1:{self.ports.sip}", "transport": "tcp", "interface": "127.0.0.1"}
        carrier = SipCarrier(alias="line", **options, rtp_ports="20000-40000", drain_seconds=0)
        carrier.open(report_log)
        # The carrier connects in the background. Until it is connected, `submit` raises Unreachable: nothing is sent, and
        # the batch is retried later.
        wait_for(lambda: carrier.status().startswith("ready"), seconds=10)
        yield carrier
        carrier.close()
        self.far_ends[-1].__exit__()
        self.ports.close()

    def start_far_end(self) -> None:
        folder = self.folder / str(len(self.far_ends))
        far_end = FarEnd(folder, "one_unknown", transport="tcp", ports=self.ports, record=False)
        self.far_ends.append(far_end.__enter__())

    @contextmanager
    def far_end_away(self) -> Iterator[None]:
        self.far_ends[-1].__exit__()
        yield
        self.start_far_end()

    def received_numbers(self) -> list[str]:
        """Read SIPp's log, which has a line for each INVITE that begins with the number."""
        return [line.split()[0] for far_end in self.far_ends for line in far_end.log()]

    def submission(self, number: int, **changes: Any) -> Submission:
        """Create a submission that plays a recording of one second."""
        recording, _ = chirp(1.0)
        return super().submission(number, **{"audio_name": recording, **changes})
