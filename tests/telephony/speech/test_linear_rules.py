"""Every rule on what strangers write or send takes time in proportion to the length of its text."""

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
from telephony.speech import nepali, normalization
from telephony.speech.attachment import attachment_end, attachment_start
from telephony.speech.engine import Unspeakable
from telephony.speech.fragments import Utterance, cut_at_gaps
from telephony.speech.nepali_words import split_trailing_number
from telephony.speech.nfc import MAX_MARKS, to_nfc
from telephony.speech.normalization import spoken_form
from tests.linear import HEADS, LENGTH, PIECES, TAILS, assert_linear, repeated, texts

LANGUAGES = ("ne", "en")
WHOLE: Any = {
    "length": 3_000,
    "quick": 0.3,
}  # all rules, one after the other, each of which is measured by itself


def _spoken(text: str, *, language: str) -> None:
    with suppress(Unspeakable):
        spoken_form(text, language=language)


def _cut(text: str, *, language: str) -> None:
    cut_at_gaps((text, None, text, None, text), language=language)


def _without_braces_open(text: str) -> None:
    with suppress(InvalidInput):
        placeholders.reject_unclosed_braces(text)


def _receipt(text: str, *, ids: receipts.Ids) -> None:
    receipts.read(text=text, esm_class=4, message_id=None, state=None, ids=ids, tlv_as_text=False)
    receipts.read(text=text, esm_class=4, message_id=text, state=None, ids=ids, tlv_as_text=True)


def _sms(text: str) -> None:
    octets = text.encode("utf-8")
    smpp_texts.decode(octets, data_coding=0, esm_class=0)
    smpp_texts.place(octets)
    smpp_texts.parts(text, reference=1)


READERS: dict[str, Callable[[str], Any]] = {
    "capitals": partial(nepali._CAPITALS.sub, nepali._capitals),
    **{f"before a value, {one}": partial(attachment_start, language=one) for one in LANGUAGES},
    **{f"after a value, {one}": partial(attachment_end, language=one) for one in LANGUAGES},
    **{f"cut at values, {one}": partial(_cut, language=one) for one in LANGUAGES},
    "many values": lambda text: cut_at_gaps((None, text[:5], None) * (len(text) // 50), language="ne"),
    "written for the engine": lambda text: Utterance(text, is_part=True, after=0).engine_text,
    "normal form": to_nfc,
    "braces": _without_braces_open,
    "segments": lambda text: (segments.segments_of(text), segments.split(text)),
    "phone number": numbering.to_e164,
    "STOP": optouts.keyword_in,
    **{f"receipt, ids {ids.value}": partial(_receipt, ids=ids) for ids in receipts.Ids},
    "SMS of several parts": _sms,
    "SIP reason": partial(outcome_of, rang=False, transport="udp", seconds=1.0),
}


@pytest.mark.parametrize("number", range(len(nepali.RULES)))
def test_each_nepali_rule_is_linear(number: int) -> None:
    pattern, say = nepali.RULES[number]
    for text in texts():
        assert_linear(partial(pattern.sub, say), text)


@pytest.mark.parametrize("reader", READERS)
def test_each_reader_is_linear(reader: str) -> None:
    for text in texts():
        assert_linear(READERS[reader], text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_whole_text_is_linear(language: str) -> None:
    for piece in PIECES:
        assert_linear(partial(_spoken, language=language), repeated(piece, tail="!क"), **WHOLE)


@pytest.mark.parametrize("language", LANGUAGES)
@given(
    head=st.sampled_from(HEADS),
    pieces=st.lists(st.sampled_from(PIECES), min_size=2, max_size=3).map("".join),
    tail=st.sampled_from(TAILS),
)
@settings(max_examples=30, deadline=None, derandomize=True)
def test_a_text_of_repeated_pieces_is_linear(language: str, head: str, pieces: str, tail: str) -> None:
    def read(text: str) -> None:
        _spoken(text, language=language)
        cut_at_gaps((text, None, text, None), language=language)
        optouts.keyword_in(text)

    assert_linear(read, repeated(pieces, head=head, tail=tail), **WHOLE)


def test_dots_before_a_tag_are_one_with_it_however_many() -> None:
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
def test_numbers_of_any_length_are_said(text: str) -> None:
    assert not re.search(r"\d", spoken_form(text, language="ne"))


# Expressions take these letters for i, s and k in another case; tables of words do not.
@pytest.mark.parametrize(
    "text",
    ["a b c İ d", "5 mın", "5 ſec", "3 ſep 2024", "Mrſ. राम", "5 uſd", "uſd 5", "a b c K d", "5 Km", "İ5"],
)
def test_letters_that_are_like_those_of_ascii_are_said(text: str) -> None:
    assert spoken_form(text, language="ne")
    assert nepali.to_words(text)


NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})*,\d{3}|\d+")


@given(st.lists(st.text("12", min_size=1, max_size=5), min_size=1, max_size=7).map(",".join))
def test_the_longest_number_is_found_at_the_end_of_figures(figures: str) -> None:
    starts = [at for at in range(len(figures)) if NUMBER.fullmatch(figures, at)]
    assert split_trailing_number(figures) == (figures[: starts[0]], figures[starts[0] :])


@pytest.mark.parametrize(
    ("engine_text", "said"),
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
def test_what_a_number_is_read_with(written: str, said: str) -> None:
    assert spoken_form(written, language="ne") == said


def test_marks_in_a_row_are_composed_up_to_a_limit() -> None:
    assert to_nfc("cafe\u0301 \u0928\u093c") == "café \u0929"
    assert to_nfc("a" + "\u0301\u0323" * 1_000).startswith("\u1ea1\u0323")
    assert len(to_nfc("a" + "\u0301\u0323" * 1_000)) == MAX_MARKS
    assert len(to_nfc("\u0f73" * LENGTH)) <= 2 * MAX_MARKS


def test_a_text_beyond_the_limit_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nepali, "to_words", lambda text: pytest.fail("it was read"))
    with pytest.raises(Unspeakable, match="at most"):
        spoken_form("1" * (normalization.MAX_CHARACTERS + 1), language="ne")


@pytest.mark.parametrize("ids", receipts.Ids)
def test_an_id_of_any_length_is_one_of_a_receipt(ids: receipts.Ids) -> None:
    receipt = receipts.read(
        text=f"id:{'f' * 9_000} stat:DELIVRD err:000", esm_class=4, message_id=None, state=None, ids=ids,
        tlv_as_text=False,
    )  # fmt: skip
    assert receipt is not None
    assert len(receipt.ref) <= receipts.MAX_ID_CHARACTERS
    assert receipt.state == "DELIVRD"
