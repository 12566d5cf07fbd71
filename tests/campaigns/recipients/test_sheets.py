"""campaigns.recipients.sheets recognizes sheets and reads their rows."""

import datetime
import io
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns.recipients.sheets import NotASheet, Sheet, SheetRow, SheetTooLarge, open_sheet
from tests.campaigns.recipients import workbooks
from tests.campaigns.recipients.workbooks import archive, rows_of, xlsx
from tests.scale import at_scale

DATA = Path(__file__).with_name("data")
RAM = ("9841234567", "+9779841234567")
SITA = ("9801234567", "+9779801234567")


def opened(content: bytes | str) -> Sheet:
    return open_sheet(io.BytesIO(content.encode() if isinstance(content, str) else content))


def saved(*tables: list[list[Any]]) -> bytes:
    """Return the bytes of a workbook with these tables, saved by openpyxl."""
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    for table in tables:
        sheet = workbook.create_sheet()
        for row in table:
            sheet.append(row)
    file = io.BytesIO()
    workbook.save(file)
    return file.getvalue()


def rejection_message(content: bytes | str) -> str:
    """Return the message with which the file, or the reading of its rows, is refused."""
    with pytest.raises((NotASheet, SheetTooLarge)) as refused:
        list(opened(content))
    return refused.value.message


# Layout ----------------------------------------------------------------------------------------------------


def test_a_sheet_gives_numbers_with_a_tag_for_every_other_column() -> None:
    sheet = opened(
        saved(
            [
                ["numbers", "name", "age", "salary"],
                [9841234567, "राम ", 25, "३०,०००"],
                [9841234567, "सीता", 30.5, None],
                ["+977 980-1234567", " Hari\xa0Gopal ", 25.0, "x"],
            ]
        )
    )
    assert sheet.columns == ["tags_name", "tags_age", "tags_salary"]
    assert sheet.number_heading == "numbers"
    assert list(sheet) == [
        SheetRow(2, *RAM, {"tags_name": "राम", "tags_age": 25, "tags_salary": "३०,०००"}),
        SheetRow(3, *RAM, {"tags_name": "सीता", "tags_age": 30.5, "tags_salary": ""}),
        SheetRow(
            4,
            "+977 980-1234567",
            "+9779801234567",
            {"tags_name": "Hari Gopal", "tags_age": 25, "tags_salary": "x"},
        ),
    ]
    assert sheet.errors == []
    assert sheet.error_count == 0


@pytest.mark.parametrize(
    "heading",
    [
        *(
            "number",
            "Numbers",
            " PHONE ",
            "phone number",
            "Phone_Number",
            "phone-no.",
            "Mobile",
            "MOBILE NO.",
        ),
        *("contact", "Contact Number:", "फोन नम्बर", "मोबाइल", "सम्पर्क नम्बर"),
    ],
)
def test_a_column_with_a_known_heading_has_the_numbers(heading: str) -> None:
    sheet = opened(saved([["S.N.", "name", heading], [1, "Ram", 9841234567]]))
    assert sheet.columns == ["tags_S.N.", "tags_name"]
    assert list(sheet) == [SheetRow(2, *RAM, {"tags_S.N.": 1, "tags_name": "Ram"})]


def test_a_phone_column_is_preferred_to_a_contact_column() -> None:
    sheet = opened("contact,phone\nRam,9841234567\n")
    assert list(sheet) == [SheetRow(2, *RAM, {"tags_contact": "Ram"})]


def test_without_a_known_heading_the_first_column_has_the_numbers() -> None:
    sheet = opened("whom,name\n9841234567,Ram\n")
    assert sheet.number_heading == "whom"
    assert list(sheet) == [SheetRow(2, *RAM, {"tags_name": "Ram"})]


def test_headings_become_tags() -> None:
    sheet = opened("number, Full  name ,name,,name,{age},tags_ward,name\n9841234567,a,b,c,d,e,f,g\n")
    assert sheet.columns == [
        "tags_Full_name",
        "tags_name",
        "tags_name_2",
        "tags_age",
        "tags_ward",
        "tags_name_3",
    ]
    assert list(next(iter(sheet)).tags.values()) == ["a", "b", "d", "e", "f", "g"]


@pytest.mark.parametrize(
    ("text", "columns", "row"),
    [
        ("9841234567", [], SheetRow(1, *RAM, {})),
        ("9841234567,Ram,25", ["tags_column2", "tags_column3"], {"tags_column2": "Ram", "tags_column3": 25}),
        ("Ram;9841234567", ["tags_column1"], {"tags_column1": "Ram"}),
        ("\n\n98675432123", [], SheetRow(3, "98675432123", "", {})),
    ],
)
def test_tags_of_a_sheet_without_headings_are_named_by_position(
    text: str, columns: list[str], row: Any
) -> None:
    sheet = opened(text)
    assert sheet.columns == columns
    assert list(sheet) == [row if isinstance(row, SheetRow) else SheetRow(1, *RAM, row)]


def test_a_single_row_of_several_numbers_is_refused() -> None:
    assert "in one row" in rejection_message("9841234567,9801234567,9811234567\n")
    assert len(list(opened("9841234567,9801234567\n9841234568,9801234568\n"))) == 2


def test_blank_rows_are_skipped_and_invalid_ones_reported_with_their_row_number() -> None:
    sheet = opened(
        saved([[], ["number", "name"], ["abc", "x"], [], [9841234567, "Ram"], [None, "Sita"], [" ", " "]])
    )
    assert [row.row for row in sheet] == [5]
    assert [error["row"] for error in sheet.errors] == [3, 6]
    assert sheet.errors[0]["message"].startswith("“abc” has characters that no phone number has")
    assert sheet.errors[1]["message"].startswith("The phone number is missing")


def test_only_the_first_hundred_errors_are_kept_but_all_are_counted() -> None:
    sheet = opened("number\n" + "abc\n" * 250 + "9841234567\n")
    for _ in range(2):
        assert [row.row for row in sheet] == [252]
        assert [error["row"] for error in sheet.errors] == list(range(2, 102))
        assert sheet.error_count == 250


def test_a_sheet_can_be_iterated_twice() -> None:
    for content in (
        saved([["number"], [9841234567]]),
        b"number\n9841234567\n",
        workbooks.ods([["9841234567"]]),
    ):
        sheet = opened(content)
        assert list(sheet) == list(sheet)
        assert len(list(sheet)) == 1


def test_an_upload_is_read_and_left_open() -> None:
    for content in (saved([["number"], [9841234567]]), b"number\n9841234567\n"):
        upload = SimpleUploadedFile("phpA1b2C3", content, content_type="<Content-type header>")
        assert [row.number for row in open_sheet(upload)] == ["9841234567"]  # type: ignore[arg-type]
        assert not upload.closed


def test_short_rows_are_filled_and_long_rows_are_cut() -> None:
    sheet = opened("number,name,age\n9841234567\n9801234567,Sita,30,more\n")
    assert [row.tags for row in sheet] == [
        {"tags_name": "", "tags_age": ""},
        {"tags_name": "Sita", "tags_age": 30},
    ]


def test_an_overlong_value_is_reported() -> None:
    sheet = opened(f"number,name\n9841234567,{'x' * 1001}\n9841234567,{'x' * 1000}\n")
    assert [row.row for row in sheet] == [3]
    assert sheet.errors == [
        {"row": 2, "message": "The value of tags_name is longer than 1,000 characters. Shorten it."}
    ]


def test_too_many_rows_are_refused_with_the_limit(settings: Any) -> None:
    settings.IRIS_SHEET_MAX_ROWS = 3
    assert len(list(opened("number\n\n" + "9841234567\n" * 3 + "\n\n"))) == 3
    sheet = opened("number\n9841234567\nabc\n9841234567\n9841234567\n")
    with pytest.raises(SheetTooLarge, match="more than 3 rows"):
        list(sheet)


# Cells -----------------------------------------------------------------------------------------------------


def test_cells_of_every_kind_become_plain_values() -> None:
    sheet = opened(
        saved(
            [
                ["number", "whole", "float", "yes", "day", "moment", "time", "error", "text"],
                [
                    9841234567.0,
                    25.0,
                    0.1 + 0.2,
                    True,
                    datetime.date(2026, 1, 31),
                    datetime.datetime(2026, 1, 31, 17, 5, 9),
                    datetime.time(17, 5),
                    "#N/A",
                    "007",
                ],
            ]
        )
    )
    assert list(next(iter(sheet)).tags.values()) == [
        25,
        0.3,
        "TRUE",
        "2026-01-31",
        "2026-01-31 17:05:09",
        "17:05",
        "",
        "007",
    ]


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("<v>25</v>", 25),
        ("<v>25.0</v>", 25),
        ("<v>9.841234567E9</v>", 9841234567),
        ("<v>-1.5</v>", -1.5),
        ("<v>1e999</v>", ""),
        ("<v>nan</v>", ""),
        ("<v>1_000</v>", "1_000"),
        ("<v>12345678901234567890</v>", 1.23456789012346e19),
        ("<v></v>", ""),
        ("<v>  </v>", ""),
        ("<f>1+1</f><v>2</v>", 2),
        ('<f t="shared" ref="B2:B3" si="0"/><v>2</v>', 2),
        ("<f>IF(1&gt;0,1)</f>", ""),
    ],
)
def test_numeric_cells_are_converted(cell: str, value: object) -> None:
    rows = (
        rows_of([["number", "x"]]) + f'<row r="2"><c r="A2"><v>9841234567</v></c><c r="B2">{cell}</c></row>'
    )
    assert [row.tags for row in opened(xlsx(rows))] == [{"tags_x": value}]


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ('t="b"><v>1</v>', "TRUE"),
        ('t="b"><v>0</v>', "FALSE"),
        ('t="e"><v>#REF!</v>', ""),
        ('t="str"><f>A1&amp;"x"</f><v>a &amp; b &lt;c&gt; &#x928;&#2350;</v>', "a & b <c> नम"),
        ('t="d"><v>2026-01-31T00:00:00</v>', "2026-01-31"),
        ('t="s"><v>0</v>', "राम & सीता"),
        ('t="s"><v>1</v>', "bold and not"),
        ('t="s"><v>2</v>', "東京"),
        ('t="s"><v>3</v>', ""),
        ('t="s"><v>4</v>', "a\nb"),
        ('t="inlineStr"><is><r><t>one </t></r><r><t>two</t></r></is>', "one two"),
        ('t="inlineStr"><is><t>x<!-- no --><![CDATA[<y>]]></t></is>', "x<y>"),
        ('t="inlineStr"><is><t>a_x000D_\nb_x0000_c_xD800_</t></is>', "a\nbc"),
    ],
)
def test_text_cells_are_read_in_every_notation(cell: str, value: str) -> None:
    strings = (
        "<si><t>राम &amp; सीता</t></si>"
        '<si><r><rPr><b/></rPr><t>bold</t></r><r><t xml:space="preserve"> and not</t></r></si>'
        '<si><t>東京</t><rPh sb="0" eb="2"><t>とうきょう</t></rPh></si>'
        "<si><t/></si><si><t>a_x000B_b</t></si>"
    )
    rows = (
        rows_of([["number", "x"]]) + f'<row r="2"><c r="A2"><v>9841234567</v></c><c r="B2" {cell}</c></row>'
    )
    assert [row.tags for row in opened(xlsx(rows, strings=strings))] == [{"tags_x": value}]


@pytest.mark.parametrize(
    ("format", "code", "value"),
    [
        ("14", None, "2026-01-31"),
        ("22", None, "2026-01-31"),
        ("164", "yyyy\\-mm\\-dd", "2026-01-31"),
        ("164", "[$-409]d/m/yy h:mm AM/PM;@", "2026-01-31"),
        ("164", "[h]:mm", "2026-01-31"),
        ("0", None, 46053),
        ("164", '0.00" days"', 46053),
        ("164", "[Red]0;General", 46053),
    ],
)
def test_a_number_with_a_date_style_is_read_as_a_date(format: str, code: str | None, value: object) -> None:
    own = f'<numFmts count="1"><numFmt numFmtId="164" formatCode="{code}"/></numFmts>'.replace(
        '" d', "&quot; d"
    )
    if code:
        own = f"<numFmts><numFmt numFmtId='164' formatCode='{code}'/></numFmts>"
    styles = (own if code else "") + (
        '<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>'
        f'<cellXfs><xf numFmtId="0"/><xf numFmtId="{format}"/></cellXfs>'
    )
    rows = (
        rows_of([["number", "x"]])
        + '<row r="2"><c r="A2"><v>9841234567</v></c><c r="B2" s="1"><v>46053</v></c></row>'
    )
    assert [row.tags for row in opened(xlsx(rows, styles=styles))] == [{"tags_x": value}]


@pytest.mark.parametrize(
    ("serial", "value"),
    [
        ("0.5", "12:00"),
        ("1", "1900-01-01"),
        ("60", "1900-02-28"),
        ("61", "1900-03-01"),
        ("-1", -1),
        ("99999999", 99999999),
    ],
)
def test_day_numbers_are_converted_like_excel(serial: str, value: object) -> None:
    styles = '<cellXfs><xf numFmtId="14"/></cellXfs>'
    rows = rows_of([["number", "x"]]).replace("<c ", '<c s="9" ') + (
        f'<row r="2"><c r="A2" s="9"><v>9841234567</v></c><c r="B2" s="0"><v>{serial}</v></c></row>'
    )
    assert [row.tags for row in opened(xlsx(rows, styles=styles))] == [{"tags_x": value}]


def test_day_numbers_start_in_1904_if_the_workbook_says_so() -> None:
    styles = '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs>'
    rows = '<row r="1"><c r="A1"><v>9841234567</v></c><c r="B1" s="1"><v>44591</v></c></row>'
    content = xlsx(rows, styles=styles, properties='<workbookPr date1904="1"/>')
    assert [row.tags for row in opened(content)] == [{"tags_column2": "2026-01-31"}]


# Workbooks -------------------------------------------------------------------------------------------------

TABLE = st.lists(
    st.lists(
        st.none()
        | st.integers(-(10**15), 10**16)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(alphabet="aन&<>\"' \n_x0D", max_size=8),
        max_size=5,
    ),
    max_size=6,
)


@given(TABLE)
@settings(deadline=None)
def test_the_pattern_and_expat_read_the_same_rows(table: list[list[Any]]) -> None:
    table = [["number", "b", "c", "d", "e"], *([9841234567, *row[1:]] for row in table)]
    rows = rows_of(table)
    plain = list(opened(xlsx(rows)))
    assert len(plain) == len(table) - 1
    assert plain == list(opened(xlsx(rows.replace("</row>", "<!-- other lane --></row>"))))
    assert plain == list(opened(xlsx(workbooks.prefixed_worksheet(table))))


@given(st.lists(st.sampled_from(["plain", "comment", "prefix", "blank", "gap"]), max_size=12))
@settings(deadline=None)
def test_rows_read_by_pattern_and_by_expat_keep_their_order_and_numbers(kinds: list[str]) -> None:
    rows, expected, at = "", [], 1
    for kind in kinds:
        at += 3 if kind == "gap" else 1
        cell = f'<c r="A{at}"><v>{9841000000 + at}</v></c>'
        if kind == "comment":
            cell += "<!-- <c -->"
        rows += f'<row r="{at}"/>' if kind == "blank" else f'<row r="{at}" spans="1:1">{cell}</row>\n'
        expected += [] if kind == "blank" else [(at, str(9841000000 + at))]
    # Long texts make the file span several chunks.
    filler = f'<row r="9000"><c r="B9000" t="str"><v>{"x" * 200_000}</v></c></row>'
    content = xlsx(rows_of([["number"]]) + rows + filler)
    assert [(row.row, row.number) for row in opened(content)] == expected


@given(
    st.lists(
        st.lists(st.sampled_from(["A", "B", "C", "Z", "AB", "IV", "XFD"]), max_size=5), min_size=1, max_size=9
    )
)
@settings(deadline=None)
def test_rows_may_grow_wider_and_have_gaps(table: list[list[str]]) -> None:
    rows = '<row r="1"><c r="A1" t="str"><v>number</v></c><c r="IV1" t="str"><v>last</v></c></row>'
    expected = []
    for at, columns in enumerate(table, start=2):
        letters = sorted({"A", *columns}, key=lambda letters: (len(letters), letters))
        cells = "".join(f'<c r="{column}{at}"><v>{9841000000 + at}</v></c>' for column in letters)
        rows += f'<row r="{at}">{cells}</row>'
        expected.append((at, 9841000000 + at if "IV" in letters else ""))
    narrow_first = f'<row r="1"/>{rows.replace("IV1", "B1", 1)}'
    assert [(row.row, row.tags["tags_last"]) for row in opened(xlsx(rows))] == expected
    assert [row.row for row in opened(xlsx(narrow_first))] == [at for at, _ in expected]


def test_a_sheet_without_heading_has_as_many_columns_as_its_first_row() -> None:
    rows = rows_of([[None], [9841234567, "Ram"], [9841234567, "Sita", None, "more"]])
    assert opened(xlsx(rows)).columns == ["tags_column2"]


def test_row_numbers_rise_even_if_the_file_numbers_rows_wrongly() -> None:
    rows = "".join(f'<row r="{at}"><c r="A{at}"><v>9841234567</v></c></row>' for at in (3, 3, 1, 9))
    assert [row.row for row in opened(xlsx(rows))] == [3, 4, 5, 9]


@pytest.mark.parametrize(
    "rows",
    [
        "<row><c><v>9841234567</v></c><c t='str'><v>Ram</v></c></row>",
        "<row r='1'><c r='B1' t='str'><v>Ram</v></c><c r='A1'><v>9841234567</v></c></row>",
        '<row spans="1:2" r="1"><c r="B1" t="str"><v>Ram</v></c><c r="A1"><v>9841234567</v></c></row>',
        '<row r="1"><c r="A1"><v>9841234567</v></c><c r="B1" t="str"><v>Ram</v></c><c r="XFD1"/></row>',
        '<?pi?><row r="1">\n <c r="A1"> <v>9841234567</v></c>\n <c r="B1" t="str"><v>Ram</v></c>\n</row>',
    ],
)
def test_rows_with_unusual_xml_are_read(rows: str) -> None:
    assert list(opened(xlsx(rows))) == [SheetRow(1, *RAM, {"tags_column2": "Ram"})]


def test_a_workbook_in_utf_16_is_read() -> None:
    sheet = workbooks.worksheet(rows_of([["number", "नाम"], [9841234567, "राम"]])).replace("UTF-8", "UTF-16")
    assert list(opened(xlsx(sheet.encode("utf-16")))) == [SheetRow(2, *RAM, {"tags_नाम": "राम"})]


def test_parts_are_found_regardless_of_case_and_slashes() -> None:
    content = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(xlsx(rows_of([[9841234567]])))) as source,
        zipfile.ZipFile(content, "w") as target,
    ):
        for name in source.namelist():
            target.writestr(name.replace("sheet1", "Sheet1").replace("/", "\\"), source.read(name))
    assert len(list(opened(content.getvalue()))) == 1


@pytest.mark.parametrize(
    ("sheets", "states", "number"),
    [
        (["", rows_of([[9841234567]])], [], RAM),
        (['<row r="1"><c r="A1"/></row>', rows_of([[9841234567]])], [], RAM),
        ([rows_of([[9841234567]]), rows_of([[9801234567]])], [], RAM),
        ([rows_of([[9841234567]]), rows_of([[9801234567]])], ["hidden", "visible"], SITA),
        ([rows_of([[9841234567]]), ""], ["veryHidden", "visible"], RAM),
    ],
)
def test_the_first_worksheet_that_is_not_empty_is_read(
    sheets: list[str], states: list[str], number: tuple[str, str]
) -> None:
    assert list(opened(xlsx(*sheets, states=states))) == [SheetRow(1, *number, {})]


def test_chart_sheets_are_ignored() -> None:
    content = xlsx(
        "<?xml version='1.0'?><chartsheet/>", rows_of([[9841234567]]), kinds=["chartsheet", "worksheet"]
    )
    assert len(list(opened(content))) == 1


def test_an_xls_workbook_is_read() -> None:
    """numbers.xls has an empty sheet, and a second one whose table begins in B3."""
    sheet = opened((DATA / "numbers.xls").read_bytes())
    assert sheet.columns == ["tags_name", "tags_age", "tags_joined"]
    assert list(sheet) == [
        SheetRow(4, *RAM, {"tags_name": "राम", "tags_age": 25, "tags_joined": "2026-01-31"}),
        SheetRow(5, *SITA, {"tags_name": "Sita", "tags_age": 30.5, "tags_joined": ""}),
    ]
    assert [error["row"] for error in sheet.errors] == [7]


@pytest.mark.parametrize("make", [workbooks.ods, workbooks.xlsb])
def test_ods_and_xlsb_workbooks_are_read(make: Any) -> None:
    sheet = opened(make([["number", "name"], ["9841234567", "राम"], ["9801234567", "सीता"]]))
    assert list(sheet) == [SheetRow(2, *RAM, {"tags_name": "राम"}), SheetRow(3, *SITA, {"tags_name": "सीता"})]


# Text ------------------------------------------------------------------------------------------------------


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


# Files that are not sheets, and hostile files --------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file is empty"),
        (b"\xef\xbb\xbf", "The file is empty"),
        (b"\xff\xfe", "The file is empty"),
        (b" \r\n\t\n", "The file is empty"),
        (b",,,\n,,\n", "The sheet is empty"),
        (b"<!DOCTYPE html><table><tr><td>9841234567", "a web page"),
        (b"\xef\xbb\xbf\n <html xmlns:x='urn:schemas-microsoft-com:office:excel'>", "a web page"),
        (b'<?xml version="1.0"?><Workbook/>', "an XML document"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"\x89PNG\r\n\x1a\n\0\0", "an image"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "an image"),
        (b"ID3\x04\0\0", "a recording"),
        (b"RIFF\0\0\0\0WAVEfmt ", "a recording"),
        (b"\x1f\x8b\x08\0", "a packed archive"),
        (b'{"number": 9841234567}', "JSON"),
        (b"[9841234567, 9801234567]", "JSON"),
        (b"{\\rtf1 9841234567}", "a text document"),
        (b"\x00\x01\x02\x03", "neither a spreadsheet nor a text file"),
        (b"9841234567\x00", "neither a spreadsheet nor a text file"),
        (b"\xfe\x9c\x00\xff", "neither a spreadsheet nor a text file"),
        ("number,name\n9841234567,Zoë\n".encode("latin-1"), "not in UTF-8"),
        (b"number\n" * 20_000 + b"\xff\xff", "beyond row"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 2_000, "cannot be read as a spreadsheet"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
            "protected by a password",
        ),
        (b"PK\x05\x06" + b"\0" * 18, "an empty archive"),
        (b"PK\x03\x04 and no more", "damaged"),
        (archive({"numbers.xlsx": b"PK\x03\x04"}), "a packed archive"),
        (archive({"word/document.xml": "<w/>", "[Content_Types].xml": "<Types/>"}), "a Word document"),
        (archive({"[Content_Types].xml": "<Types/>", "xl/other.xml": "<x/>"}), "damaged"),
        (saved([]), "The sheet is empty"),
        (saved([[None, " "], []]), "The sheet is empty"),
    ],
)
def test_a_file_that_is_no_sheet_is_refused_with_its_kind(content: bytes, sentence: str) -> None:
    assert sentence in rejection_message(content)


def test_an_archive_with_too_much_unpacked_data_is_refused(settings: Any) -> None:
    settings.IRIS_SHEET_MAX_UNPACKED_BYTES = 1_000_000
    assert "unpacks to 5 MB; 1 MB are allowed" in rejection_message(
        xlsx(rows_of([[9841234567]]), extra={"x": bytes(5 * 2**20)})
    )


def test_an_archive_with_false_sizes_is_refused_as_damaged() -> None:
    rows = rows_of([[9841234567]] * 3_000)
    content = xlsx(rows)
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        true = packed.getinfo("xl/worksheets/sheet1.xml").file_size
    lying = content.replace(true.to_bytes(4, "little"), (20_000).to_bytes(4, "little"))
    assert lying != content
    assert "damaged" in rejection_message(lying)


def test_an_archive_with_a_wrong_checksum_is_refused_as_damaged() -> None:
    content = xlsx(rows_of([[9841234567]] * 3))
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        checksum = packed.getinfo("xl/worksheets/sheet1.xml").CRC
    assert "damaged" in rejection_message(content.replace(checksum.to_bytes(4, "little"), b"\1\2\3\4"))


def test_a_truncated_workbook_is_refused_as_damaged() -> None:
    content = xlsx(rows_of([[9841234567]] * 50))
    for length in range(4, len(content), 97):
        assert rejection_message(content[:length])


def test_an_archive_with_too_many_members_is_refused() -> None:
    assert "more parts" in rejection_message(archive({str(at): b"" for at in range(2_001)}))


def test_a_protected_archive_is_refused() -> None:
    content = bytearray(xlsx(rows_of([[9841234567]])))
    at = content.rindex(b"PK\x01\x02")
    content[at + 8] |= 1
    assert "protected by a password" in rejection_message(bytes(content))


@pytest.mark.parametrize(
    "sheet",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
        + workbooks.worksheet("<row><c><v>&b;</v></c></row>")[38:],
        workbooks.worksheet("<row>" * 100_000),
        workbooks.worksheet("<row r='1'>" + "<a>" * 1_000_000),
        workbooks.worksheet('<row r="1"><c r="A1" t="s"><v>7</v></c></row>'),
        workbooks.worksheet('<row r="1"><c r="A1" t="s"><v>-1</v></c></row>'),
        workbooks.worksheet('<row r="1"><c r="A1"><v>&undefined;</v></c></row>'),
        workbooks.worksheet('<row r="1"><c r="A1" t="str"><v>&#xD800;</v></c></row>'),
        workbooks.worksheet(f'<row r="1"><c r="A1" {"x" * 100_000}><v>1</v></c></row>'),
        workbooks.worksheet('<row r="1"><c r="A1"><v>1</v></row></c>'),
        workbooks.worksheet('<row r="1"><c r="A1"><v>9841234567</v></c></row>').replace("</sheetData>", ""),
        workbooks.worksheet('<row r="1">' + f"<c><v>{'1' * 200_000}</v></c></row>"),
        "<?xml version='1.0'?><worksheet>" + " " * 5_000_000,
        workbooks.worksheet('<row r="1"><c r="A1"><v>1</v></c></row>').encode() + b"\xff",
        "<?xml version='1.0'?>\N{GRINNING FACE}".encode() + b"\xff\xff",
    ],
)
def test_a_hostile_or_broken_part_is_refused(sheet: str | bytes) -> None:
    assert rejection_message(xlsx(sheet))


def test_two_cells_in_opposite_corners_take_little_memory() -> None:
    rows = (
        '<row r="1"><c r="A1"><v>9841234567</v></c></row>'
        '<row r="1048576"><c r="A1048576"><v>9801234567</v></c><c r="XFD1048576"><v>1</v></c></row>'
    )
    assert [row.row for row in opened(xlsx(rows))] == [1, 1048576]


def test_empty_rows_of_a_wide_sheet_take_little_memory() -> None:
    rows = '<row r="1"><c r="A1" t="str"><v>number</v></c><c r="IV1" t="str"><v>last</v></c></row>'
    content = xlsx(f'{rows}{"<row/>" * 50_000}<row r="60000"><c r="A60000"><v>9841234567</v></c></row>')
    tracemalloc.start()
    try:
        assert [row.row for row in opened(content)] == [60000]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 30 * 2**20


def test_a_long_text_that_many_cells_share_is_stored_once() -> None:
    rows = "".join(
        f'<row r="{at}"><c r="A{at}"><v>9841234567</v></c><c r="B{at}" t="s"><v>0</v></c></row>'
        for at in range(1, 5_001)
    )
    content = xlsx(rows, strings=f"<si><t>{'न' * 30_000}</t></si>")
    tracemalloc.start()
    try:
        sheet = opened(content)
        assert list(sheet) == []
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sheet.error_count == 5_000
    assert peak < 30 * 2**20


@pytest.mark.parametrize(
    "content",
    [workbooks.ods([["9841234567", "x"]], repeated=1_000_000), workbooks.xlsb([[9841234567.0]], corner=True)],
)
def test_an_old_format_file_that_needs_too_much_memory_is_refused(content: bytes) -> None:
    assert "spreadsheet program" in rejection_message(content)


@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
@settings(deadline=None)
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        list(opened(content))
    except (NotASheet, SheetTooLarge):
        return


WORKBOOK = xlsx(
    rows_of([["number", "name"], [9841234567, "Ram"]]) + '<row r="3"><c r="A3" t="s"><v>0</v></c></row>',
    strings="<si><t>9801234567</t></si>",
    styles='<cellXfs><xf numFmtId="14"/></cellXfs>',
)


@pytest.mark.field
@given(at=st.integers(0, len(WORKBOOK) - 1), byte=st.integers(0, 255))
@settings(deadline=None, max_examples=at_scale(100, 5000), suppress_health_check=[HealthCheck.too_slow])
def test_a_workbook_with_one_wrong_byte_is_read_or_refused(at: int, byte: int) -> None:
    content = bytearray(WORKBOOK)
    content[at] = byte
    try:
        rows = list(opened(bytes(content)))
    except (NotASheet, SheetTooLarge):
        return
    assert len(rows) <= 3


PARTS = [
    "[Content_Types].xml",
    "xl/workbook.xml",
    "xl/_rels/workbook.xml.rels",
    "xl/worksheets/sheet1.xml",
    "xl/styles.xml",
]


@pytest.mark.field
@given(
    part=st.sampled_from(PARTS),
    content=st.binary(max_size=50) | st.sampled_from([b"<a/>", b"<worksheet><sheetData>"]),
)
@settings(deadline=None, max_examples=at_scale(100, 5000))
def test_a_workbook_with_any_part_replaced_is_read_or_refused(part: str, content: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(WORKBOOK)) as packed:
        members = {name: packed.read(name) for name in packed.namelist()}
    try:
        list(opened(archive({**members, part: content})))
    except (NotASheet, SheetTooLarge):
        return
