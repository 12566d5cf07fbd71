"""telephony.numbering: what people and spreadsheets write, and the E.164 numbers for carriers."""

import math
from typing import Any

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telephony import numbering
from telephony.numbering import InvalidNumber, ParsedNumber, parse, to_e164
from tests.scale import at_scale


@pytest.mark.parametrize(
    ("raw", "number", "to"),
    [
        ("9841234567", "9841234567", "+9779841234567"),
        (9841234567, "9841234567", "+9779841234567"),
        (9841234567.0, "9841234567", "+9779841234567"),
        ("9841234567.0", "9841234567", "+9779841234567"),
        ("+9779841234567", "+9779841234567", "+9779841234567"),
        ("9779841234567", "9779841234567", "+9779841234567"),
        (9779841234567, "9779841234567", "+9779841234567"),
        ("009779841234567", "009779841234567", "+9779841234567"),
        ("09841234567", "09841234567", "+9779841234567"),
        ("  984-123 4567\t", "984-123 4567", "+9779841234567"),
        ("(+977) 984.123.4567", "(+977) 984.123.4567", "+9779841234567"),
        ("[977] 984–1234567", "[977] 984–1234567", "+9779841234567"),
        ("'9841234567", "9841234567", "+9779841234567"),
        ("९८४१२३४५६७", "9841234567", "+9779841234567"),
        ("+९७७-९८४१२३४५६७", "+977-9841234567", "+9779841234567"),
        ("\u202a+977 9841234567\u202c", "+977 9841234567", "+9779841234567"),
        ("＋9779841234567", "+9779841234567", "+9779841234567"),
        ("984\n1234567", "984 1234567", "+9779841234567"),
        ("01-4412345", "01-4412345", "+97714412345"),
        ("9.841234567E+09", "9841234567", "+9779841234567"),
        ("9.7798412345670e12", "9779841234567", "+9779841234567"),
        ("+919876543210", "+919876543210", "+919876543210"),
        ("+1 (202) 555-0142", "+1 (202) 555-0142", "+12025550142"),
    ],
)
def test_number_is_kept_as_sent_and_converted_to_e164(raw: object, number: str, to: str) -> None:
    assert parse(raw) == ParsedNumber(number, to)


@pytest.mark.parametrize("raw", [98675432123, 984381123, "1234567", "+999999999999999"])
def test_number_of_no_country_is_accepted_without_e164_form(raw: object) -> None:
    assert parse(raw) == ParsedNumber(str(raw), "")


@pytest.mark.parametrize("raw", [9876543210, 9731234567])
def test_nepali_mobile_of_an_unassigned_range_is_accepted(raw: int) -> None:
    assert parse(raw) == ParsedNumber(str(raw), f"+977{raw}")


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ("", "is missing"),
        (None, "is missing"),
        (" ' ", "is missing"),
        ("Ram", "“Ram” has characters that no phone number has"),
        ("984123", "“984123” is too short"),
        ("9841234567 9801234567", "is too long"),
        ("9841234567/9801234567", "has characters"),
        ("+977+9841234567", "has characters"),
        ("9841234567 ext 5", "has characters"),
        ("984\x001234567", "“984\N{REPLACEMENT CHARACTER}1234567” has characters"),
        ("9.841E+09", "has lost digits"),
        ("9.8412345678E+09", "has lost digits"),
        ("9.841234567E-09", "has lost digits"),
        ("9.84123E+09", "converted the number to scientific notation"),
        ("-9841234567", "begins with a minus"),
        ("9" * 41, "is too long"),
        ("9" * 100_000, "“999999999999999999999999…” is too long"),
        (-9841234567, "negative number"),
        pytest.param(10**5000, "of this length", id="5001 digits"),
        (9841234567.5, "is not a phone number"),
        (-9841234567.0, "is not a phone number"),
        (1e300, "is not a phone number"),
        (math.nan, "is not a phone number"),
        (math.inf, "is not a phone number"),
        (True, "must be digits or text"),
        (["9841234567"], "must be digits or text"),
        ({}, "must be digits or text"),
    ],
)
def test_invalid_number_is_rejected_with_reason_and_example(raw: object, sentence: str) -> None:
    with pytest.raises(InvalidNumber, match="such as 98") as refused:
        parse(raw)
    assert sentence in refused.value.message
    assert refused.value.code == "invalid_number"
    assert len(refused.value.message) < 250
    assert to_e164(raw) == ""


def test_to_e164_returns_e164_or_an_empty_string() -> None:
    assert to_e164(" 984-1234567 ") == "+9779841234567"
    assert to_e164(984381123) == ""


@given(
    start=st.sampled_from(["", "0", "977", "+977", "00977"]),
    national=st.from_regex(r"9[0-9]{9}|[1-9][0-9]{7}", fullmatch=True),
)
def test_fast_pattern_agrees_with_phonenumbers(start: str, national: str) -> None:
    assert to_e164(start + national) == _by_phonenumbers((start + national).replace("00977", "+977", 1), "NP")


@pytest.mark.field
@pytest.mark.parametrize("region", ["NP", "IN", "US", "GB", "DE", "BR", "MX", "IT", "AU", "KE"])
@given(data=st.data())
@settings(max_examples=at_scale(30, 1000))
def test_fast_pattern_agrees_with_phonenumbers_in_other_countries(region: str, data: st.DataObject) -> None:
    sample = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    assert sample is not None
    national = list(phonenumbers.national_significant_number(sample))
    for position in data.draw(st.lists(st.integers(0, len(national) - 1), max_size=4)):
        national[position] = data.draw(st.sampled_from("0123456789"))
    code = str(sample.country_code)
    text = data.draw(st.sampled_from(["", "0", code, f"+{code}"])) + "".join(national)
    if not text.startswith("00"):
        assert numbering._parser(region)(text).to == _by_phonenumbers(text, region)


@given(st.text(max_size=60) | st.integers() | st.floats() | st.none() | st.binary(max_size=5))
def test_any_value_is_either_parsed_or_rejected(raw: object) -> None:
    try:
        number = parse(raw)
    except InvalidNumber:
        return
    assert 7 <= sum(character.isdigit() for character in number.number) <= 17
    assert number.number.isprintable()
    assert len(number.number) <= numbering.MAX_CHARACTERS
    assert parse(number.number) == number


def test_phone_region_is_configurable(settings: Any) -> None:
    settings.IRIS_PHONE_REGION = "IN"
    assert parse("9876543210").to == "+919876543210"
    with pytest.raises(InvalidNumber, match=r"\+91"):
        parse("abc")


def _by_phonenumbers(text: str, region: str) -> str:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return ""
    nepali_mobile = number.country_code == 977 and 96 * 10**8 <= (number.national_number or 0) < 10**10
    if not phonenumbers.is_valid_number(number) and not nepali_mobile:
        return ""
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
