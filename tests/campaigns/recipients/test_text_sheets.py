"""campaigns.recipients.sheets reads text in every encoding and with every delimiter."""

import io

import pytest

from campaigns.recipients.sheets import SheetRow, open_sheet
from tests.campaigns.recipients.reading import RAM, SITA, opened


@pytest.mark.parametrize(
    "content",
    [
        "number,name\n9841234567,राम\n",
        "number,name\r\n9841234567,राम",
        "number,name\r9841234567,राम\r",
        "number;name\n9841234567;राम\n",
        "number\tname\n9841234567\tराम\n",
        "number|name\n9841234567|राम\n",
        '"number","name"\n"9841234567"," राम "\n',
        "number;name;\n9841234567;राम;\n",
        "name;number\nराम;9841234567\n",
        "\ufeffnumber,name\n9841234567,राम\n",
        "number,name\n९८४१२३४५६७,राम\n",
        "number,name\n9841234567.0,राम\n",
        "number,name\n9841234567,रा\x08म\u200b\n".replace("\x08", "\x7f"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_text_is_read_in_every_usual_form(content: str, encoding: str) -> None:
    sheet = opened(content.encode(encoding))
    assert sheet.columns == ["tags_name"]
    assert list(sheet) == [SheetRow(2, *RAM, {"tags_name": "राम"})]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("title", ["Shree Sample School\n", "School\nClass 5, Section A\n", "List\n\n"])
def test_delimiter_is_found_below_a_title(title: str, delimiter: str) -> None:
    lines = ["Name", "Phone"], ["Ram", "9841000001"], ["Sita", "9841000002"], ["Hari", "9841000003"]
    content = title + "".join(delimiter.join(line) + "\n" for line in lines)
    rows = list(open_sheet(io.BytesIO(content.encode())))
    assert [(row.number, row.tags) for row in rows] == [
        ("9841000001", {"tags_Name": "Ram"}),
        ("9841000002", {"tags_Name": "Sita"}),
        ("9841000003", {"tags_Name": "Hari"}),
    ]


def test_a_list_with_several_numbers_in_some_lines_stays_one_column() -> None:
    content = "9841000001\n9841000002\n9841000003; 9851000003\n9841000004\n9841000005\n"
    assert len(list(open_sheet(io.BytesIO(content.encode())))) == 6


def test_a_sep_line_sets_the_delimiter() -> None:
    assert [row.tags for row in opened("sep=;\nnumber;name\n9841234567;a,b,c\n")] == [{"tags_name": "a,b,c"}]
    assert [row.row for row in opened("sep=;\nnumber;name\n9841234567;a,b,c\n")] == [3]


def test_quoted_fields_can_contain_delimiters_quotes_and_line_breaks() -> None:
    sheet = opened('number,note\n9841234567,"a, ""b""\nc"\n9801234567,d\n')
    assert [(row.row, row.tags["tags_note"]) for row in sheet] == [(2, 'a, "b"\nc'), (3, "d")]


def test_a_list_of_one_column_is_read() -> None:
    sheet = opened("9841234567\n\n+977 980-1234567\n9841234567\n")
    assert [(row.row, row.to) for row in sheet] == [(1, RAM[1]), (3, SITA[1]), (4, RAM[1])]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("25", 25),
        ("-3", -3),
        ("0", 0),
        ("007", "007"),
        ("+5", "+5"),
        ("2.50", "2.50"),
        ("1" * 16, "1" * 16),
        ("२५", "२५"),
    ],
)
def test_digits_become_numbers_only_without_loss(text: str, value: object) -> None:
    assert [row.tags for row in opened(f"number,x\n9841234567,{text}\n")] == [{"tags_x": value}]
