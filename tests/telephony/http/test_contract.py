"""Test that the carriers over HTTP keep the contract of all carriers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from telephony.carriers import Carrier, get_carrier
from telephony.carriers.base import Accepted, Submission
from telephony.carriers.http import HttpCarrier
from telephony.engine import callback_sets
from telephony.models import Channel, Delivery, DeliveryStatus, Trunk
from tests.factories import make_delivery, make_trunk
from tests.telephony.carriers.carrier_contract import (
    LooksUp,
    LosesItsFarEnd,
    Polled,
    ReportLog,
    Reports,
)
from tests.telephony.http.far_end import OPTIONS, carrier_of
from tests.telephony.http.processes import FarEnd, far_end
from tests.telephony.http.sound import stored_recording


class OverHttp(LosesItsFarEnd):
    """What the far ends of all carriers over HTTP have in common."""

    name: ClassVar[str]
    refused_number: ClassVar = "+9779841009904"
    far: FarEnd

    @pytest.fixture
    def carrier(
        self, report_log: ReportLog, tmp_path: Path, settings: Any, request: pytest.FixtureRequest
    ) -> Iterator[Carrier]:
        with far_end(tmp_path) as self.far:
            carrier = carrier_of(self.name, self.far)
            self.connect(carrier, report_log, settings, request)
            yield carrier
            carrier.close()

    def connect(
        self, carrier: HttpCarrier, report_log: ReportLog, settings: Any, request: pytest.FixtureRequest
    ) -> None:
        """Prepare what the carrier needs beside its far end."""

    @contextmanager
    def far_end_away(self) -> Iterator[None]:
        self.far.kill()
        yield
        self.far.start()

    def received_numbers(self) -> list[str]:
        return self.far.received()


class WithCallbacks(OverHttp, Reports):
    """What the far ends have in common that report with callbacks."""

    @pytest.fixture(autouse=True)
    def _database(self, transactional_db: None) -> None:
        self.trunk: Trunk = make_trunk(self.name)

    def connect(
        self, carrier: HttpCarrier, report_log: ReportLog, settings: Any, request: pytest.FixtureRequest
    ) -> None:
        """Let the door of iris receive the callbacks, and pass them to the log of the contract instead of the engine."""
        live_server: LiveServer = request.getfixturevalue("live_server")
        monkeypatch = request.getfixturevalue("monkeypatch")
        settings.IRIS_PUBLIC_URL = live_server.url
        kind, options = type(carrier), {**OPTIONS[self.name], "base_url": self.far.url}
        settings.CARRIERS = {self.name: {"BACKEND": f"{kind.__module__}.{kind.__name__}", "OPTIONS": options}}
        monkeypatch.setattr(callback_sets, "store", lambda alias, items: report_log(items))
        assert get_carrier(self.name).settings == carrier.settings


class TestSparrow(OverHttp):
    name: ClassVar = "sparrow"
    channel: ClassVar = Channel.SMS
    gives_refs: ClassVar = False


class TestAakash(OverHttp, Reports, Polled, LooksUp):
    name: ClassVar = "aakash"
    channel: ClassVar = Channel.SMS

    @pytest.fixture(autouse=True)
    def _database(self, db: None) -> None:
        self.trunk: Trunk = make_trunk("aakash")

    def submit_and_wait(
        self, carrier: Carrier, report_log: ReportLog, batch: Sequence[Submission]
    ) -> dict[str, Any]:
        """Submit a batch and store the results, because the carrier reports on stored deliveries alone."""
        results = super().submit_and_wait(carrier, report_log, batch)
        for one in batch:
            result = results[one.key]
            ref = result.ref if isinstance(result, Accepted) else ""
            status = DeliveryStatus.SUBMITTED if ref else DeliveryStatus.FAILED
            make_delivery(
                pk=int(one.key), trunk=self.trunk, to=one.to, text=one.text, ref=ref, status=status,
                claimed_at=timezone.now(),
            )  # fmt: skip
        return results

    def make_unknown(self, carrier: Carrier, report_log: ReportLog, batch: Sequence[Submission]) -> None:
        """Store the deliveries as unknown for 20 minutes: younger ones may be missing in the far end's report."""
        self.far.set_back(20 * 60)
        ago = timezone.now() - timedelta(minutes=20)
        for one in batch:
            if not Delivery.objects.filter(pk=int(one.key)).exists():
                make_delivery(pk=int(one.key), trunk=self.trunk, to=one.to, text=one.text)
        Delivery.objects.filter(pk__in=[int(one.key) for one in batch]).update(
            ref="", status=DeliveryStatus.UNKNOWN, attempts=1, claimed_at=ago
        )


class TestHimal(WithCallbacks):
    """The carrier of docs/adding-a-carrier.md."""

    name: ClassVar = "himal"
    channel: ClassVar = Channel.SMS


class TestTwilioSms(WithCallbacks, LooksUp):
    name: ClassVar = "twilio"
    channel: ClassVar = Channel.SMS

    def make_unknown(self, carrier: Carrier, report_log: ReportLog, batch: Sequence[Submission]) -> None:
        for one in batch:
            make_delivery(
                pk=int(one.key), trunk=self.trunk, to=one.to, text=one.text, channel=one.channel, attempts=1,
                status=DeliveryStatus.UNKNOWN, claimed_at=timezone.now() - timedelta(seconds=60),
            )  # fmt: skip


class TestTwilioCall(TestTwilioSms):
    channel: ClassVar = Channel.CALL

    def submission(self, number: int, **changes: Any) -> Submission:
        """Create a submission whose delivery and recording are stored, because a call asks for them when it is answered."""
        audio, _ = stored_recording(1.0)
        one = super().submission(number, **{"audio_name": audio.name, **changes})
        if not Delivery.objects.filter(pk=int(one.key)).exists():
            make_delivery(pk=int(one.key), trunk=self.trunk, to=one.to, channel=Channel.CALL, audio=audio)
        return one

    def make_unknown(self, carrier: Carrier, report_log: ReportLog, batch: Sequence[Submission]) -> None:
        Delivery.objects.filter(pk__in=[int(one.key) for one in batch]).update(
            status=DeliveryStatus.UNKNOWN, claimed_at=timezone.now() - timedelta(seconds=60), attempts=1
        )
