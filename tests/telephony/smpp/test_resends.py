"""Test how SMS are resent after their submit responses were lost, and that nobody gets one twice."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError

from telephony.carriers.base import Accepted, Later, Pending, Unknown
from telephony.carriers.errors import Unreachable
from telephony.carriers.smpp import SmppCarrier, resends
from telephony.carriers.smpp import carrier as smpp_carrier
from telephony.carriers.smpp.pace import Pace
from telephony.carriers.smpp.window import Window
from telephony.models import DeliveryStatus, Trunk
from tests.factories import make_delivery
from tests.telephony.smpp.carriers import OpenCarrier, carrier, sms
from tests.telephony.smpp.lost_responses import LONG, OFF, claimed_resend, report
from tests.telephony.smpp.processes import SmscProcess, smsc

S = DeliveryStatus
OFF_AND_UNANSWERED = "+9779841009925"
NOT_SENT_AGAIN = (
    "The SMSC may have this SMS from an earlier attempt, so it was not sent again. "
    "Response to the cancellation: "
)


@pytest.fixture(autouse=True)
def _short_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait at close for responses that never come."""
    monkeypatch.setattr(smpp_carrier, "CLOSE_SECONDS", 1.5)


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
