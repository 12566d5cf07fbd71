"""What became of deliveries is counted by trunk, operator and hour, and shown with shares and latencies."""

from __future__ import annotations

import csv
from datetime import datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from telephony.engine import carrier_truth, outcomes
from telephony.engine.carrier_truth import Truth, quantile
from telephony.engine.outcomes import BOUNDS, operator_of
from telephony.models import (
    AccountOutcomeCount,
    Channel,
    Delivery,
    DeliveryStatus,
    LateReport,
    OutcomeChunk,
    OutcomeCount,
    Trunk,
)
from tests.factories import make_account, make_delivery, make_trunk

pytestmark = pytest.mark.django_db

NTC, NCELL = "+9779841000001", "+9779801000001"
S = DeliveryStatus


def sms(**fields: Any) -> Delivery:
    now = timezone.now()
    defaults = {"to": NTC, "claimed_at": now, "submitted_at": now, "ref": "x", "owner": make_account()}
    return make_delivery(**{**defaults, **fields})


def delivered(seconds: float, *, at: datetime | None = None, **fields: Any) -> Delivery:
    at = at or timezone.now()
    return sms(
        status=S.COMPLETED,
        submitted_at=at,
        claimed_at=at,
        delivered_at=at + timedelta(seconds=seconds),
        **fields,
    )


def counted() -> dict[str, Truth]:
    """Count everything and return the figures of the last two days by operator."""
    OutcomeChunk.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    outcomes.count_due()
    figures = carrier_truth.figures(since=timezone.now() - timedelta(days=2))
    return {one.operator: one for one in figures}


def test_every_outcome_is_counted_once() -> None:
    old = timezone.now() - timedelta(minutes=20)
    delivered(3)
    sms(status=S.COMPLETED)  # a carrier without reports
    sms(status=S.FAILED, cause="refused")  # reported as undelivered
    sms(status=S.FAILED, cause="lost")
    sms(status=S.FAILED, cause="refused", ref="")  # refused at once
    sms(status=S.FAILED, cause="opted_out", ref="", claimed_at=None)
    sms(status=S.SUBMITTED)
    sms(status=S.SUBMITTED, submitted_at=old, claimed_at=old)
    sms(status=S.QUEUED, ref="", claimed_at=None)
    sms(status=S.UNKNOWN, ref="")
    for _ in range(2):
        found = list(counted().values())
        assert sum(one.accepted for one in found) == 6
        assert [sum(getattr(one, name) for one in found) for name in (
            "delivered", "failed", "silent", "overdue", "unconfirmed", "refused",
        )] == [1, 1, 1, 1, 1, 1]  # fmt: skip


def test_calls_count_as_delivered_when_somebody_answered() -> None:
    now = timezone.now()
    answered = {"channel": Channel.CALL, "answered_at": now + timedelta(seconds=12)}
    sms(status=S.HUNGUP, **answered)
    sms(status=S.COMPLETED, **answered)
    sms(status=S.UNANSWERED, channel=Channel.CALL)
    (one,) = counted().values()
    assert (one.channel, one.accepted, one.delivered, one.failed) == ("call", 3, 2, 1)
    assert one.latency(0.5) == pytest.approx(15, abs=5)


def test_operators_of_nepal_are_told_apart_and_other_numbers_by_country() -> None:
    delivered(3)
    delivered(3, to=NCELL)
    delivered(3, to="+14155552671")
    delivered(3, to="")
    assert set(counted()) == {operator_of(NTC), operator_of(NCELL), "US", "unknown"}
    assert operator_of(NTC) != operator_of(NCELL)
    assert operator_of("+9779841999999") == operator_of(NTC)


def test_latencies_are_interpolated_between_the_bounds() -> None:
    assert quantile([0] * (len(BOUNDS) + 1), 0.5) is None
    counts = [0] * (len(BOUNDS) + 1)
    counts[3] = 10  # between 5 and 10 seconds
    assert quantile(counts, 0.5) == pytest.approx(7.5)
    counts[-1] = 90
    assert quantile(counts, 0.95) == BOUNDS[-1]


def test_range_is_counted_again_until_all_its_deliveries_have_ended() -> None:
    delivery = sms(status=S.SUBMITTED)
    assert next(iter(counted().values())).delivered == 0
    now = timezone.now()
    Delivery.objects.filter(pk=delivery.pk).update(status=S.COMPLETED, delivered_at=now)
    assert next(iter(counted().values())).delivered == 1


def test_complete_range_is_counted_no_more_and_keeps_its_counts_when_deliveries_are_pruned() -> None:
    delivery = delivered(3)
    number = (delivery.pk - 1) // outcomes.CHUNK_SIZE
    # A later range has begun some time ago, so no earlier id can come.
    later = delivered(3, pk=(number + 1) * outcomes.CHUNK_SIZE + 1)
    Delivery.objects.filter(pk=later.pk).update(created_at=timezone.now() - timedelta(hours=1))
    counted()
    chunk = OutcomeChunk.objects.get(pk=number)
    assert chunk.is_complete
    Delivery.objects.filter(pk=delivery.pk).delete()
    OutcomeChunk.objects.filter(pk=number).update(
        is_complete=False, counted_at=timezone.now() - timedelta(days=2)
    )
    assert sum(one.delivered for one in counted().values()) == 2


def test_late_report_corrects_the_counts_of_a_complete_range() -> None:
    lost = sms(status=S.FAILED, cause="lost")
    assert next(iter(counted().values())).silent == 1
    OutcomeChunk.objects.update(is_complete=True)
    Delivery.objects.filter(pk=lost.pk).update(status=S.COMPLETED, cause="", delivered_at=timezone.now())
    LateReport.objects.create(
        delivery=lost.pk, trunk=lost.trunk, purpose=lost.purpose, batch=lost.batch, item=lost.item,
        status=S.COMPLETED, price=Decimal(1), captured=Decimal(1), charged=Decimal(0), written_off=Decimal(0),
        created_at=timezone.now() + timedelta(seconds=1),
    )  # fmt: skip
    (one,) = counted().values()
    assert (one.silent, one.delivered) == (0, 1)


def by_account() -> dict[int, tuple[int, ...]]:
    """Count everything and return how many deliveries of each account ended in which way."""
    counted()
    names = ("completed", "hungup", "unanswered", "failed", "terminated")
    rows = AccountOutcomeCount.objects.all()
    return {
        pk: tuple(sum(getattr(one, name) for one in rows if one.owner_id == pk) for name in names)
        for pk in {one.owner_id for one in rows}
    }


def test_ends_are_counted_by_account() -> None:
    one, other = make_account(), make_account()
    now = timezone.now()
    sms(owner=one, status=S.COMPLETED)
    sms(owner=one, status=S.UNANSWERED, retried=True)  # another try follows
    sms(owner=one, status=S.SUBMITTED)
    sms(owner=one, status=S.TERMINATED, claimed_at=None, submitted_at=None, ended_at=now)
    sms(owner=one, status=S.COMPLETED, purpose="seed")
    for status in (S.HUNGUP, S.UNANSWERED, S.FAILED):
        sms(owner=other, status=status, channel=Channel.CALL)
    for _ in range(2):
        assert by_account() == {one.pk: (1, 0, 0, 0, 1), other.pk: (0, 1, 1, 1, 0)}


def test_ends_are_counted_at_the_quarter_of_an_hour_of_their_submission() -> None:
    at = datetime.fromisoformat("2026-03-01T18:29:59+00:00")
    delivered(3, at=at)
    delivered(3, at=at + timedelta(seconds=1))
    by_account()
    quarters = AccountOutcomeCount.objects.order_by("quarter").values_list("quarter", flat=True)
    assert [f"{one:%H:%M}" for one in quarters] == ["18:15", "18:30"]


def test_complete_range_of_the_previous_release_is_counted_by_account() -> None:
    delivery = delivered(3)
    number = (delivery.pk - 1) // outcomes.CHUNK_SIZE
    OutcomeChunk.objects.create(
        number=number, is_complete=True, counted_at=timezone.now() - timedelta(minutes=1)
    )
    assert by_account() == {delivery.owner_id: (1, 0, 0, 0, 0)}
    # Processes of the previous release count it again, without the accounts.
    Delivery.objects.filter(pk=delivery.pk).update(status=S.FAILED, delivered_at=None)
    OutcomeChunk.objects.filter(pk=number).update(is_complete=True, counted_at=timezone.now())
    assert by_account() == {delivery.owner_id: (0, 0, 0, 1, 0)}


def make_history(trunk: Trunk, *, days_ago: int, delivered: int, silent: int, unconfirmed: int = 0) -> None:
    """Store the counts of one hour in the past."""
    hour = (timezone.now() - timedelta(days=days_ago)).replace(minute=0, second=0, microsecond=0)
    chunk = OutcomeChunk.objects.create(number=-days_ago - 1000 * trunk.pk, is_complete=True)
    latencies = [0] * (len(BOUNDS) + 1)
    latencies[3] = delivered
    OutcomeCount.objects.create(
        chunk=chunk, trunk=trunk, channel="sms", operator="NTC", hour=hour, latencies=latencies, delivered=delivered,
        accepted=delivered + silent + unconfirmed, silent=silent, unconfirmed=unconfirmed, failed=0, overdue=0,
        refused=0,
    )  # fmt: skip


def test_silent_share_outside_of_its_usual_band_is_reported() -> None:
    usual, worse, quiet = make_trunk("usual"), make_trunk("worse"), make_trunk("without_reports")
    for days_ago in range(2, 10):
        make_history(usual, days_ago=days_ago, delivered=95, silent=5)
        make_history(worse, days_ago=days_ago, delivered=95, silent=5)
        make_history(quiet, days_ago=days_ago, delivered=0, silent=0, unconfirmed=100)
    make_history(usual, days_ago=0, delivered=92, silent=8)
    make_history(worse, days_ago=0, delivered=70, silent=30)
    make_history(quiet, days_ago=0, delivered=0, silent=0, unconfirmed=100)
    (one,) = carrier_truth.unusual()
    assert (one.trunk, one.share, one.usual) == ("worse", 0.3, 0.05)
    assert str(one).startswith("worse, NTC: 30.0% of the sms deliveries of the last day were never reported")


def test_command_shows_a_table_and_a_csv_file_and_fails_if_something_is_unusual() -> None:
    for _ in range(3):
        delivered(7)
    output = StringIO()
    call_command("carrier_truth", stdout=output)
    head, row = output.getvalue().splitlines()
    assert head.split()[:4] == ["trunk", "channel", "operator", "accepted"]
    assert row.split()[0] == "sandbox"
    assert "100.0%" in row
    output = StringIO()
    call_command("carrier_truth", "sandbox", "--csv", stdout=output)
    (shown,) = csv.DictReader(StringIO(output.getvalue()))
    assert (shown["accepted"], shown["delivered_share"], shown["silent_share"]) == ("3", "100.0%", "0.0%")
    trunk = make_trunk("worse")
    for days_ago in range(2, 6):
        make_history(trunk, days_ago=days_ago, delivered=100, silent=0)
    make_history(trunk, days_ago=0, delivered=50, silent=50)
    errors = StringIO()
    with pytest.raises(SystemExit):
        call_command("carrier_truth", stdout=output, stderr=errors)
    assert errors.getvalue().startswith("WARNING: worse, NTC: 50.0%")
