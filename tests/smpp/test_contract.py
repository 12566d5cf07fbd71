"""The SMPP carrier does what the engine relies on in every carrier."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from telephony.carriers import Carrier
from telephony.carriers.smpp import SmppCarrier
from telephony.models import Channel
from tests.smpp.processes import smsc
from tests.telephony.carrier_contract import Heard, KeepsSession, LooksUp, Reports


@pytest.mark.django_db
class TestSmppCarrier(Reports, LooksUp, KeepsSession):
    channel = Channel.SMS

    @pytest.fixture
    def carrier(self, heard: Heard, tmp_path: Path) -> Iterator[Carrier]:
        with smsc(tmp_path) as far:
            carrier = SmppCarrier(
                alias="smsc", host="127.0.0.1", port=far.port, system_id="iris", repeat_after_seconds=60
            )
            carrier.open(heard)
            yield carrier
            carrier.close()
