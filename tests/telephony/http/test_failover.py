"""A campaign survives the death of its first trunk: the rest goes by the second one, and nobody gets two SMS."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from campaigns.models import Run
from campaigns.runs.begin import begin
from telephony import tasks
from telephony.carriers import get_carrier
from telephony.engine import circuit_breaker
from telephony.models import FINAL, Delivery, DeliveryStatus, PauseCause, Trunk
from tests.engine import run_all_loops_once
from tests.factories import make_account, make_campaign
from tests.live import TIMEOUT_FACTOR
from tests.scale import at_scale
from tests.telephony.http.far_end import OPTIONS
from tests.telephony.http.processes import far_end
from tests.telephony.http.test_campaign import check_ledger

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _close(settings: Any) -> Iterator[None]:
    yield
    for alias in ("first", "second"):
        get_carrier(alias).close()  # type: ignore[attr-defined]


def metrics(api: APIClient) -> dict[str, float]:
    """Return the samples of /metrics, as Prometheus would read them."""
    lines = api.get("/metrics").content.decode().splitlines()
    pairs = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
    return {name: float(value) for name, value in pairs}


def number_of(place: int) -> int:
    """Return a number whose last four digits are no fault of the far end."""
    return 9841000000 + place // 9000 * 10_000 + place % 9000


@pytest.mark.field
@pytest.mark.parametrize("death", ["ends", "hangs"])
def test_rest_of_a_campaign_goes_by_the_second_trunk_and_nobody_gets_two(
    api: APIClient, settings: Any, tmp_path: Path, death: str
) -> None:
    count = at_scale(160, 5000)
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    with far_end(folders[0]) as first, far_end(folders[1]) as second:
        backend = "telephony.carriers.sparrow.SparrowCarrier"
        settings.CARRIERS = {
            alias: {
                "BACKEND": backend,
                "OPTIONS": {**OPTIONS["sparrow"], "base_url": far.url, "read_seconds": 1, "connections": 20},
                "CPS": 200,
                "CHANNELS": None,
            }
            for alias, far in (("first", first), ("second", second))
        }
        settings.ROUTES = {"call": [], "sms": ["first", "second"]}
        settings.IRIS_HOPPER_SIZE = count // 2
        campaign = make_campaign(
            owner=make_account(credits=count), numbers=[number_of(place) for place in range(count)]
        )
        begin(campaign=campaign, message="Namaste")
        killed_at, seen = 0.0, set()
        end = time.monotonic() + 120 * TIMEOUT_FACTOR
        while Run.objects.get().finished_at is None:
            assert time.monotonic() < end, Counter(Delivery.objects.values_list("status", "trunk__alias"))
            tasks.tick()
            run_all_loops_once()
            if not killed_at and len(first.received()) >= count // 4:
                # After SIGSTOP, the kernel still accepts connections.
                first.process.send_signal(signal.SIGKILL if death == "ends" else signal.SIGSTOP)
                killed_at = time.monotonic()
            elif killed_at:
                # A trunk that cannot be reached rests for five seconds. Nothing waits for that here.
                Trunk.objects.exclude(paused_until=None).update(paused_until=timezone.now())
                ago = timezone.now() - timedelta(minutes=1)
                Trunk.objects.exclude(failing_since=None).update(failing_since=ago)
                Delivery.objects.filter(status=DeliveryStatus.QUEUED).update(not_before=timezone.now())
                shown = metrics(api)
                if shown['iris_trunk_state{state="paused",trunk="first"}']:
                    assert shown['iris_trunk_paused{cause="errors",trunk="first"}'] == 1
                    seen.add(shown['iris_trunk_claimed_total{trunk="second"}'])
            lost = Delivery.objects.filter(status=DeliveryStatus.UNKNOWN)
            if killed_at and not Delivery.objects.filter(status__lt=FINAL).exclude(pk__in=lost).exists():
                lost.update(
                    expires_at=timezone.now()
                )  # Sparrow cannot be asked about them, so they end as lost
        received = Counter([*first.received(), *second.received()])
        paused = Trunk.objects.get(alias="first")
    assert (paused.is_paused, paused.pause_cause) == (True, PauseCause.ERRORS)
    assert max(received.values()) == 1
    unknown = Delivery.objects.filter(cause="lost").count()
    # What the dead trunk may have is never sent again.
    assert len(received) >= count - unknown
    assert unknown <= 20 + circuit_breaker.MAX_UNANSWERED_IN_A_ROW, "what was under way at its death"
    assert len(second.received()) > count // 4
    assert len(seen) > 1, "the metrics show how the second trunk takes over"
    check_ledger()
