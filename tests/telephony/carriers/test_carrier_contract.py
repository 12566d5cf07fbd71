"""Every carrier keeps the contract. Those that need a far end have theirs in its folder."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from telephony.carriers import Carrier, get_carrier
from telephony.models import Channel, SandboxMessage
from tests.telephony.carriers.carrier_contract import Heard, LooksUp, Polled, Reports

pytestmark = pytest.mark.django_db


class TestSandboxSms(Reports, Polled, LooksUp):
    channel: ClassVar = Channel.SMS
    refused: ClassVar = "+9779841009904"

    @pytest.fixture
    def carrier(self, heard: Heard, settings: Any) -> Carrier:
        settings.IRIS_SANDBOX_SPEED = 50
        return get_carrier("sandbox")

    def taken(self) -> list[str]:
        return list(SandboxMessage.objects.order_by("id").values_list("to", flat=True))


class TestSandboxCall(TestSandboxSms):
    channel: ClassVar = Channel.CALL
