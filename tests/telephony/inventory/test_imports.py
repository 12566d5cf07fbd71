"""Operators import phone numbers from CSV files: all rows, or none."""

from __future__ import annotations

from decimal import Decimal
from io import BytesIO, StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from accounts import twins
from iris.errors import InvalidInput
from telephony.inventory import imports
from telephony.inventory.imports import ImportedNumbers, import_numbers
from telephony.models import PhoneNumber
from tests.cpu import cpu_at_most
from tests.factories import make_account, make_phone_number
from tests.scale import at_scale

ROWS = at_scale(10_000, 100_000)

pytestmark = pytest.mark.django_db


def csv_file(*lines: str) -> BytesIO:
    return BytesIO("\n".join(lines).encode())


def test_numbers_are_added_with_all_columns() -> None:
    done = import_numbers(
        file=csv_file(
            "\ufeffName;Rate;number;Capabilities;TRUNKS;state",
            "Office;12.50;9841000001;sms;sandbox;reserved",
            ";40;+44 7400 123456;voice, SMS;;",
            "",
            ";0;015970123;;;available",
        )
    )
    assert done == ImportedNumbers(added=3, changed=0)
    rows = PhoneNumber.objects.order_by("pk").values_list(
        "number", "rate", "capabilities", "friendly_name", "trunks", "is_reserved"
    )
    assert list(rows) == [
        ("9841000001", Decimal("12.50"), "SMS", "Office", ["sandbox"], True),
        ("+447400123456", 40, "Voice, SMS", "", [], False),
        ("015970123", 0, "Voice, SMS", "", [], False),
    ]
    sids = set(PhoneNumber.objects.values_list("sid", flat=True))
    assert len(sids) == 3
    assert all(len(sid) == 32 for sid in sids)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("12,40,,,,", "too short"),
        ("abc,40,,,,", "characters that no phone number has"),
        ("1234567,40,,,,", "not a phone number of any country"),
        (",40,,,,", "missing"),
        ("9841000001,,,,,", "an empty cell is no rate"),
        ("9841000001,-1,,,,", "is no rate"),
        ("9841000001,1.005,,,,", "is no rate"),
        ("9841000001,1e3,,,,", "is no rate"),
        ("9841000001,999999999,,,,", "is no rate"),
        ("9841000001,NaN,,,,", "is no rate"),
        ("9841000001,40,fax,,,", "is no capability"),
        ("9841000001,40,,,gone,", "is no trunk of the carriers file"),
        ("9841000001,40,,,test_twins,", "is no trunk of the carriers file"),
        ("9841000001,40,,,,sold", "is no state"),
        (f"9841000001,40,,{'x' * 101},,", "is not text of at most 100 characters"),
        ("9841000001,40,,a\x07b,,", "is not text of at most 100 characters"),
        ("+977-9841000009,40,,,,", "is also in row 2"),
        ("9841000010,40,,,,", "already in the inventory"),
    ],
)
def test_one_wrong_row_keeps_the_whole_file_out_and_is_named(row: str, words: str) -> None:
    make_phone_number(number="+9779841000010")
    with pytest.raises(InvalidInput) as caught:
        import_numbers(file=csv_file("number,rate,capabilities,name,trunks,state", "9841000009,40,,,,", row))
    assert caught.value.message.startswith("1 rows are wrong, so no number was imported. Row 3: ")
    assert words in caught.value.message
    assert not caught.value.message.rstrip().endswith("..")
    assert PhoneNumber.objects.count() == 1


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (b"", "has no column number"),
        (b"number\n9841000001", "has no column rate"),
        (b"number,rate,number\n", "two columns number"),
        (b"number,rate\n", "no numbers below"),
        (b"number,rate\n\xff\xfe9841", "not text in UTF-8"),
        (b'number,rate\n"9841000001,40', "cannot be read as CSV"),
        (b"PK\x03\x04" + b"\0" * 50, "has no column number"),
    ],
)
def test_file_that_is_no_inventory_is_refused(file: bytes, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        import_numbers(file=BytesIO(file))


def test_update_changes_only_the_columns_of_the_file_and_never_the_state_of_sold_numbers() -> None:
    account = make_account()
    sold = make_phone_number(number="9841000001", owner=account)
    kept = PhoneNumber.objects.create(
        number="+9779841000002", sid="2" * 32, rate=40, friendly_name="Office", trunks=["sandbox"]
    )
    done = import_numbers(
        file=csv_file(
            "number,rate,state", "+9779841000001,50,reserved", "9841000002,60,reserved", "9841000003,1,"
        ),
        updates=True,
    )
    assert done == ImportedNumbers(added=1, changed=2)
    sold.refresh_from_db()
    kept.refresh_from_db()
    assert (sold.number, sold.rate, sold.owner, sold.is_reserved) == ("9841000001", 50, account, False)
    assert (kept.rate, kept.friendly_name, kept.trunks, kept.state) == (60, "Office", ["sandbox"], "reserved")


def test_invented_numbers_of_test_twins_are_never_imported() -> None:
    twin = twins.open_twin(account=make_account())
    number = twin.invented_numbers.earliest("pk").number
    with pytest.raises(InvalidInput, match="invented for a test twin"):
        import_numbers(file=csv_file("number,rate", f"{number},1"), updates=True)


@pytest.mark.field
def test_many_numbers_are_imported_with_bounded_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "MAX_ROWS", ROWS)
    lines = [f"98{row:08},40" for row in range(40_000_000, 40_000_000 + ROWS)]
    with pytest.raises(InvalidInput, match=f"more than {ROWS:,} numbers"):
        import_numbers(file=csv_file("number,rate", *lines, "9849999999,40"))
    assert not PhoneNumber.objects.exists()
    with cpu_at_most(10):
        assert import_numbers(file=csv_file("number,rate", *lines)).added == ROWS


def test_command_imports_and_reports_errors(tmp_path: Path) -> None:
    file = tmp_path / "numbers.csv"
    file.write_text("number,rate\n9841000001,40\n")
    output = StringIO()
    call_command("importnumbers", str(file), stdout=output)
    assert output.getvalue() == "1 numbers added and 0 updated.\n"
    with pytest.raises(CommandError, match="already in the inventory"):
        call_command("importnumbers", str(file))
    call_command("importnumbers", str(file), update=True, stdout=output)
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("importnumbers", str(tmp_path / "none.csv"))


def test_admin_page_imports_and_shows_wrong_rows(admin_client: Client) -> None:
    page = reverse("admin:telephony_phonenumber_import")
    assert page in admin_client.get(reverse("admin:telephony_phonenumber_changelist")).content.decode()
    file = csv_file("number,rate", "9841000001,40")
    file.name = "numbers.csv"
    answer = admin_client.post(page, {"file": file}, follow=True).content.decode()
    assert "1 numbers added and 0 updated" in answer
    file.seek(0)
    assert "already in the inventory" in admin_client.post(page, {"file": file}).content.decode()
