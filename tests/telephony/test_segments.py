"""telephony.segments: the exact number of SMS segments, and upper bounds."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from telephony.segments import EMPTY_SIZE, TextSize, measure, segments_of, split, upper_bound

GSM = st.text(alphabet="aZ9 @£é{}[]^|~€\\\f", max_size=500)
NEPALI = st.text(alphabet="नमस्ते a€😀", max_size=250)
TEXTS = GSM | NEPALI | st.text(max_size=250)


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("", 0),
        ("a", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("€" * 152, 2),
        ("€" * 153, 3),
        ("a" * 152 + "€" + "a" * 152, 3),
        ("a" * 151 + "€" + "a" * 153, 2),
        ("न" * 70, 1),
        ("न" * 71, 2),
        ("न" * 134, 2),
        ("न" * 135, 3),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("😀" * 66, 2),
        ("😀" * 67, 3),
        ("न" * 66 + "😀" + "न" * 66, 3),
        ("a" * 70 + "ê", 2),
        ("@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ!\"#¤%&'()*+,-./:;<=>?¡ÄÖÑÜ§¿äöñüà\n\r" * 2, 1),
        ("`" * 71, 2),
    ],
)
def test_segments_match_the_standard(text: str, segments: int) -> None:
    assert segments_of(text) == segments
    assert len(split(text)) == segments


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("", TextSize(0, 0, True, 0)),
        ("Namaste", TextSize(7, 7, True, 0)),
        ("[5€]", TextSize(7, 4, True, 3)),
        ("नमस्ते", TextSize(0, 6, False, 0)),
        ("a😀", TextSize(0, 3, False, 1)),
    ],
)
def test_size_is_measured_in_both_alphabets(text: str, size: TextSize) -> None:
    assert measure(text) == size


@given(TEXTS)
def test_split_parts_join_to_the_text_and_fit(text: str) -> None:
    parts = split(text)
    assert "".join(parts) == text
    assert len(parts) == segments_of(text)
    size = TextSize.of(text)
    single, part = (160, 153) if size.gsm else (70, 67)
    for one in parts:
        septets = len(one) + sum(character in "\f^{}\\[~]|€" for character in one)
        length = septets if size.gsm else len(one.encode("utf-16-le")) // 2
        assert 0 < length <= (single if len(parts) == 1 else part)


@given(TEXTS)
@example("a" * 305)
@example("न" * 134)
def test_upper_bound_of_a_text_without_pairs_is_exact(text: str) -> None:
    size = TextSize.of(text)
    assert upper_bound(size) >= segments_of(text)
    if not size.pairs:
        assert upper_bound(size) == segments_of(text)


@given(st.lists(TEXTS, min_size=1, max_size=5), TEXTS)
def test_upper_bound_of_the_largest_size_holds_for_every_rendered_text(texts: list[str], around: str) -> None:
    for largest in (TextSize.largest(texts), _maximum_size(texts), _without_pairs(_maximum_size(texts))):
        for text in texts:
            assert upper_bound(largest) >= segments_of(text)
            assert upper_bound(TextSize.of(around) + largest * 2) >= segments_of(around + text + text)


def test_ucs2_upper_bound_holds_for_gsm_texts() -> None:
    for length in range(1, 1_000):
        assert upper_bound(TextSize(0, length, False, 0)) >= segments_of("€" * length)


@given(TEXTS, TEXTS)
def test_adding_sizes_equals_concatenating_texts(one: str, other: str) -> None:
    total, together = TextSize.of(one) + TextSize.of(other), TextSize.of(one + other)
    assert (total.units, total.gsm) == (together.units, together.gsm)
    if total.gsm:
        assert total == together
    assert TextSize.of(one) * 3 == TextSize.of(one) + TextSize.of(one) + TextSize.of(one)
    assert TextSize.of(one) * 0 == EMPTY_SIZE


@given(st.lists(TEXTS))
def test_largest_bounds_the_maximum_of_all_sizes(texts: list[str]) -> None:
    largest, maximum = TextSize.largest(texts), _maximum_size(texts)
    assert largest.gsm == maximum.gsm
    assert largest.units >= maximum.units
    if largest.gsm:
        assert largest.septets >= maximum.septets


def test_unpaired_surrogate_is_measured() -> None:
    assert segments_of("\ud83d") == 1


def _maximum_size(texts: list[str]) -> TextSize:
    size = EMPTY_SIZE
    for text in texts:
        size = TextSize.maximum(size, TextSize.of(text))
    return size


def _without_pairs(size: TextSize) -> TextSize:
    """Return the size as restored from the database, which does not store pairs."""
    return TextSize(size.septets, size.units, size.gsm)
