"""Test a session with an SMSC in its own process: submissions, responses, receipts and broken connections."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from telephony.carriers.base import Accepted, Later, Rejected, Unknown
from telephony.carriers.errors import Throttled, Unreachable
from telephony.carriers.refusals import MAX_REFUSALS_IN_A_ROW, Meaning
from telephony.carriers.smpp import carrier as smpp_carrier
from telephony.carriers.smpp import pace as smpp_pace
from telephony.carriers.smpp import window as smpp_window
from telephony.carriers.smpp.message import OutgoingSms
from telephony.carriers.smpp.pace import Pace
from telephony.carriers.smpp.window import Window
from telephony.models import Cause, DeliveryStatus
from telephony.segments import segments_of
from tests.telephony.smpp.carriers import OpenCarrier, carrier, sms
from tests.telephony.smpp.processes import SmscProcess, smsc

LONG = "नमस्कार, भोलि बिहान दश बजे वडा कार्यालयमा बैठक हुनेछ। सबै जनालाई उपस्थित हुन अनुरोध छ। 🙏 " * 4


@pytest.fixture
def running(tmp_path: Path) -> Iterator[SmscProcess]:
    with smsc(tmp_path) as process:
        yield process


@pytest.fixture
def long_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold the pace after a throttle until the test ends, however slow the machine is."""
    monkeypatch.setattr(smpp_pace, "HOLD_SECONDS", 60.0)


class TestSubmit:
    def test_short_sms_is_sent_in_the_gsm_alphabet(self, running: SmscProcess) -> None:
        with carrier(running.port, source="IRIS") as it:
            result = it.send(sms(1, to="+9779841000001", text="Hi {name} @ 5€"))["1"]
            assert result == Accepted(key="1", ref="1")
        (entry,) = running.entries
        assert bytes.fromhex(entry["body"]) == b"Hi \x1b(name\x1b) \x00 5\x1be"
        assert (entry["to"], entry["from"], entry["coding"], entry["esm_class"]) == (
            "9779841000001",
            "IRIS",
            0,
            0,
        )
        assert entry["addresses"] == [5, 0, 1, 1]
        assert entry["registered"] == 1

    @pytest.mark.parametrize(
        "text",
        [LONG, "क" * 70, "क" * 71, "x" * 160, "x" * 152 + "€" * 3, "x" * 306],
        ids=lambda text: len(text),
    )
    def test_long_sms_is_reassembled_byte_for_byte(self, running: SmscProcess, text: str) -> None:
        with carrier(running.port) as it:
            it.send(sms(300, to="+9779841000001", text=text))
        octets = (
            text.encode("utf-16-be") if "क" in text or "न" in text else text.replace("€", "\x1be").encode()
        )
        assert running.octets() == {"9779841000001": [octets]}

    def test_long_sms_is_sent_as_one_pdu_with_payload_concatenation(self, running: SmscProcess) -> None:
        with carrier(running.port, concatenation="payload") as it:
            it.send(sms(1, to="+9779841000001", text=LONG))
        (entry,) = running.entries
        assert (entry["body"], entry["esm_class"], entry["coding"]) == ("", 0, 8)
        assert running.octets() == {"9779841000001": [LONG.encode("utf-16-be")]}

    def test_addresses_and_receipts_follow_the_options(self, running: SmscProcess) -> None:
        options = {"dest_ton": 2, "dest_npi": 8, "source_ton": 3, "source_npi": 9, "receipts": False}
        with carrier(running.port, **options) as it:
            result = it.send(sms(1, to="+9779841000001", caller="9801000000"))["1"]
            assert result == Accepted(key="1", ref="1", completes=True)
        (entry,) = running.entries
        assert (entry["to"], entry["from"]) == ("9841000001", "9779801000000")
        assert entry["addresses"] == [3, 9, 2, 8]
        assert entry["registered"] == 0

    def test_number_abroad_keeps_its_country_code(self, running: SmscProcess) -> None:
        with carrier(running.port, dest_ton=2) as it:
            it.send(sms(1, to="+919841000001"), sms(2, to="+9779841000001"))
        assert {(entry["to"], entry["addresses"][2]) for entry in running.entries} == {
            ("919841000001", 1),
            ("9841000001", 2),
        }

    def test_sms_past_its_validity_is_not_written(self, running: SmscProcess) -> None:
        with carrier(running.port) as it:
            assert isinstance(it.send(sms(1, seconds=-1))["1"], Later)
        assert running.entries == []


class TestResponses:
    def test_invalid_number_is_rejected(self, running: SmscProcess) -> None:
        with carrier(running.port) as it:
            result = it.send(sms(1, to="+9779841009917"))["1"]
        assert result == Rejected(key="1", cause=Cause.INVALID, text="ESME_RINVDSTADR (0x0B)")

    @pytest.mark.django_db
    def test_temporary_error_is_retried_four_times(self, running: SmscProcess) -> None:
        def results(it: OpenCarrier, *keys: int) -> list[type]:
            """Submit SMS that were claimed often before, because the trunk rested. Others are accepted in between."""
            found = []
            for key in keys:
                it.said = []
                found.append(type(it.send(sms(key, to="+9779841009922", attempt=7))[str(key)]))
                it.send(sms(100))
            return found

        with carrier(running.port) as it:
            assert results(it, 1, 1, 1, 1, 2, 1) == [Later] * 5 + [Rejected]
            assert results(it, 1) == [Later], "the count starts again"

    def test_trunk_rests_if_the_smsc_has_errors_for_all(self, running: SmscProcess) -> None:
        with carrier(running.port, window=5) as it:
            enough = MAX_REFUSALS_IN_A_ROW[Meaning.BUSY]
            batch = [sms(key, to=f"+97798{4100 + key}9922") for key in range(enough + 20)]
            answers = it.send(*batch)
            assert {type(answer) for answer in answers.values()} == {Later}
            tried = [key for key, answer in answers.items() if "RSYSERR" in getattr(answer, "text", "")]
            assert len(tried) == enough
            assert "but the SMSC accepts nothing that is submitted" in it.carrier.status()
            with pytest.raises(
                Throttled,
                match=r"The SMSC cannot accept messages at present. Delivery \d+: ESME_RSYSERR \(0x08\)",
            ):
                it.carrier.submit([sms(100)])

    def test_missing_response_is_unknown_and_a_late_one_still_counts(self, running: SmscProcess) -> None:
        running.tell(holds=True)
        with carrier(running.port, answer_seconds=1) as it:
            assert isinstance(it.send(sms(1))["1"], Unknown)
            running.tell(holds=False)
            it.wait(lambda: isinstance(it.results()["1"], Accepted))

    def test_throttled_parts_are_sent_again(self, running: SmscProcess) -> None:
        with carrier(running.port) as it:
            result = it.send(sms(1, to="+9779841009923", text=LONG))["1"]
        assert isinstance(result, Accepted)
        assert running.octets() == {"9779841009923": [LONG.encode("utf-16-be")]}

    def test_throttled_trunk_slows_down(self, tmp_path: Path, long_hold: None) -> None:
        with smsc(tmp_path, room=50) as process, carrier(process.port, window=10) as it:
            answers = it.send(*[sms(key) for key in range(200)])
            taken = [key for key, result in answers.items() if isinstance(result, Accepted)]
            later = [result for result in answers.values() if isinstance(result, Later)]
            assert len(taken) + len(later) == 200
            assert len(taken) == len(process.entries) == 50
            # At most the window had been sent before the throttle.
            assert 1 <= len(process.journal_entries("throttled")) <= 10
            pace = it.carrier.pace()
            assert pace is not None
            assert pace <= 50
            with pytest.raises(Throttled):
                it.carrier.submit([sms(300)])
            assert "slowed to about" in it.carrier.status()

    def test_throttled_long_sms_wait_for_the_hold_and_are_completed(
        self, tmp_path: Path, long_hold: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        held: list[bool] = []  # one entry for each attempt to write parts again
        put, repeat = Window._put, Window._repeat

        async def logged_repeat(window: Window) -> None:
            held.append(window.hooks.held())
            await repeat(window)

        def logged_put(window: Window, message: OutgoingSms, part: int, buffer: list[bytes]) -> None:
            assert message.statuses[part] is None or not window.hooks.held()
            put(window, message, part, buffer)

        monkeypatch.setattr(Window, "_repeat", logged_repeat)
        monkeypatch.setattr(Window, "_put", logged_put)
        monkeypatch.setattr(smpp_window, "RETRY_SECONDS", 0.0)
        with (
            smsc(tmp_path, room=5 * segments_of(LONG) + 1) as process,
            carrier(process.port, window=20) as it,
        ):
            batch = [sms(key, text=LONG) for key in range(40)]
            it.carrier.submit(batch)
            it.wait(lambda: process.journal_entries("throttled"))
            process.tell(room=None)
            it.wait(lambda: len(held) > 1)
            assert all(held)
            it.carrier._pace.held_until = 0.0
            it.wait(lambda: len(it.results()) == 40)
            answers = it.results()
            assert Counter(map(type, answers.values()))[Accepted] >= 6
            assert {type(answer) for answer in answers.values()} == {Accepted, Later}
            assert it.carrier._pace._throttled_at > 0
            taken = {
                one.to[1:] for key in answers if isinstance(answers[key], Accepted) for one in [sms(int(key))]
            }
        assert set(process.octets()) == taken

    def test_sms_not_written_before_close_are_returned_as_later(self, running: SmscProcess) -> None:
        with carrier(running.port, parts_per_second=2) as it:
            it.carrier.submit([sms(key) for key in range(11)])
            it.wait(lambda: running.entries)
        assert Counter(map(type, it.results().values())) == {
            Accepted: len(running.entries),
            Later: 11 - len(running.entries),
        }

    def test_parts_are_sent_at_the_configured_pace(
        self, running: SmscProcess, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slots: list[float] = []
        waits: list[float] = []
        left: list[float] = []
        take_slot, put = Pace.slot, Window._put

        def logged_slot(pace: Pace, *, now: float) -> float:
            waits.append(take_slot(pace, now=now))
            slots.append(pace._next_slot - 0.01)
            return waits[-1]

        def logged_put(window: Window, *arguments: Any) -> None:
            left.append(time.monotonic())
            put(window, *arguments)

        monkeypatch.setattr(Pace, "slot", logged_slot)
        monkeypatch.setattr(Window, "_put", logged_put)
        with carrier(running.port, parts_per_second=100) as it:
            it.send(*[sms(key, text=LONG) for key in range(20)])
            assert it.carrier.pace() == pytest.approx(100 / segments_of(LONG))
        assert len(running.entries) == len(left) == len(slots) == 20 * segments_of(LONG)
        assert all(at >= slot - 0.001 for at, slot in zip(left, slots, strict=True)), "none before its slot"
        steps = [later - before for before, later in pairwise(slots)]
        assert min(steps) > 0.01 - 1e-6
        # A part that had to wait is on time. Only a stalled machine loses slots.
        assert all(step < 0.01 + 1e-6 for step, wait in zip(steps, waits[1:], strict=True) if wait)


class TestReceipts:
    @pytest.mark.parametrize(
        ("ids", "receipts", "option"),
        [
            ("plain", "text", "same"),
            ("zeros", "text", "same"),
            ("hex-decimal", "text", "hex-decimal"),
            ("hex-decimal", "tlv", "hex-decimal"),
            ("decimal-hex", "text", "decimal-hex"),
        ],
    )
    def test_receipt_ids_match_the_response_ids(
        self, tmp_path: Path, ids: str, receipts: str, option: str
    ) -> None:
        with (
            smsc(tmp_path, ids=ids, receipts=receipts) as process,
            carrier(process.port, message_ids=option) as it,
        ):
            answers = it.send(*[sms(key) for key in range(1, 31)])
            it.wait(lambda: len(it.events()) == 30)
        refs = [answer.ref for answer in answers.values() if isinstance(answer, Accepted)]
        assert sorted(refs) == sorted(event.ref for event in it.events())
        assert {event.status for event in it.events()} == {DeliveryStatus.COMPLETED}
        assert {event.number for event in it.events()} == {sms(key).to for key in range(1, 31)}

    def test_final_state_maps_to_its_cause(self, running: SmscProcess) -> None:
        ends = {"9911": Cause.REFUSED, "9912": Cause.REFUSED, "9913": Cause.EXPIRED, "9914": Cause.REFUSED}
        with carrier(running.port) as it:
            it.send(*[sms(number, to=f"+977984100{fate}") for number, fate in enumerate([*ends, "9915"])])
            it.wait(lambda: len(running.journal_entries("done")) == 5)
            undecided = [event for event in it.events() if event.status == DeliveryStatus.SUBMITTED]
            assert [(event.number[-4:], event.text[:9]) for event in undecided] == [("9915", "UNKNOWN (")]
            failed = [event for event in it.events() if event.status == DeliveryStatus.FAILED]
            assert {event.number[-4:]: event.cause for event in failed} == ends

    def test_early_and_duplicate_receipts_are_passed_on(self, running: SmscProcess) -> None:
        with carrier(running.port) as it:
            first = it.send(sms(1, to="+9779841009919"))["1"]
            assert isinstance(first, Accepted)
            (event,) = it.events()
            assert event.ref == first.ref
            assert it.said == [event, first]
            twice = it.send(sms(2, to="+9779841009916"))["2"]
            it.wait(lambda: len(it.events()) == 3)
            assert isinstance(twice, Accepted)
            assert [event.ref for event in it.events()] == [first.ref, twice.ref, twice.ref]

    def test_receipt_is_acknowledged_only_after_it_is_stored(self, running: SmscProcess) -> None:
        with carrier(running.port) as it:
            it.stored = False
            it.send(sms(1))
            it.wait(it.events)
            # At the response to the second SMS, the SMSC has read everything that was sent before that.
            it.send(sms(2))
            it.send(sms(3))
            assert running.journal_entries("done") == []
            it.store()
            it.wait(lambda: running.journal_entries("done"))

    def test_inbound_sms_is_passed_on_as_text(self, running: SmscProcess) -> None:
        with carrier(running.port) as it:
            it.send(sms(1))
            running.send("9779841000001", "रोक्नुहोस्".encode("utf-16-be"))
            it.wait(it.inbound)
            (message,) = it.inbound()
            assert (message.sender, message.to, message.text) == (
                "+9779841000001",
                "31001",
                "रोक्नुहोस्",
            )


class TestConnection:
    def test_broken_connection_makes_written_sms_unknown_and_is_rebound(
        self, running: SmscProcess, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(smpp_carrier, "BIND_SECONDS", 0.2)
        with carrier(running.port, window=5, reconnect_seconds=1) as it:
            it.send(sms(1))
            running.tell(holds=True)
            submissions = [sms(key) for key in range(10, 15)]
            it.carrier.submit(submissions)
            it.wait(lambda: len(running.journal_entries("received")) == 5)
            running.kill()
            it.wait(lambda: len(it.results()) == 6)
            assert {type(it.results()[one.key]) for one in submissions} == {Unknown}
            it.wait(lambda: it.carrier.status().startswith("not bound to 127.0.0.1"))
            with pytest.raises(Unreachable):
                it.carrier.submit([sms(20)])
            running.start()
            it.wait(lambda: "not bound" not in it.carrier.status())
            assert isinstance(it.send(sms(21))["21"], Accepted)

    def test_close_waits_for_responses_and_unbinds(self, running: SmscProcess) -> None:
        running.tell(answer_delay=0.5)
        with carrier(running.port) as it:
            it.carrier.submit([sms(1)])
        assert isinstance(it.results()["1"], Accepted)
        it.wait(lambda: running.journal_entries("unbound"))

    def test_link_rebinds_after_the_smsc_unbinds(self, running: SmscProcess) -> None:
        with carrier(running.port) as it:
            it.send(sms(1))
            running.tell(unbind=True)
            it.wait(lambda: len(running.journal_entries("bound")) == 2)
            assert isinstance(it.send(sms(2))["2"], Accepted)
