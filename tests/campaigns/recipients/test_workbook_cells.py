"""campaigns.recipients.sheets converts cells of workbooks: numbers, texts and dates."""

import datetime

import pytest

from tests.campaigns.recipients.reading import opened, saved
from tests.campaigns.recipients.workbooks import rows_of, xlsx


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
