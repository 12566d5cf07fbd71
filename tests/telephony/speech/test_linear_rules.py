"""Every rule that reads untrusted text runs in linear time."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris.errors import InvalidInput
from telephony import numbering, optouts, placeholders, segments
from telephony.carriers.sip.causes import outcome_of
from telephony.carriers.smpp import encoding as smpp_texts
from telephony.carriers.smpp import receipts
from telephony.speech import english, legacy_fonts, nepali, romanized
from telephony.speech.attachment import attachment_end, attachment_start
from telephony.speech.engine import MAX_CHARACTERS, Unspeakable
from telephony.speech.fragments import Utterance, cut_at_gaps
from telephony.speech.nepali_words import split_trailing_number
from telephony.speech.nfc import MAX_MARKS, to_nfc, without_compatibility_forms
from telephony.speech.normalization import spoken_form
from tests.linear import HEADS, LENGTH, PIECES, TAILS, assert_linear, repeated, texts
from tests.scale import at_scale

LANGUAGES = ("ne", "en")
# Limits for all rules together; each rule is also measured by itself.
WHOLE: Any = {"length": 3_000, "quick": 0.3}


def _spoken(text: str, *, language: str) -> None:
    with suppress(Unspeakable):
        spoken_form(text, language=language)


def _cut(text: str, *, language: str) -> None:
    cut_at_gaps((text, None, text, None, text), language=language)


def _read_placeholders(text: str) -> None:
    with suppress(InvalidInput):
        placeholders.read_placeholders(text)


def _receipt(text: str, *, ids: receipts.MessageIdFormat) -> None:
    octets = text.encode("utf-8")
    receipts.read(octets=octets, esm_class=4, message_id=None, state=None, ids=ids, tlv_as_text=False)
    receipts.read(octets=octets, esm_class=4, message_id=text, state=None, ids=ids, tlv_as_text=True)


def _sms(text: str) -> None:
    octets = text.encode("utf-8")
    smpp_texts.decode(octets, data_coding=0, esm_class=0)
    smpp_texts.part_header(octets)
    smpp_texts.parts(text, reference=1)


READERS: dict[str, Callable[[str], Any]] = {
    "capitals": nepali._say_all_capitals,
    "English capitals": partial(english._CAPITALS.sub, english._capitals),
    "legacy font": legacy_fonts.is_legacy,
    "romanized": romanized.to_devanagari,
    "compatibility forms": without_compatibility_forms,
    **{f"before a value, {one}": partial(attachment_start, language=one) for one in LANGUAGES},
    **{f"after a value, {one}": partial(attachment_end, language=one) for one in LANGUAGES},
    **{f"cut at values, {one}": partial(_cut, language=one) for one in LANGUAGES},
    "many values": lambda text: cut_at_gaps((None, text[:5], None) * (len(text) // 50), language="ne"),
    "written for the engine": lambda text: Utterance(text, is_part=True, after=0).engine_text,
    "normal form": to_nfc,
    "braces": _read_placeholders,
    "segments": lambda text: (segments.segments_of(text), segments.split(text)),
    "phone number": numbering.to_e164,
    "STOP": optouts.keyword_in,
    **{f"receipt, ids {ids.value}": partial(_receipt, ids=ids) for ids in receipts.MessageIdFormat},
    "SMS of several parts": _sms,
    "SIP reason": partial(outcome_of, rang=False, transport="udp", seconds=1.0),
}


@pytest.mark.field
@pytest.mark.parametrize("number", range(len(nepali.RULES)))
def test_each_nepali_rule_runs_in_linear_time(number: int) -> None:
    pattern, say = nepali.RULES[number]
    for text in texts(part=number):
        assert_linear(partial(pattern.sub, say), text)


@pytest.mark.field
@pytest.mark.parametrize("number", range(len(english.RULES)))
def test_each_english_rule_runs_in_linear_time(number: int) -> None:
    pattern, say = english.RULES[number]
    for text in texts(part=number):
        assert_linear(partial(pattern.sub, say), text)


@pytest.mark.field
@pytest.mark.parametrize("reader", READERS)
def test_each_reader_runs_in_linear_time(reader: str) -> None:
    for text in texts(part=list(READERS).index(reader)):
        assert_linear(READERS[reader], text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_normalizing_a_repeated_piece_runs_in_linear_time(language: str) -> None:
    for piece in PIECES:
        assert_linear(partial(_spoken, language=language), repeated(piece, tail="!क"), **WHOLE)


@pytest.mark.field
@pytest.mark.parametrize("language", LANGUAGES)
@given(
    head=st.sampled_from(HEADS),
    pieces=st.lists(st.sampled_from(PIECES), min_size=2, max_size=3).map("".join),
    tail=st.sampled_from(TAILS),
)
@settings(max_examples=at_scale(10, 500), deadline=None, derandomize=True)
def test_reading_repeated_combinations_runs_in_linear_time(
    language: str, head: str, pieces: str, tail: str
) -> None:
    def read(text: str) -> None:
        _spoken(text, language=language)
        cut_at_gaps((text, None, text, None), language=language)
        optouts.keyword_in(text)

    assert_linear(read, repeated(pieces, head=head, tail=tail), **WHOLE)


def test_any_number_of_dots_before_a_tag_stays_in_its_part() -> None:
    for count in (40, 5_000):
        for language in LANGUAGES:
            (group,) = cut_at_gaps(("." * count, None), language=language)[-1:]
            assert group.gaps == (0,)


@pytest.mark.parametrize(
    "text",
    [
        *("9" * 5_000, "रु. " + "9" * 4_400, "5" * 4_400 + " रुपैयाँ", "9" * 4_400 + "औँ", "0" * 4_999 + "5"),
        *(",0" + "0" * 4_500 + "5औँ", "1." * 2_500, "1," * 2_500, "9" * 4_400 + "%", "1" * 4_400 + " km"),
    ],
)
def test_numbers_of_any_length_are_put_into_words(text: str) -> None:
    assert not re.search(r"\d", spoken_form(text, language="ne"))


# Case-insensitive patterns match these letters as i, s and k; tables of words do not contain them.
@pytest.mark.parametrize(
    "text",
    ["a b c İ d", "5 mın", "5 ſec", "3 ſep 2024", "Mrſ. राम", "5 uſd", "uſd 5", "a b c K d", "5 Km", "İ5"],
)
def test_letters_that_case_fold_to_ascii_are_accepted(text: str) -> None:
    assert spoken_form(text, language="ne")
    assert nepali.to_words(text)


NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})*,\d{3}|\d+")


@given(st.lists(st.text("12", min_size=1, max_size=5), min_size=1, max_size=7).map(",".join))
def test_split_trailing_number_finds_the_longest_number_at_the_end(digits: str) -> None:
    starts = [at for at in range(len(digits)) if NUMBER.fullmatch(digits, at)]
    assert split_trailing_number(digits) == (digits[: starts[0]], digits[starts[0] :])


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("5,1,234 रुपैयाँ", "पाँच, एक हजार दुई सय चौँतिस रुपैयाँ"),
        ("1234,567 रुपैयाँ", "एक दुई लाख चौँतिस हजार पाँच सय सतसट्ठी रुपैयाँ"),
        ("1,2,3%", "एक, दुई, तीन प्रतिशत"),
        ("1.2.3 km", "एक डट दुई डट तीन किलोमिटर"),
        ("बिहान 5:30 AM", "बिहान साढे पाँच बजे"),
        ("बिहान" + " " * 20 + "5:30 AM", "बिहान साढे पाँच बजे"),
        ("बिहान हामी 5:30 AM", "बिहान हामी बिहान साढे पाँच बजे"),
    ],
)
def test_number_is_spoken_with_the_text_around_it(written: str, said: str) -> None:
    assert spoken_form(written, language="ne") == said


def test_nfc_keeps_a_limited_number_of_consecutive_marks() -> None:
    assert to_nfc("cafe\u0301 \u0928\u093c") == "café \u0929"
    assert to_nfc("a" + "\u0301\u0323" * 1_000).startswith("\u1ea1\u0323")
    assert len(to_nfc("a" + "\u0301\u0323" * 1_000)) == MAX_MARKS
    assert len(to_nfc("\u0f73" * LENGTH)) <= 2 * MAX_MARKS


def test_text_beyond_the_length_limit_is_rejected_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nepali, "to_words", lambda text: pytest.fail("the text was read"))
    with pytest.raises(Unspeakable, match="at most"):
        spoken_form("1" * (MAX_CHARACTERS + 1), language="ne")


@pytest.mark.parametrize("ids", receipts.MessageIdFormat)
def test_receipt_id_of_any_length_is_read_and_truncated(ids: receipts.MessageIdFormat) -> None:
    receipt = receipts.read(
        octets=f"id:{'f' * 9_000} stat:DELIVRD err:000".encode(), esm_class=4, message_id=None, state=None, ids=ids,
        tlv_as_text=False,
    )  # fmt: skip
    assert receipt is not None
    assert len(receipt.ref) <= receipts.MAX_ID_CHARACTERS
    assert receipt.state == "DELIVRD"
