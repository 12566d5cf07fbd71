"""Prices are imported from CSV: all rows, or none with the wrong rows named."""

from __future__ import annotations

from decimal import Decimal
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from iris import csv_files
from iris.errors import InvalidInput
from telephony import tariffs
from telephony.models import PriceList, Tariff, TariffPrice
from telephony.tariffs import price_lists
from telephony.tariffs.imports import import_prices
from tests.cpu import cpu_at_most
from tests.factories import make_account
from tests.telephony.tariffs.making import call, csv_file, make_tariff, sms

pytestmark = pytest.mark.django_db
HEADINGS = "prefix,channel,credits,pulse_seconds"


def shown(tariff: Tariff) -> list[tuple[Any, ...]]:
    rows = TariffPrice.objects.filter(tariff=tariff).order_by("prefix", "channel")
    return list(rows.values_list("prefix", "channel", "credits", "pulse_seconds"))


def refusal(*lines: str) -> InvalidInput:
    """Import these lines into a tariff with a price; return the error. Nothing has changed."""
    tariff = make_tariff(sms("977", "1"))
    with pytest.raises(InvalidInput) as caught:
        import_prices(tariff=tariff, file=csv_file(*lines), replaces=True)
    assert shown(tariff) == [("977", "sms", 1, None)]
    return caught.value


@pytest.mark.parametrize(
    "lines",
    [
        [HEADINGS, "977,sms,1.5,", "977,call,2,60", "97798,phone,0,1"],
        ["\ufeff" + HEADINGS, "+977,SMS,1.5000,", "+977,Call,2,60", "+977-98,call,0,1"],
        ["Channel;Prefix;note;PULSE_SECONDS;Credits", "sms;977;x;;1.5", "call;977;;60;2", "call;977 98;;1;0"],
        [
            HEADINGS.replace(",", "\t"),
            '"977"\tsms\t1.5\t',
            "",
            "977\tcall\t2\t60",
            "\t\t\t",
            "97798\tcall\t0\t1",
        ],
    ],
)
def test_a_file_may_be_written_in_several_ways(lines: list[str]) -> None:
    tariff = make_tariff()
    done = import_prices(tariff=tariff, file=BytesIO("\r\n".join(lines).encode()))
    assert (done.rows, done.prices) == (3, 3)
    assert shown(tariff) == [
        ("977", "call", 2, 60),
        ("977", "sms", Decimal("1.5"), None),
        ("97798", "call", 0, 1),
    ]


def test_an_import_changes_the_prices_in_the_file_and_keeps_the_others() -> None:
    tariff, other = make_tariff(sms("977", "1"), call("1", "9")), make_tariff(sms("977", "1"))
    done = import_prices(tariff=tariff, file=csv_file(HEADINGS, "977,sms,2,", "44,sms,3,"))
    assert (done.rows, done.prices) == (2, 3)
    assert shown(tariff) == [("1", "call", 9, 60), ("44", "sms", 3, None), ("977", "sms", 2, None)]
    import_prices(tariff=tariff, file=csv_file(HEADINGS, "44,sms,4,"), replaces=True)
    assert shown(tariff) == [("44", "sms", 4, None)]
    assert shown(other) == [("977", "sms", 1, None)]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("984x,sms,1,", "“984x” is no prefix"),
        ("0977,sms,1,", "“0977” is no prefix"),
        ("+,sms,1,", "“+” is no prefix"),
        ("१२,sms,1,", "“१२” is no prefix"),
        ("9.77E+11,sms,1,", "is no prefix"),
        ("977.0,sms,1,", "“977.0” is no prefix"),
        ("++977,sms,1,", "“++977” is no prefix"),
        ("977,call,1,50,60", "more cells than the first row"),
        ("977,sms,1,,x", "more cells than the first row"),
        ("1234567890123456,sms,1,", "is no prefix"),
        (",sms,1,", "an empty cell is no prefix"),
        ("977,fax,1,", "“fax” is no channel"),
        ("977", "an empty cell is no channel"),
        ("977,sms,,", "an empty cell is no number of credits"),
        ("977,sms,-1,", "“-1” is no number"),
        ("977,sms,NaN,", "“NaN” is no number"),
        ("977,sms,1e3,", "“1e3” is no number"),
        ("977,sms,1e400,", "“1e400” is no number"),
        ("977,sms,Infinity,", "“Infinity” is no number"),
        ('977,sms,"1,5",', "“1,5” is no number"),
        ("977,sms,10000.1,", "too many"),
        ("977,sms,999999999,", "too many"),
        ("977,sms,0.00001,", "more than 4 digits"),
        ("977,sms,1,60", "an SMS has no pulse"),
        ("977,call,1,", "an empty cell: a call needs the length of a pulse"),
        ("977,call,1,0", "“0”: a call needs"),
        ("977,call,1,3601", "“3601”: a call needs"),
        ("977,call,1,1.5", "“1.5”: a call needs"),
        ("977,call,1,99999999999", "a call needs"),
    ],
)
def test_a_wrong_row_is_named(row: str, sentence: str) -> None:
    error = refusal(HEADINGS, "1,sms,1,", row)
    assert "Row 3: " in error.message
    assert sentence in error.message
    assert [one["row"] for one in error.errors or []] == [3]


def test_a_doubled_price_names_both_rows() -> None:
    error = refusal(HEADINGS, "977,sms,1,", "44,sms,1,", "+977,SMS,2,")
    assert "Row 4: the price of +977 is also in row 2: remove one of them." in error.message


def test_of_many_wrong_rows_the_first_are_named_and_all_counted() -> None:
    error = refusal(HEADINGS, *["x,sms,1,"] * 500)
    assert error.message.startswith("500 rows are wrong, so no price was imported. Row 2: ")
    assert error.message.endswith("And 480 more.")
    assert len(error.errors or []) == csv_files.ERRORS_SHOWN


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "has no column prefix"),
        (b"\n977,sms,1,\n", "has no column prefix"),
        (b"prefix,channel,credits\n977,sms,1\n", "has no column pulse_seconds"),
        (b"prefix,prefix,channel,credits,pulse_seconds\n", "has two columns prefix"),
        (HEADINGS.encode(), "no prices below"),
        (HEADINGS.encode() + b"\n\n,,,\n", "no prices below"),
        (HEADINGS.encode() + b"\n977,sms,\xff\xfe,\n", "not text in UTF-8"),
        (HEADINGS.encode("utf-16"), "not text in UTF-8"),
        (HEADINGS.encode() + b'\n"977,sms,1,\n', "cannot be read as CSV"),
        (HEADINGS.encode() + b"\n" + b"9" * 200_000 + b",sms,1,\n", "cannot be read as CSV"),
        (b"PK\x03\x04" + bytes(200), "has no column prefix"),
    ],
)
def test_a_file_that_is_no_list_of_prices_is_refused(content: bytes, sentence: str) -> None:
    tariff = make_tariff(sms("977", "1"))
    with pytest.raises(InvalidInput, match=sentence):
        import_prices(tariff=tariff, file=BytesIO(content), replaces=True)
    assert shown(tariff) == [("977", "sms", 1, None)]


def test_100_000_prefixes_are_imported_and_frozen_in_seconds() -> None:
    account = make_account()
    tariff = make_tariff(account=account)
    rows = [f"{9_770_000 + 7 * n},call,{n % 90}.25,{1 + n % 60}" for n in range(100_000)]
    with cpu_at_most(10):
        import_prices(tariff=tariff, file=csv_file(HEADINGS, *rows))
    with cpu_at_most(10):
        prices = tariffs.current_prices(account)
    for n in (0, 1, 54_321, 99_999):
        assert prices.of(f"+{9_770_000 + 7 * n}123").call == Decimal(f"{n % 90}.25")
    # Other processes read the stored list.
    price_lists.frozen_prices.cache_clear()
    with cpu_at_most(2):
        assert tariffs.current_prices(account).of(f"+{9_770_000 + 7}123").call == Decimal("1.25")
    assert PriceList.objects.count() == 1


class TestCommand:
    def test_it_creates_fills_and_replaces_a_tariff(self, tmp_path: Path) -> None:
        file = tmp_path / "prices.csv"
        file.write_text(f"{HEADINGS}\n977,sms,1,\n977,call,2,60\n")
        out = StringIO()
        call_command("importtariff", str(file), "--tariff", "Retail", "--create", stdout=out)
        assert out.getvalue() == "2 prices imported. The tariff Retail now has 2.\n"
        file.write_text(f"{HEADINGS}\n44,sms,1,\n")
        call_command("importtariff", str(file), "--tariff", "Retail", "--replace", stdout=out)
        assert shown(Tariff.objects.get(name="Retail")) == [("44", "sms", 1, None)]

    @pytest.mark.parametrize(
        ("content", "options", "sentence"),
        [
            (f"{HEADINGS}\n977,sms,1,\n", ["--tariff", "Retial"], "There is no tariff Retial.*are: Retail"),
            (f"{HEADINGS}\nx,sms,1,\n", ["--tariff", "Retail"], "Row 2: “x” is no prefix"),
            (f"{HEADINGS}\nx,sms,1,\n", ["--tariff", "New", "--create"], "Row 2: “x” is no prefix"),
            (None, ["--tariff", "Retail"], "cannot be read: No such file"),
        ],
    )
    def test_after_an_error_nothing_has_changed(
        self, tmp_path: Path, content: str | None, options: list[str], sentence: str
    ) -> None:
        tariff = make_tariff(sms("1", "1"), name="Retail")
        file = tmp_path / "prices.csv"
        if content is not None:
            file.write_text(content)
        with pytest.raises(CommandError, match=sentence):
            call_command("importtariff", str(file), *options)
        assert (Tariff.objects.count(), shown(tariff)) == (1, [("1", "sms", 1, None)])
