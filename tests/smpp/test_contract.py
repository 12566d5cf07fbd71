"""The SMPP carrier keeps the contract of all carriers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from telephony.carriers import Carrier
from telephony.carriers.smpp import SmppCarrier
from telephony.models import Channel, Trunk
from tests.smpp.processes import smsc
from tests.telephony.carrier_contract import Heard, KeepsSession, LooksUp, Reports


class TestSmppCarrier(Reports, LooksUp, KeepsSession):
    channel: ClassVar = Channel.SMS

    @pytest.fixture
    def carrier(self, heard: Heard, tmp_path: Path, trunk: Trunk) -> Iterator[Carrier]:
        with smsc(tmp_path) as process:
            carrier = SmppCarrier(
                alias="smsc", host="127.0.0.1", port=process.port, system_id="iris", password="secret"
            )
            carrier.open(heard)
            yield carrier
            carrier.close()
