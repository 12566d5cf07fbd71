"""Test the parts that need no connection: options, receipts, encodings and the pace."""

from __future__ import annotations

import random
from typing import Any

import pytest
import smpp34
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError

from telephony.carriers.base import CarrierEvent, InboundSms
from telephony.carriers.smpp import SmppCarrier, charsets, encoding
from telephony.carriers.smpp.inbound import InboundReader
from telephony.carriers.smpp.options import as_table
from telephony.carriers.smpp.pace import Pace
from telephony.carriers.smpp.protocol import PduReader
from telephony.carriers.smpp.receipts import MessageIdFormat, Receipt, read
from telephony.engine import delivery_reports, event_writer
from telephony.models import DeliveryStatus, InboundMessage
from telephony.segments import GSM_BASIC, GSM_EXTENSION, segments_of
from tests.live import ROOT
from tests.telephony.smpp.carriers import sms

TEXT = "id:{} sub:001 dlvrd:001 submit date:2611241200 done date:2611241201 stat:{} err:{} Text:stat:FALSE"


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({}, "host must be text; system_id must be text"),
            ({"host": "h", "system_id": "i", "hots": "x"}, "has no option hots"),
            ({"host": "h", "system_id": "i" * 16}, "system_id may have at most 15"),
            ({"host": "h", "system_id": "i", "password": "123456789"}, "password may have at most 8"),
            ({"host": "h", "system_id": "i", "port": "2775"}, "port must be a whole number from 1 to 65535"),
            ({"host": "h", "system_id": "i", "window": True}, "window must be a whole number"),
            ({"host": "h", "system_id": "i", "receipts": 1}, "receipts must be true or false"),
            ({"host": "h", "system_id": "i", "concatenation": "sar"}, "must be one of udh, payload"),
            ({"host": "h", "system_id": "i", "repeat": "twice"}, "must be one of safe, always, never"),
            ({"host": "h", "system_id": "i", "source": "इरिस"}, "source must be a number"),
        ],
    )
    def test_invalid_option_is_refused_with_an_explanation(self, options: dict[str, Any], words: str) -> None:
        with pytest.raises(ImproperlyConfigured, match=words):
            SmppCarrier(alias="smsc", **options)

    def test_options_table_is_in_the_docs(self) -> None:
        assert as_table() in (ROOT / "docs" / "smpp.md").read_text()

    def test_report_timeout_covers_the_validity_period(self, settings: Any) -> None:
        settings.IRIS_REPORT_TIMEOUT_SECONDS = 123
        options = {"alias": "smsc", "host": "h", "system_id": "i"}
        assert SmppCarrier(**options).report_timeout() == 123
        assert SmppCarrier(**options, validity_seconds=7200).report_timeout() == 7800


class TestReceiptParsing:
    def read(self, text: str = "", **fields: Any) -> Receipt | None:
        defaults: dict[str, Any] = {
            "esm_class": 4,
            "message_id": None,
            "state": None,
            "ids": MessageIdFormat.SAME,
            "tlv_as_text": False,
        }
        return read(octets=text.encode("latin-1"), **{**defaults, **fields})

    @pytest.mark.parametrize(
        ("written", "ids", "ref"),
        [
            ("24", MessageIdFormat.SAME, "24"),
            ("000024", MessageIdFormat.SAME, "24"),
            ("0", MessageIdFormat.SAME, "0"),
            ("0A1b", MessageIdFormat.SAME, "a1b"),
            ("c1d2-0Xy", MessageIdFormat.SAME, "c1d2-0xy"),
            ("0000006699", MessageIdFormat.HEX_THEN_DECIMAL, "6699"),
            ("1A2B", MessageIdFormat.DECIMAL_THEN_HEX, "6699"),
        ],
    )
    def test_receipt_id_is_normalized(self, written: str, ids: MessageIdFormat, ref: str) -> None:
        assert self.read(TEXT.format(written, "DELIVRD", "000"), ids=ids) == Receipt(ref, "DELIVRD", "000")

    def test_response_id_is_normalized(self) -> None:
        assert MessageIdFormat.HEX_THEN_DECIMAL.from_response("00001A2B") == "6699"
        assert MessageIdFormat.DECIMAL_THEN_HEX.from_response("0006699") == "6699"
        assert MessageIdFormat.SAME.from_response("00A1") == "a1"

    def test_tlvs_take_precedence_over_the_text(self) -> None:
        text = TEXT.format("1", "ENROUTE", "")
        assert self.read(text, message_id="1A2B", state=5, ids=MessageIdFormat.HEX_THEN_DECIMAL) == Receipt(
            "6699", "UNDELIV", ""
        )
        as_text = self.read(
            "", message_id="6699", state=2, ids=MessageIdFormat.HEX_THEN_DECIMAL, tlv_as_text=True
        )
        assert as_text == Receipt("6699", "DELIVRD", "")

    def test_nonstandard_receipts_are_parsed(self) -> None:
        assert self.read("ID:7 STAT:delivrd") == Receipt("7", "DELIVRD", "")
        assert self.read("id:7 stat:DELIVRD err:1", esm_class=0) == Receipt("7", "DELIVRD", "1")
        assert self.read("nonsense") == Receipt("", "", "")

    @pytest.mark.parametrize(
        ("word", "state"), [("DELIVERED", "DELIVRD"), ("rejected", "REJECTD"), ("UNDELIVERABLE", "UNDELIV")]
    )
    def test_state_synonyms_are_recognized(self, word: str, state: str) -> None:
        assert self.read(f"id:1 stat:{word}") == Receipt("1", state, "")

    def test_ordinary_sms_is_not_a_receipt(self) -> None:
        assert self.read("My id: 7, what stat: is that?", esm_class=0) is None
        assert self.read("STOP", esm_class=0) is None

    def test_intermediate_state_is_not_final(self) -> None:
        for state in ("ENROUTE", "ACCEPTD", "UNKNOWN", "SKIPPED"):
            receipt = self.read(f"id:1 stat:{state}")
            assert receipt is not None
            assert receipt.final_status is None


class TestInboundReader:
    def read(self, text: bytes, **fields: Any) -> Any:
        settings = {"message_ids": "same", "tlv_ids_as_text": False, "states": {}}
        fields = {"source_addr_ton": 1, "esm_class": 4, **fields}
        pdu = smpp34.DeliverSm("9779841000001", "31001", text, **fields)
        (found,) = PduReader().feed(pdu.encode())
        return InboundReader("smsc", settings).item(found)

    def test_receipt_id_is_read_as_ascii_not_as_gsm(self) -> None:
        event = self.read(b"id:ab_12@$[x] stat:DELIVRD err:000 text:")
        assert (event.ref, event.number, event.status) == (
            "ab_12@$[x]",
            "+9779841000001",
            DeliveryStatus.COMPLETED,
        )

    @pytest.mark.parametrize("state", ["ENROUTE", "ACCEPTD", "UNKNOWN"])
    def test_intermediate_receipt_shows_that_the_sms_was_accepted(self, state: str) -> None:
        event = self.read(f"id:7 stat:{state} err:003".encode())
        assert (event.ref, event.status) == ("7", DeliveryStatus.SUBMITTED)
        assert event.text.startswith(f"{state} (")

    def test_receipt_without_a_state_is_ignored(self) -> None:
        assert self.read(b"nonsense") is None

    def test_log_of_an_unreadable_message_has_no_text_and_no_number(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert self.read(b"Confidential") is None
        assert "a receipt without an id and without a state" in caplog.text
        for hidden in ("Confidential", "9841000001"):
            assert hidden not in caplog.text
            assert hidden.encode().hex() not in caplog.text


class TestEncoding:
    def test_gsm_alphabet_round_trips(self) -> None:
        octets, coding = encoding.encode(GSM_BASIC + GSM_EXTENSION)
        assert coding == charsets.GSM
        assert len(octets) == len(GSM_BASIC) + 2 * len(GSM_EXTENSION)
        assert sorted({*octets}) == list(range(128))
        assert encoding.decode(octets, data_coding=0, esm_class=0) == GSM_BASIC + GSM_EXTENSION

    def test_random_texts_round_trip_in_as_many_parts_as_are_charged(self) -> None:
        chance = random.Random(1)
        for alphabet in (GSM_BASIC + GSM_EXTENSION, "कखगघ ।🙏abc€"):
            for _ in range(60):
                text = "".join(chance.choices(alphabet, k=chance.randint(1, 500)))
                parts, coding = encoding.parts(text, reference=300)
                assert len(parts) == segments_of(text)
                assert all(len(part) <= (160 if coding == charsets.GSM else 140) for part in parts)
                esm_class = encoding.HAS_HEADER if len(parts) > 1 else 0
                assert text == "".join(
                    encoding.decode(part, data_coding=coding, esm_class=esm_class) for part in parts
                )

    def test_other_data_codings_are_decoded(self) -> None:
        assert encoding.decode("नेपाल".encode("utf-16-be"), data_coding=8, esm_class=0) == "नेपाल"
        assert encoding.decode(b"caf\xe9", data_coding=3, esm_class=0) == "café"
        assert encoding.decode(b"STOP", data_coding=0xF2, esm_class=0) == "STOP"
        assert encoding.decode(b"STOP", data_coding=0x10, esm_class=0) == "STOP"
        assert encoding.decode("रोक".encode("utf-16-be"), data_coding=0x19, esm_class=0) == "रोक"
        assert encoding.decode(b"\x01\x02", data_coding=4, esm_class=0) == "0102"
        assert encoding.decode(b"", data_coding=0, esm_class=0x40) == ""

    def test_lone_surrogate_is_replaced(self) -> None:
        octets, _ = encoding.encode("नमस्ते \ud83d")
        assert encoding.decode(octets, data_coding=8, esm_class=0) == "नमस्ते ?"


class TestPace:
    def test_pace_falls_when_throttled_and_rises_again(self) -> None:
        pace = Pace()
        for tenth in range(100, 120):
            pace.note_accepted(20, now=tenth / 10)
        assert pace.limit is None
        pace.note_throttled(now=12.0)
        low = pace.limit
        assert low == pytest.approx(170, rel=0.1)
        pace.note_throttled(now=12.1)
        assert pace.limit == low, "throttles during the hold count once"
        for second in range(13, 17):
            pace.note_accepted(10, now=second)
        assert pace.limit is not None
        assert low < pace.limit < 1.3 * low
        for second in range(17, 60):
            pace.note_accepted(10, now=second)
        assert pace.limit is None

    def test_first_throttle_of_an_idle_trunk_only_pauses_it(self) -> None:
        pace = Pace()
        for second in range(100, 3700, 60):
            pace.note_accepted(1, now=second)
        pace.note_throttled(now=3700.0)
        assert pace.limit is None
        assert pace.held_until > 3700.0

    def test_burst_long_ago_is_no_measure(self) -> None:
        pace = Pace()
        pace.note_accepted(1, now=100.0)
        pace.note_accepted(1000, now=100.5)
        pace.note_throttled(now=4000.0)
        assert pace.limit is None

    def test_second_throttle_slows_down_to_what_was_accepted_since(self) -> None:
        pace = Pace()
        pace.note_throttled(now=100.0)
        for tenth in range(1005, 1020):
            pace.note_accepted(4, now=tenth / 10)
        pace.note_throttled(now=102.0)
        assert pace.limit is not None
        assert 20 < pace.limit < 45

    def test_limit_is_lifted_after_a_long_silence(self) -> None:
        pace = Pace()
        pace.note_throttled(now=10.0)
        pace.note_accepted(1, now=10.0 + 30 * 86400)
        assert pace.limit is None

    def test_pace_never_falls_below_one(self) -> None:
        pace = Pace()
        for second in range(5):
            pace.note_throttled(now=10.0 + second)
        assert pace.limit == 1.0

    def test_pace_never_exceeds_the_ceiling(self) -> None:
        pace = Pace(100)
        assert [pace.slot(now=5.0) for _ in range(5)] == pytest.approx([0, 0, 0, 0.01, 0.02])
        assert pace.slot(now=6.0) == 0
        pace.note_accepted(1, now=1.0)
        pace.note_throttled(now=1.5)
        for second in range(2, 90):
            pace.note_accepted(10, now=second)
        assert (pace.slowed, pace.limit) == (None, 100)


@pytest.mark.django_db(transaction=True)
def test_inbound_sms_is_acknowledged_only_after_it_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts: list[int] = []
    stored: list[str] = []

    def record(carrier: object, items: list[InboundSms]) -> None:
        attempts.append(len(items))
        if len(attempts) < 3:
            raise OperationalError("the database is away")
        stored.extend(item.text for item in items)

    monkeypatch.setattr(delivery_reports, "apply_all", record)
    monkeypatch.setattr(event_writer, "RETRY_SECONDS", 0.01)
    acknowledged: list[int] = []
    writer = event_writer.EventWriter("sandbox")
    now = sms(1).valid_until
    writer.put(
        [InboundSms(sender="1", to="2", text="STOP", at=now)], lambda store: acknowledged.append(len(stored))
    )
    writer.put([], lambda store: acknowledged.append(len(stored)))
    writer.close()
    assert (stored, acknowledged) == (["STOP"], [1, 1])


@pytest.mark.django_db(transaction=True)
def test_unstorable_event_does_not_affect_the_others() -> None:
    writer = event_writer.EventWriter("sandbox")
    now = sms(1).valid_until
    bad = CarrierEvent(ref="1" * 1000, number="\0", status=DeliveryStatus.COMPLETED, at=now)
    writer.put([InboundSms(sender="+9779841000001", to="2", text="one", at=now), bad])
    writer.put([InboundSms(sender="+9779841000001", to="2", text="two", at=now)])
    writer.close()
    assert list(InboundMessage.objects.values_list("text", flat=True)) == ["one", "two"]
