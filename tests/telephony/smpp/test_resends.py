"""Test which SMS are resent after their submit responses were lost, when, and that nobody gets one twice."""

from __future__ import annotations

import time
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from telephony.carriers import get_carrier
from telephony.carriers.base import Accepted, CarrierEvent, Later, Pending, Submission, Unknown
from telephony.carriers.errors import Unreachable
from telephony.carriers.smpp import SmppCarrier, reassembly, resends
from telephony.carriers.smpp import carrier as smpp_carrier
from telephony.carriers.smpp import session as smpp_session
from telephony.carriers.smpp.pace import Pace
from telephony.carriers.smpp.window import Window
from telephony.engine import delivery_reports, lifecycle
from telephony.models import Bind, Cause, Delivery, DeliveryStatus, Repetition, Trunk, UnmatchedReport
from tests.factories import make_delivery
from tests.telephony.smpp.carriers import OpenCarrier, carrier, sms
from tests.telephony.smpp.processes import SmscProcess, smsc

S = DeliveryStatus
LONG = "क" * 150
OFF = "+9779841009924"
OFF_AND_UNANSWERED = "+9779841009925"
NOT_SENT_AGAIN = (
    "The SMSC may have this SMS from an earlier attempt, so it was not sent again. "
    "Response to the cancellation: "
)


@pytest.fixture(autouse=True)
def _short_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait at close for responses that never come."""
    monkeypatch.setattr(smpp_carrier, "CLOSE_SECONDS", 1.5)


def unanswered(trunk: Trunk, *, seconds: float = 200, **fields: Any) -> Delivery:
    """Create an SMS that was claimed `seconds` ago and got no response."""
    delivery = make_delivery(trunk=trunk, status=S.SUBMITTING, attempts=1, **fields)
    lifecycle.apply_results([Unknown(key=str(delivery.pk))], report_timeout=3600)
    Delivery.objects.filter(pk=delivery.pk).update(claimed_at=timezone.now() - timedelta(seconds=seconds))
    return delivery


def bound(trunk: Trunk, *, seconds: float, until: float = 0) -> None:
    """Note a bind of `seconds` that ended `until` seconds ago, with all receipts stored and numbers in them."""
    resends.note_bound(trunk.alias, at=time.monotonic() - until, seconds=seconds)
    Bind.objects.update(tells_numbers=True)


def report(
    number: str, status: DeliveryStatus = S.COMPLETED, text: str = "", *, ref: str = "strange"
) -> None:
    cause = Cause.NONE if status == S.COMPLETED else Cause.REFUSED
    event = CarrierEvent(ref=ref, number=number, status=status, cause=cause, text=text, at=timezone.now())
    delivery_reports.apply_events("smsc", [event])


def status(delivery: Delivery) -> int:
    return Delivery.objects.values_list("status", flat=True).get(pk=delivery.pk)


def configure(settings: Any, **options: Any) -> None:
    settings.CARRIERS["smsc"]["OPTIONS"] |= options
    get_carrier.cache_clear()


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


def claimed_resend(trunk: Trunk, *, to: str, text: str = "Namaste") -> Submission:
    """Create a resend as `look_up_unknown` and the next claim leave it."""
    delivery = make_delivery(
        trunk=trunk,
        to=to,
        text=text,
        status=S.SUBMITTING,
        attempts=2,
        claimed_at=timezone.now(),
        pinned_since=timezone.now() - timedelta(seconds=200),
    )
    return sms(delivery.pk, to=to, text=text, attempt=2)


def accept_without_response(it: OpenCarrier, far: SmscProcess, to: str, text: str) -> None:
    """Let the SMSC accept an SMS for a phone that is switched off, and lose its response."""
    it.carrier.submit([sms(1, to=to, text=text)])
    parts = it.carrier.reports_on(text)
    it.wait(lambda: len(far.entries) == parts)


class TestResend:
    @pytest.mark.parametrize("text", ["Namaste", LONG], ids=["short", "long"])
    def test_resend_first_cancels_what_the_smsc_holds_for_a_phone_that_is_off(
        self, trunk: Trunk, tmp_path: Path, text: str
    ) -> None:
        with smsc(tmp_path, takes_back="cancel") as far, carrier(far.port, source="31001") as it:
            accept_without_response(it, far, OFF_AND_UNANSWERED, text)
            resend = claimed_resend(trunk, to=OFF_AND_UNANSWERED, text=text)
            result = it.send(resend)[resend.key]
            assert isinstance(result, Accepted)
            parts = it.carrier.reports_on(text)
            assert len(far.entries) == 2 * parts
            assert far.octets() == {OFF_AND_UNANSWERED[1:]: [encoded(text)]}
            far.tell(switch_on=True)
            it.wait(lambda: len(it.events()) >= parts)
            assert {event.ref for event in it.events()} == {*(result.parts or (result.ref,))}
            assert {event.status for event in it.events()} == {S.COMPLETED}
            assert far.shown() == {OFF_AND_UNANSWERED[1:]: parts}

    def test_resend_is_sent_if_there_is_nothing_to_cancel(self, trunk: Trunk, tmp_path: Path) -> None:
        with smsc(tmp_path, takes_back="cancel") as far, carrier(far.port) as it:
            resend = claimed_resend(trunk, to="+9779841000001", text=LONG)
            assert isinstance(it.send(resend)[resend.key], Accepted)
            assert far.octets() == {"9779841000001": [encoded(LONG)]}

    def test_short_resend_replaces_if_cancel_is_not_supported(self, trunk: Trunk, tmp_path: Path) -> None:
        with smsc(tmp_path, takes_back="replace") as far, carrier(far.port, source="31001") as it:
            accept_without_response(it, far, OFF_AND_UNANSWERED, "Namaste")
            resend = claimed_resend(trunk, to=OFF_AND_UNANSWERED)
            assert isinstance(it.send(resend)[resend.key], Accepted)
            assert [len(far.entries), len(far.journal_entries("replaced")), len(far.deliverable())] == [
                2,
                1,
                1,
            ]

    def test_long_resend_is_not_sent_if_cancel_is_not_supported(self, trunk: Trunk, tmp_path: Path) -> None:
        with smsc(tmp_path, takes_back="replace") as far, carrier(far.port) as it:
            resend = claimed_resend(trunk, to=OFF, text=LONG)
            assert it.send(resend)[resend.key] == Unknown(
                key=resend.key,
                text=NOT_SENT_AGAIN + "ESME_RINVCMDID (0x03).",
            )
            assert far.entries == []

    def test_long_resend_is_sent_without_cancel_with_repeat_always(
        self, trunk: Trunk, tmp_path: Path
    ) -> None:
        with smsc(tmp_path, takes_back="replace") as far, carrier(far.port, repeat="always") as it:
            resend = claimed_resend(trunk, to=OFF, text=LONG)
            assert isinstance(it.send(resend)[resend.key], Accepted)

    @pytest.mark.parametrize("repeat", ["safe", "always"])
    @pytest.mark.parametrize("status", ["58", "14"], ids=["throttled", "queue full"])
    def test_resend_is_retried_later_if_its_cancel_is_throttled(
        self, trunk: Trunk, tmp_path: Path, status: str, repeat: str
    ) -> None:
        with smsc(tmp_path, takes_back=f"says={status}") as far, carrier(far.port, repeat=repeat) as it:
            resend = claimed_resend(trunk, to=OFF)
            assert isinstance(it.send(resend)[resend.key], Later)
            assert it.carrier._pace.held_until > 0, "the trunk pauses"
            assert far.entries == []

    def test_resend_is_not_sent_if_its_cancel_gets_no_response(self, trunk: Trunk, tmp_path: Path) -> None:
        with smsc(tmp_path, takes_back="silence") as far, carrier(far.port, answer_seconds=1) as it:
            resend = claimed_resend(trunk, to=OFF)
            assert it.send(resend)[resend.key] == Unknown(key=resend.key, text=NOT_SENT_AGAIN + "none.")
            assert far.entries == []

    def test_resend_is_sent_without_cancel_response_with_repeat_always(
        self, trunk: Trunk, tmp_path: Path
    ) -> None:
        options = {"answer_seconds": 1, "repeat": "always"}
        with smsc(tmp_path, takes_back="silence") as far, carrier(far.port, **options) as it:
            resend = claimed_resend(trunk, to="+9779841000001")
            assert isinstance(it.send(resend)[resend.key], Accepted)

    @pytest.mark.parametrize(
        ("status", "result"), [("02", Accepted), ("03", Accepted), ("0C", Accepted), ("08", Unknown)]
    )
    def test_short_resend_follows_only_if_cancel_is_not_supported(
        self, trunk: Trunk, tmp_path: Path, status: str, result: type
    ) -> None:
        with smsc(tmp_path, takes_back=f"says={status}") as far, carrier(far.port) as it:
            resend = claimed_resend(trunk, to="+9779841000001")
            assert isinstance(it.send(resend)[resend.key], result)

    def test_resends_keep_to_the_window_and_the_pace(
        self, trunk: Trunk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slots: list[float] = []
        left: list[float] = []
        outstanding: list[int] = []
        take_slot = Pace.slot

        def logged_slot(pace: Pace, *, now: float) -> float:
            wait = take_slot(pace, now=now)
            slots.append(pace._next_slot - 0.01)
            return wait

        def logged(write: Any) -> Any:
            def call(window: Window, *arguments: Any) -> None:
                left.append(time.monotonic())
                write(window, *arguments)
                outstanding.append(window.outstanding)

            return call

        monkeypatch.setattr(Pace, "slot", logged_slot)
        for name in ("_put", "_put_cancel"):
            monkeypatch.setattr(Window, name, logged(getattr(Window, name)))
        options = {"window": 2, "parts_per_second": 100}
        with smsc(tmp_path, takes_back="cancel") as far, carrier(far.port, **options) as it:
            resend = [claimed_resend(trunk, to=f"+977984100000{n}", text=LONG) for n in range(8)]
            results = it.send(*resend)
            assert {type(result) for result in results.values()} == {Accepted}
            parts = it.carrier.reports_on(LONG)
            assert far.octets() == {one.to[1:]: [encoded(LONG)] for one in resend}
        assert len(far.entries) == 8 * parts
        assert len(slots) == len(left) == 8 * (1 + parts)
        assert max(outstanding) <= 2
        assert all(at >= slot - 0.001 for at, slot in zip(left, slots, strict=True)), "none before its slot"

    def test_nothing_is_written_if_the_database_is_unavailable(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def away(ids: list[int]) -> None:
            raise OperationalError("gone")

        monkeypatch.setattr(resends, "pending", away)
        with smsc(tmp_path) as far, carrier(far.port) as it:
            with pytest.raises(Unreachable, match="The database is unavailable"):
                it.carrier.submit([sms(1), sms(2, attempt=2)])
            assert far.entries == []

    def test_old_cancellations_are_forgotten(self) -> None:
        it = SmppCarrier(alias="smsc", host="127.0.0.1", system_id="iris")
        it._cancelled = dict.fromkeys(["+9779841000001", "+9779841000002"], time.monotonic() - 700)
        it._note_cancel("+9779841000001")
        assert [*it._cancelled] == ["+9779841000001"]

    def test_a_resend_whose_response_is_lost_too_is_said_to_have_left(
        self, trunk: Trunk, tmp_path: Path
    ) -> None:
        with smsc(tmp_path, takes_back="cancel") as far, carrier(far.port, source="31001") as it:
            resend = claimed_resend(trunk, to=OFF_AND_UNANSWERED, text=LONG)
            it.carrier.submit([resend])
            it.wait(lambda: len(far.entries) == it.carrier.reports_on(LONG))
            far.kill()
            it.wait(it.results)
            result = it.results()[resend.key]
            assert isinstance(result, Unknown)
            assert result.resent

    def test_a_resend_that_could_not_be_cancelled_is_not_said_to_have_left(
        self, trunk: Trunk, tmp_path: Path
    ) -> None:
        with smsc(tmp_path, takes_back="replace") as far, carrier(far.port) as it:
            resend = claimed_resend(trunk, to=OFF, text=LONG)
            result = it.send(resend)[resend.key]
        assert isinstance(result, Unknown)
        assert not result.resent

    def test_retry_of_a_refused_sms_cancels_nothing(self, trunk: Trunk, tmp_path: Path) -> None:
        with smsc(tmp_path, takes_back="cancel replace") as far, carrier(far.port, source="31001") as it:
            it.send(sms(1, to=OFF))
            it.send(sms(make_delivery(trunk=trunk, to=OFF).pk, to=OFF, attempt=2))
            assert len(far.deliverable()) == 2

    def test_resend_is_skipped_if_a_receipt_came_meanwhile(self, trunk: Trunk, tmp_path: Path) -> None:
        with smsc(tmp_path) as far, carrier(far.port) as it:
            resend = claimed_resend(trunk, to="+9779841000001")
            report("+9779841000001")
            assert it.carrier.submit([resend]) == [Pending(key=resend.key)]
            (event,) = it.events()
            assert (event.key, event.status) == (resend.key, S.COMPLETED)
            assert far.entries == []

    def test_deleted_receipt_does_not_stop_a_resend(self, trunk: Trunk, tmp_path: Path) -> None:
        with smsc(tmp_path) as far, carrier(far.port) as it:
            resend = claimed_resend(trunk, to="+9779841000001")
            report("+9779841000001", S.FAILED, "DELETED")
            assert isinstance(it.send(resend)[resend.key], Accepted)
            assert len(far.entries) == 1

    def test_resend_waits_for_another_sms_to_the_number(self, trunk: Trunk, tmp_path: Path) -> None:
        with smsc(tmp_path) as far, carrier(far.port) as it:
            resend = claimed_resend(trunk, to=OFF)
            make_delivery(trunk=trunk, to=OFF, status=S.SUBMITTED)
            assert isinstance(it.send(resend)[resend.key], Later)
            assert far.entries == []

    def test_resend_is_queued_again_if_the_connection_ends_during_its_cancel(
        self, trunk: Trunk, tmp_path: Path
    ) -> None:
        with smsc(tmp_path, takes_back="cancel silence") as far, carrier(far.port) as it:
            resend = claimed_resend(trunk, to=OFF)
            it.carrier.submit([resend])
            it.wait(lambda: far.journal_entries("asked to cancel"))
            far.kill()
            it.wait(it.results)
            assert isinstance(it.results()[resend.key], Later)


def encoded(text: str) -> bytes:
    return text.encode("utf-16-be") if "क" in text else text.encode()
