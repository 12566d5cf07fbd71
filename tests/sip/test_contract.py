"""The SIP carrier keeps the contract of all carriers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from telephony.carriers import Carrier
from telephony.carriers.base import Submission
from telephony.models import Channel
from tests.live import wait_for
from tests.sip.far_end import FarEnd
from tests.sip.line import Line, chirp
from tests.telephony.carrier_contract import Heard, KeepsSession, Reports


class TestSipCarrier(Reports, KeepsSession):
    channel: ClassVar = Channel.CALL

    @pytest.fixture
    def carrier(self, heard: Heard, tmp_path: Path) -> Iterator[Carrier]:
        with FarEnd(tmp_path, "answer", record=False) as far_end:
            carrier = Line(far_end.host, drain_seconds=0).carrier
            carrier.open(heard)
            wait_for(lambda: carrier.status().startswith("ready"), seconds=10)
            yield carrier
            carrier.close()

    def submission(self, number: int, **changes: Any) -> Submission:
        return super().submission(number, **{"audio_name": chirp(1.0)[0], **changes})
