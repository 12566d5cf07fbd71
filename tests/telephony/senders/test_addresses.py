"""A sender is a name, a number or a short code that every phone can show."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.models.senders import ADDRESS, MAX_ADDRESS
from telephony.senders.addresses import InvalidSender, SenderKind, kind_of, parse_address


@pytest.mark.parametrize(
    ("written", "address", "kind"),
    [
        ("ACME", "ACME", SenderKind.NAME),
        ("  Ward  5 ", "Ward 5", SenderKind.NAME),
        ("A.B_C&D-E", "A.B_C&D-E", SenderKind.NAME),
        ("5 Star", "5 Star", SenderKind.NAME),
        ("ELEVEN CHAR", "ELEVEN CHAR", SenderKind.NAME),
        ("9841000001", "+9779841000001", SenderKind.NUMBER),
        ("+977 984-1000001", "+9779841000001", SenderKind.NUMBER),
        ("+447400123456", "+447400123456", SenderKind.NUMBER),
        ("31001", "31001", SenderKind.SHORT_CODE),
        (31001, "31001", SenderKind.SHORT_CODE),
        ("197", "197", SenderKind.SHORT_CODE),
        ("310010", "310010", SenderKind.SHORT_CODE),
    ],
)
def test_sender_is_stored_in_one_spelling(written: object, address: str, kind: SenderKind) -> None:
    assert parse_address(written) == address
    assert kind_of(address) is kind


@pytest.mark.parametrize(
    "written",
    [
        "", "   ", None, True, [], "TWELVE CHARS", "नेपाल", "Café", "A\nB\x00", "a@b", "A/B", "<b>", "12", "1234567",
        "+1", "&", "...", "99", "+31001", "984100000", "2" * 40, "A" * 5000, "\u202eACME", "АCME",
    ],
)  # fmt: skip
def test_sender_that_some_phones_cannot_show_is_refused_with_a_sentence(written: object) -> None:
    with pytest.raises(InvalidSender) as caught:
        parse_address(written)
    assert re.fullmatch(r"(?s).{15,}\.", caught.value.message)
    assert len(caught.value.message) < 250


@given(st.text(max_size=20) | st.from_regex(r"\+?[0-9 ()-]{1,20}", fullmatch=True))
def test_every_accepted_sender_can_be_stored_and_is_parsed_to_itself(written: str) -> None:
    with suppress(InvalidSender):
        address = parse_address(written)
        assert re.search(ADDRESS, address)
        assert len(address) <= MAX_ADDRESS
        assert parse_address(address) == address
        if kind_of(address) is SenderKind.NAME:
            assert len(address) <= 11
            address.encode("ascii")
