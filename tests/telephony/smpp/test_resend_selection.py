"""Test which SMS are resent after their submit responses were lost, and when."""

from __future__ import annotations

import time
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from telephony.carriers import get_carrier
from telephony.carriers.base import Accepted, Unknown
from telephony.carriers.smpp import SmppCarrier, reassembly, resends
from telephony.carriers.smpp import carrier as smpp_carrier
from telephony.carriers.smpp import session as smpp_session
from telephony.engine import delivery_reports, lifecycle
from telephony.models import Bind, Delivery, DeliveryStatus, Repetition, Trunk, UnmatchedReport
from tests.factories import make_delivery
from tests.telephony.smpp.carriers import carrier, sms
from tests.telephony.smpp.lost_responses import LONG, OFF, bound, configure, report, status, unanswered
from tests.telephony.smpp.processes import smsc

S = DeliveryStatus


@pytest.fixture(autouse=True)
def _short_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait at close for responses that never come."""
    monkeypatch.setattr(smpp_carrier, "CLOSE_SECONDS", 1.5)


class TestSelection:
    """With the default options an SMS is resent after two minutes of silence while bound."""

    def test_silent_sms_is_resent_after_two_minutes_of_a_bind(self, trunk: Trunk) -> None:
        delivery = unanswered(trunk)
        bound(trunk, seconds=121)
        delivery_reports.look_up_unknown("smsc")
        assert status(delivery) == S.QUEUED
        claimed_at = Delivery.objects.values_list("claimed_at", flat=True).get()
        delivery.refresh_from_db()
        assert delivery.pinned_since == claimed_at
        assert Repetition.objects.get().delivery == delivery

    @pytest.mark.parametrize(
        ("claimed", "seconds", "until"),
        [(119, 1000, 0), (1000, 119, 0), (130, 1000, 11)],
        ids=["claimed a moment ago", "bound a moment ago", "not bound any more"],
    )
    def test_silence_counts_only_while_the_trunk_is_bound(
        self, trunk: Trunk, claimed: float, seconds: float, until: float
    ) -> None:
        delivery = unanswered(trunk, seconds=claimed)
        bound(trunk, seconds=seconds, until=until)
        delivery_reports.look_up_unknown("smsc")
        assert status(delivery) == S.UNKNOWN

    def test_nothing_is_resent_over_a_trunk_that_was_never_bound(self, trunk: Trunk) -> None:
        delivery = unanswered(trunk)
        delivery_reports.look_up_unknown("smsc")
        assert status(delivery) == S.UNKNOWN

    def test_sms_with_a_receipt_is_not_resent(self, trunk: Trunk) -> None:
        delivery = unanswered(trunk)
        bound(trunk, seconds=500)
        report(delivery.to)
        delivery_reports.look_up_unknown("smsc")
        assert status(delivery) == S.UNKNOWN

    def test_long_sms_is_resent_if_some_parts_stay_unreported(self, trunk: Trunk) -> None:
        delivery = unanswered(trunk, text=LONG)
        report(delivery.to)
        bound(trunk, seconds=500)
        delivery_reports.look_up_unknown("smsc")
        assert status(delivery) == S.UNKNOWN, "something was heard a moment ago"
        UnmatchedReport.objects.update(created_at=timezone.now() - timedelta(seconds=130))
        delivery_reports.look_up_unknown("smsc")
        assert status(delivery) == S.QUEUED

    def test_receipts_of_two_attempts_for_one_part_count_once(self, trunk: Trunk) -> None:
        delivery = unanswered(trunk, text=LONG, to="+9779841000001")
        bound(trunk, seconds=500)
        needed = get_carrier("smsc").reports_on(LONG)
        report(delivery.to, ref="of the first attempt")
        UnmatchedReport.objects.update(created_at=timezone.now() - timedelta(seconds=150))
        delivery_reports.look_up_unknown("smsc")
        assert status(delivery) == S.QUEUED
        Delivery.objects.update(status=S.UNKNOWN, claimed_at=timezone.now() - timedelta(seconds=140))
        lifecycle.apply_results([Unknown(key=str(delivery.pk), resent=True)], report_timeout=3600)
        for part in range(1, needed):
            report(delivery.to, ref=f"of the second attempt, part {part}")
        UnmatchedReport.objects.filter(ref__contains="second").update(
            created_at=timezone.now() - timedelta(seconds=130)
        )
        delivery_reports.match_again("smsc")
        assert status(delivery) == S.UNKNOWN
        delivery_reports.look_up_unknown("smsc")
        assert status(delivery) == S.QUEUED

    @pytest.mark.parametrize("other", [S.SUBMITTING, S.UNKNOWN, S.SUBMITTED])
    def test_sms_is_not_resent_while_another_to_the_number_is_in_progress(
        self, trunk: Trunk, other: DeliveryStatus
    ) -> None:
        delivery = unanswered(trunk)
        blocking = make_delivery(trunk=trunk, to=delivery.to, status=other, claimed_at=timezone.now())
        bound(trunk, seconds=500)
        delivery_reports.look_up_unknown("smsc")
        assert status(delivery) == S.UNKNOWN
        Delivery.objects.filter(pk=blocking.pk).update(status=S.COMPLETED)
        delivery_reports.look_up_unknown("smsc")
        assert status(delivery) == S.QUEUED

    def test_two_sms_to_one_number_are_resent_one_at_a_time(self, trunk: Trunk) -> None:
        one, two = unanswered(trunk, to=OFF), unanswered(trunk, to=OFF)
        bound(trunk, seconds=500)
        Delivery.objects.filter(pk=two.pk).update(status=S.QUEUED)
        delivery_reports.look_up_unknown("smsc")
        Delivery.objects.filter(pk=two.pk).update(status=S.UNKNOWN)
        delivery_reports.look_up_unknown("smsc")
        assert [status(one), status(two)] == [S.QUEUED, S.UNKNOWN]

    def test_sms_is_resent_three_times_at_most(self, trunk: Trunk) -> None:
        delivery = unanswered(trunk)
        bound(trunk, seconds=500)
        for _ in range(resends.MAX_RESENDS):
            delivery_reports.look_up_unknown("smsc")
            assert status(delivery) == S.QUEUED
            Delivery.objects.update(status=S.UNKNOWN)
        delivery_reports.look_up_unknown("smsc")
        assert status(delivery) == S.UNKNOWN
        assert Repetition.objects.get().times == resends.MAX_RESENDS

    @pytest.mark.parametrize("options", [{"receipts": False}, {"repeat": "never"}])
    def test_nothing_is_resent_without_receipts_or_with_repeat_never(
        self, trunk: Trunk, settings: Any, options: dict[str, Any]
    ) -> None:
        configure(settings, **options)
        delivery = unanswered(trunk, seconds=100_000)
        bound(trunk, seconds=50_000)
        delivery_reports.look_up_unknown("smsc")
        assert status(delivery) == S.UNKNOWN

    def test_bind_is_noted_with_its_time(self, trunk: Trunk) -> None:
        now = time.monotonic()
        bound(trunk, seconds=100, until=50)
        (first,) = Bind.objects.all()
        assert (first.seen_at - first.since).total_seconds() == pytest.approx(100, abs=0.01)
        resends.note_bound("smsc", at=now, seconds=1)
        (second,) = Bind.objects.all()
        assert second.since > first.seen_at


class TestReceiptNumbers:
    """If receipts do not name the recipient, silence about a number proves nothing."""

    def silent_with(self, trunk: Trunk, *samples: list[tuple[str, str]]) -> int:
        """The status of an unanswered SMS after receipts about another, +9779841000001 by the id 77, have come."""
        make_delivery(trunk=trunk, to="+9779841000001", status=S.COMPLETED, ref="77")
        delivery = unanswered(trunk)
        for receipts in samples:
            resends.note_bound("smsc", at=time.monotonic(), seconds=500, receipts=receipts)
        delivery_reports.look_up_unknown("smsc")
        return status(delivery)

    def test_resend_waits_for_a_receipt_that_names_the_recipient(self, trunk: Trunk) -> None:
        assert self.silent_with(trunk, [("strange", "+9779841000001")]) == S.UNKNOWN
        assert Bind.objects.get().tells_numbers is None

    def test_resend_is_skipped_when_receipts_name_another_number(self, trunk: Trunk) -> None:
        assert self.silent_with(trunk, [("77", "31001"), ("strange", "+9779841000001")]) == S.UNKNOWN
        assert Bind.objects.get().tells_numbers is False

    def test_one_receipt_that_names_the_recipient_is_enough(self, trunk: Trunk) -> None:
        assert self.silent_with(trunk, [("77", "+9779841000001"), ("strange", "")], []) == S.QUEUED

    def test_resend_is_skipped_when_later_receipts_name_another_number(self, trunk: Trunk) -> None:
        assert self.silent_with(trunk, [("77", "+9779841000001")], [("77", "31001")]) == S.UNKNOWN

    def test_carrier_notes_the_receipts_with_the_bind(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        logged: list[tuple[str, str]] = []
        monkeypatch.setattr(resends, "note_bound", lambda *_, receipts, **__: logged.extend(receipts))
        monkeypatch.setattr(reassembly, "hand_on_incomplete", lambda *_, **__: None)
        with smsc(tmp_path) as far, carrier(far.port, repeat_after_seconds=1) as it:
            result = it.send(sms(1))["1"]
            assert isinstance(result, Accepted)
            it.wait(lambda: logged == [(result.ref, sms(1).to)])


def test_refusing_an_inbound_pdu_restarts_the_time_of_the_bind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds: list[float] = []
    monkeypatch.setattr(SmppCarrier, "_bound", lambda _, bound_for, after_refusal: seconds.append(bound_for))
    with smsc(tmp_path) as far, carrier(far.port) as it:
        it.wait(lambda: seconds and seconds[-1] > 0.4)
        monkeypatch.setattr(smpp_session, "MAX_UNSTORED", 0)
        far.send("9779841000001", b"\0A")
        it.wait(lambda: far.journal_entries("inbound"))
        assert far.journal_entries("inbound")[0]["acknowledged"] is False
        it.wait(lambda: any(later < before for before, later in pairwise(seconds)))
