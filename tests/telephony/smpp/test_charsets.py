"""Test how inbound octets are read: by their evidence, whatever data_coding says."""

from __future__ import annotations

import pytest

from telephony.carriers.smpp import charsets, encoding
from telephony.optouts import Keyword, keyword_in
from telephony.segments import GSM_BASIC, GSM_EXTENSION


def packed(text: str) -> bytes:
    """Pack septets as on the radio path."""
    bits = sum(ord(character) << 7 * place for place, character in enumerate(text))
    return bits.to_bytes((7 * len(text) + 7) // 8, "little")


class TestStop:
    """SMS that people send, whatever data_coding says about their octets."""

    @pytest.mark.parametrize(
        ("octets", "coding"),
        [
            (b"STOP", 0),
            (b"STOP", 1),
            (b"STOP", 3),
            (b"STOP", 4),
            (b"STOP", 8),
            (b"stop\r\n", 8),
            (b"\x00S\x00T\x00O\x00P", 8),
            (b"S\x00T\x00O\x00P\x00", 8),
            (b"\x00S\x00T\x00O\x00P", 0),
            (b"\xfe\xff\x00S\x00T\x00O\x00P", 0),
            (b"\xff\xfeS\x00T\x00O\x00P\x00", 8),
            (packed("STOP"), 0),
            (b"STOP", 0xF1),
            (b"STOP", 0xF5),
            ("रोक्नुहोस्".encode("utf-16-be"), 8),
            ("रोक्नुहोस्".encode("utf-16-le"), 8),
            ("रोक्नुहोस्".encode("utf-16-be"), 0),
            ("रोक्नुहोस्".encode(), 0),
            ("बन्द गर".encode(), 3),
            ("बन्द".encode(), 8),
            ("\ufeffबन्द".encode(), 1),
            ("रोक".encode("utf-16-be"), 0x18),
            ("कृपया बन्द".encode("utf-16-be"), 8),
        ],
    )
    def test_stop_is_read_in_every_coding(self, octets: bytes, coding: int) -> None:
        assert keyword_in(charsets.text_of(octets, data_coding=coding)) is Keyword.STOP

    def test_long_binary_data_is_read_quickly(self) -> None:
        assert charsets.text_of(bytes(range(256)) * 200, data_coding=4) == (bytes(range(256)) * 200).hex()


class TestDeclaredCoding:
    """A text whose coding is declared rightly is never read as another."""

    @pytest.mark.parametrize(
        "text",
        [
            "नमस्ते", "कखग", "ok", "Ça va?", "a" * 70, "Hi 😀", "₹ 100 – “ok”", "привет", "你好世界", "一", "中",
            "ありがとう", "สวัสดี", "안녕하세요", "a\u200dक", "1",
        ],
    )  # fmt: skip
    def test_ucs2_stays_as_it_is(self, text: str) -> None:
        assert charsets.text_of(text.encode("utf-16-be"), data_coding=8) == text

    def test_gsm_stays_as_it_is(self) -> None:
        octets, coding = encoding.encode(GSM_BASIC + GSM_EXTENSION)
        assert charsets.text_of(octets, data_coding=coding) == GSM_BASIC + GSM_EXTENSION

    @pytest.mark.parametrize("text", ["@@@@", "a@b.c", "Où ça?", "Ñandú", "£5", "\n\n"])
    def test_gsm_with_octets_like_those_of_utf_16_is_gsm(self, text: str) -> None:
        octets, coding = encoding.encode(text)
        assert charsets.text_of(octets, data_coding=coding) == text

    @pytest.mark.parametrize("text", ["Où ça?", "Ñandú", "déjà vu", "£5 ©"])
    def test_latin_1_stays_as_it_is(self, text: str) -> None:
        assert charsets.text_of(text.encode("latin-1"), data_coding=3) == text
