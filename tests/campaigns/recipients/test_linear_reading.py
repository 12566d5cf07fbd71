"""The time to read messages, sheets, reports and requests is linear in their length, for any content."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from rest_framework.exceptions import ValidationError

from campaigns.messages import UnknownTag, check_tags, parse_message, to_tag_name
from campaigns.recipients.sheets import formats, ooxml, text, xlsx
from campaigns.recipients.sheets.grid import NotASheet, number
from iris.api import parsers
from iris.api.fields import Moment
from iris.errors import InvalidInput
from iris.spreadsheets import cell
from tests.linear import LENGTH, assert_linear, repeated, texts


def _message(written: str) -> None:
    with suppress(InvalidInput):
        check_tags(parse_message(written), ["tags_name"])


def _moment(written: str) -> None:
    with suppress(ValidationError):
        Moment().to_internal_value(written)


def _references(written: str) -> None:
    with suppress(NotASheet):
        ooxml.unescaped(written)


READERS: dict[str, Callable[[str], Any]] = {
    "message": _message,
    "name of a tag": to_tag_name,
    "moment": _moment,
    "cell of a report": cell,
    "cell of a text": text._cell,
    "number of a cell": number,
    "attributes of a cell": xlsx._ATTRIBUTE.findall,
    "references": _references,
    "date format": lambda written: formats.is_date_format("200", written),
    "charset": lambda written: parsers.ignore_charset(lambda environ, _: [])(
        {"CONTENT_TYPE": f"text/plain; charset{written}"}, lambda *_: lambda _: None
    ),
}


@pytest.mark.field
@pytest.mark.parametrize("reader", READERS)
def test_reading_a_sheet_takes_linear_time(reader: str) -> None:
    for written in texts(part=list(READERS).index(reader)):
        assert_linear(READERS[reader], written)


def test_an_unknown_tag_is_compared_with_many_tags_in_little_time() -> None:
    """Comparing two names can take time proportional to the product of their lengths, for each tag of the campaign."""

    def read(name: str) -> None:
        with pytest.raises(UnknownTag):
            check_tags(parse_message(f"{{{name}}}"), usable)

    usable = [f"tags_{'ba' * 47}{place:03}" for place in range(256)]
    for piece in ("ab", "a", "b a"):
        assert_linear(read, repeated(piece), length=LENGTH - 2)


def test_the_error_for_a_long_unknown_tag_quotes_its_beginning() -> None:
    with pytest.raises(UnknownTag) as caught:
        check_tags(parse_message("{" + "नाम" * 3_000 + "}"), ["tags_name"])
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    ("written", "tags"),
    [
        ("{a}{ b }{  }{}", ("a", "b")),
        ("{\n}{a\nb}{{c}}", ("a\nb", "c")),
        ("{ {a} }", ("a",)),
        ("{ " + "x" * 9_998, ()),
    ],
)
def test_braces_with_content_are_tags(written: str, tags: tuple[str, ...]) -> None:
    assert parse_message(written).tags == tags


def test_a_content_length_with_any_number_of_digits_is_refused(client: Any) -> None:
    answer = client.generic(
        "POST", "/api/accounts/login/", b"{}", content_type="application/json", CONTENT_LENGTH="9" * 5_000
    )
    assert answer.status_code == 413
