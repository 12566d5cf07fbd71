"""Test that the sandbox carrier keeps the contract. The tests of the other carriers are in their own folders."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from telephony.carriers import Carrier, get_carrier
from telephony.models import Channel, SandboxMessage
from tests.telephony.carriers.carrier_contract import LooksUp, Polled, ReportLog, Reports

pytestmark = pytest.mark.django_db


class TestSandboxSms(Reports, Polled, LooksUp):
    channel: ClassVar = Channel.SMS
    refused_number: ClassVar = "+9779841009904"

    @pytest.fixture
    def carrier(self, report_log: ReportLog, settings: Any) -> Carrier:
        settings.IRIS_SANDBOX_SPEED = 50
        return get_carrier("sandbox")

    def received_numbers(self) -> list[str]:
        return list(SandboxMessage.objects.order_by("id").values_list("to", flat=True))


class TestSandboxCall(TestSandboxSms):
    channel: ClassVar = Channel.CALL
