"""campaigns.messages parses, checks and renders messages with tags."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.messages import (
    MAX_CHARACTERS,
    TagPart,
    TextPart,
    UnknownTag,
    check_length,
    check_tags,
    format_tag_value,
    parse_message,
    render,
    spell_tags,
    to_tag_name,
)
from iris.errors import InvalidInput
from telephony.segments import TextSize, segments_of, upper_bound


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        ("Namaste", [TextPart("Namaste")]),
        ("{tags_name}", [TagPart("tags_name")]),
        ("नमस्कार, {tags_name} !", [TextPart("नमस्कार, "), TagPart("tags_name"), TextPart(" !")]),
        ("{ tags_name }{age}", [TagPart("tags_name"), TagPart("age")]),
        ("{tags_पूरा नाम}", [TagPart("tags_पूरा नाम")]),
        ("{", [TextPart("{")]),
        ("a } b { c", [TextPart("a } b { c")]),
        ("{} { }", [TextPart("{} { }")]),
        ("{{name}}", [TagPart("name")]),
        ("{name", [TextPart("{name")]),
    ],
)
def test_only_braces_with_content_are_tags(text: str, parts: list[Any]) -> None:
    assert list(parse_message(text).parts) == parts


def test_tags_are_listed_once_in_the_order_of_their_use() -> None:
    assert parse_message("{b} {a} {b} {tags_c}").tags == ("b", "a", "tags_c")


@pytest.mark.parametrize(
    ("text", "tags", "rendered"),
    [
        ("नमस्कार {tags_name}, {tags_age} वर्ष", {"tags_name": "राम", "tags_age": 25}, "नमस्कार राम, 25 वर्ष"),
        ("{name}", {"tags_name": "Sita"}, "Sita"),
        ("{name}", {"tags_name": "Sita", "name": "Gita"}, "Gita"),
        ("{full name}", {"tags_full_name": "Hari"}, "Hari"),
        ("{tags_full name}", {"tags_full_name": "Hari"}, "Hari"),
        ("{tags_a}{tags_a}", {"tags_a": "x"}, "xx"),
        ("<{tags_a}>", {}, "<>"),
        ("<{tags_a}>", {"tags_a": None}, "<>"),
        ("<{tags_a}>", {"tags_a": ""}, "<>"),
        ("100% of {tags_a} %s %(x)s", {"tags_a": "50%"}, "100% of 50% %s %(x)s"),
        ("{tags_a}", {"tags_a": "{tags_b}", "tags_b": "no"}, "{tags_b}"),
        ("no tags, 5%", {}, "no tags, 5%"),
    ],
)
def test_a_message_is_rendered_for_a_recipient(text: str, tags: dict[str, Any], rendered: str) -> None:
    message = parse_message(text)
    assert message.render(tags) == rendered
    assert render(message, tags) == rendered


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("025", "025"),
        (25, "25"),
        (25.0, "25"),
        (-3.0, "-3"),
        (30.5, "30.5"),
        (0.1 + 0.2, "0.3"),
        (1e20, "1e+20"),
        (math.nan, ""),
        (math.inf, ""),
    ],
)
def test_values_are_formatted_as_in_spreadsheets(value: object, text: str) -> None:
    assert format_tag_value(value) == text
    assert parse_message("{tags_a}").render({"tags_a": value}) == text


def test_an_unknown_tag_is_refused_with_the_most_similar_one() -> None:
    with pytest.raises(UnknownTag) as refused:
        check_tags(parse_message("{tags_nmae}"), ["tags_name", "tags_age"])
    assert refused.value.code == "unknown_tag"
    assert refused.value.message == (
        "{tags_nmae} is not a tag of this campaign. Did you mean {tags_name}? "
        "Its tags are: tags_name, tags_age."
    )


def test_an_unknown_tag_without_a_similar_one_is_refused_with_all_tags() -> None:
    with pytest.raises(
        UnknownTag, match=r"^\{otp\} is not a tag of this campaign. Its tags are: tags_name.$"
    ):
        check_tags(parse_message("{otp}"), ["tags_name"])


def test_a_tag_in_a_campaign_without_tags_is_refused() -> None:
    with pytest.raises(UnknownTag, match="this campaign has no tags. Remove the braces"):
        check_tags(parse_message("Hi {name}"), [])


@pytest.mark.parametrize(
    ("text", "usable", "spelled"),
    [
        ("Hi {name}", ["tags_Name"], "Hi {Name}"),
        ("Hi { tags_NAME }, {{full name}}", ["tags_name", "tags_Full_Name"], "Hi {name}, {{Full_Name}}"),
        ("Hi {name}", ["tags_Name", "Name"], "Hi {tags_Name}"),
        ("Hi {name}", ["tags_Name", "tags_NAME"], "Hi {name}"),
        ("Hi {name} {otp} {", ["tags_name", "tags_NAME"], "Hi {name} {otp} {"),
        ("Hi {name}", [], "Hi {name}"),
    ],
)
def test_tags_are_spelled_as_the_columns(text: str, usable: list[str], spelled: str) -> None:
    assert spell_tags(text, usable) == spelled


@pytest.mark.parametrize("text", ["", "no tags", "{tags_name} {name}", "{} } {"])
def test_known_tags_are_accepted(text: str) -> None:
    check_tags(parse_message(text), ["tags_name"])


@pytest.mark.parametrize("text", ["a\x00b", "{tags_\x00}", "a\ud800b"])
def test_text_that_cannot_be_stored_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="null byte"):
        parse_message(text)


@pytest.mark.parametrize("text", [None, 5, ["a"], b"a"])
def test_a_message_that_is_not_text_is_refused(text: Any) -> None:
    with pytest.raises(InvalidInput, match="must be a text"):
        parse_message(text)


def test_an_overlong_message_is_refused() -> None:
    parse_message("न" * MAX_CHARACTERS)
    with pytest.raises(InvalidInput, match="has 10,001 characters"):
        parse_message("न" * (MAX_CHARACTERS + 1))


def test_a_message_that_tag_values_make_too_long_is_refused() -> None:
    sizes = {"tags_a": TextSize.of("x" * 1_000)}
    check_length(parse_message("{a}" * 10), sizes)
    with pytest.raises(InvalidInput, match="up to 11,000 characters"):
        check_length(parse_message("{a}" * 11), sizes)


VALUES = st.text(alphabet="a€ न😀", max_size=120)


@given(
    template=st.lists(VALUES | st.sampled_from(["{tags_a}", "{b}", "{tags_none}"]), max_size=6),
    recipients=st.lists(st.fixed_dictionaries({"tags_a": VALUES, "tags_b": VALUES}), min_size=1, max_size=4),
)
def test_the_size_of_a_message_is_an_upper_bound_for_all_recipients(
    template: list[str], recipients: list[dict[str, str]]
) -> None:
    message = parse_message("".join(template))
    sizes = {
        tag: TextSize.largest(recipient[tag] for recipient in recipients) for tag in ("tags_a", "tags_b")
    }
    bound = upper_bound(message.size(sizes))
    assert all(segments_of(message.render(recipient)) <= bound for recipient in recipients)


def test_the_size_of_a_message_without_tags_is_exact() -> None:
    assert parse_message("न" * 134).size({}) == TextSize.of("न" * 134)


@pytest.mark.parametrize(
    ("heading", "tag"),
    [
        ("name", "tags_name"),
        (" Full  name ", "tags_Full_name"),
        ("tags_name", "tags_name"),
        ("{tags_name}", "tags_name"),
        ("{name}", "tags_name"),
        ("नाम", "tags_नाम"),
        ("क्\u200dष", "tags_क्\u200dष"),
        ("a\x00b\ufeff", "tags_a_b"),
        ("2080", "tags_2080"),
        ("x" * 500, "tags_" + "x" * 100),
        ("", ""),
        (" {} \t", ""),
        ("tags_", ""),
    ],
)
def test_a_heading_is_converted_to_a_tag(heading: str, tag: str) -> None:
    assert to_tag_name(heading) == tag
