"""Lists as offices, schools and hospitals really send them: who is imported, and what the answer says about the rest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.campaigns.recipients import workbooks
from tests.campaigns.recipients.workbooks import archive, rows_of, xlsx

RAM, SITA, HARI, GITA = 9841000001, 9841000002, 9841000003, 9841000004
DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Case:
    """A list, whom the import reaches (numbers without country code), and words of the answer by row number.

    `names` are values of `tag` in the same order. `is_complete`: the answer reports nothing else.
    """

    content: bytes | str
    reached: tuple[int, ...] = ()
    said: tuple[tuple[int, str], ...] = ()
    refused: str = ""
    tag: str = "tags_Name"
    names: tuple[object, ...] = ()
    is_complete: bool = True
    file: str = "list.xlsx"


def sheet(*rows: list[object]) -> bytes:
    return xlsx(rows_of(rows))


def csv(*lines: str) -> str:
    return "\n".join(lines) + "\n"


def formula(xml: str) -> bytes:
    return xlsx(rows_of([["Name", "Mobile"]]) + xml)


def ods_rows(*rows: tuple[str, list[str]]) -> bytes:
    """Return an .ods file whose rows have these attributes. A cell that begins with < is XML."""
    content = ""
    for attributes, cells in rows:
        content += f"<table:table-row{attributes}>"
        for cell in cells:
            content += (
                cell if cell.startswith("<") else f"{STRING_CELL}<text:p>{cell}</text:p></table:table-cell>"
            )
        content += "</table:table-row>"
    return workbooks.with_rows_of_ods(content)


STRING_CELL = '<table:table-cell office:value-type="string">'


def in_preeti(number: int) -> str:
    """Return what a clerk types to see a number in the legacy font Preeti."""
    return str(number).translate(str.maketrans("1234567890", "!@#$%^&*()"))


HEAD: list[object] = ["S.N.", "Name", "Mobile No."]
CASES: dict[str, Case] = {
    # What is in one cell.
    "labels and short forms": Case(
        sheet(
            ["Name", "Mobile No."],
            ["Ram", f"मो.नं. {RAM}"],
            ["Sita", f"Mob.No.:{SITA}"],
            ["Hari", f"(M) {HARI}"],
            ["Gita", f"NTC-{GITA}"],
        ),
        (RAM, SITA, HARI, GITA),
        names=("Ram", "Sita", "Hari", "Gita"),
    ),
    "labels behind the number": Case(
        csv(
            "Name,Mobile", f"Ram,{RAM} (NTC)", f"Sita,{SITA}-Ncell", f"Hari,{HARI} मोबाइल", f"Gita,{GITA} (M)"
        ),
        (RAM, SITA, HARI, GITA),
    ),
    "remarks behind the number": Case(
        csv("Name,Mobile", f"Ram,{RAM} (wrong number)", f"Sita,{SITA}", f"Hari,{HARI} - father"),
        (SITA,),
        ((2, "characters that no phone number has"), (4, "characters that no phone number has")),
    ),
    "two numbers without a comma": Case(
        sheet(
            ["Name", "Mobile"],
            ["Ram", f"{RAM} {SITA}"],
            ["Hari", f"+977-{HARI} +977-{GITA}"],
            ["Anu", "9841000005-9841000006"],
            ["Maya", "9841-000007, 9841-000008 / -"],
        ),
        (RAM, SITA, HARI, GITA, 9841000005, 9841000006, 9841000007, 9841000008),
        names=("Ram", "Ram", "Hari", "Hari", "Anu", "Anu", "Maya", "Maya"),
    ),
    "shortened second number": Case(
        csv("Mobile,Name", f"{RAM}/02,Ram", f"{SITA},Sita"),
        (SITA,),
        ((2, "characters that no phone number has"),),
    ),
    "grouped digits": Case(
        csv(
            "Name;Mobile",
            "Ram;9,84,10,00,001",
            "Sita;9,841,000,002.00",
            f"Hari;{HARI},00",
            "Gita;९,८४,१०,००,००४",
        ),
        (RAM, SITA, HARI, GITA),
    ),
    "blanks that are none": Case(
        csv(
            "Mobile,Name",
            "+977\N{NO-BREAK SPACE}9841\N{NARROW NO-BREAK SPACE}000001,Ram",
            "\N{LEFT-TO-RIGHT EMBEDDING}984\N{NON-BREAKING HYPHEN}1000002\N{POP DIRECTIONAL FORMATTING},Sita",
            "\N{ZERO WIDTH NO-BREAK SPACE}9841\N{FIGURE SPACE}000003,Hari",
        ),
        (RAM, SITA, HARI),
    ),
    "digits of a legacy font": Case(
        sheet(
            ["gfd", "df]afOn g+="],
            ["/fd", in_preeti(RAM)],
            ["l;tf", in_preeti(SITA)],
        ),
        (RAM, SITA),
        tag="tags_gfd",
        names=("/fd", "l;tf"),
    ),
    "Devanagari digits in several forms": Case(
        csv("नाम,मोबाइल नं.", "राम,९८४१-०००००१", '"सीता","९८४१०००००२ , ९८४१०००००३"', "गीता,मो. ९८४१०००००४।"),
        (RAM, SITA, HARI, GITA),
        tag="tags_नाम",
        names=("राम", "सीता", "सीता", "गीता"),
    ),
    "scientific notation": Case(
        csv("Name,Mobile", "Ram,9.841000001E+09", "Sita,9.84E+09", f"Hari,{HARI}.0"),
        (RAM, HARI),
        ((3, "has lost digits"),),
    ),
    # Where the table is.
    "two lists side by side": Case(
        sheet(
            ["S.N.", "Name", "Mobile", None, "S.N.", "Name", "Mobile"],
            [1, "Ram", RAM, None, 3, "Hari", HARI],
            [2, "Sita", SITA, None, 4, "Gita", GITA],
        ),
        (RAM, SITA),
        ((2, "Column G has phone numbers too"),),
    ),
    "two lists side by side, the second one longer": Case(
        sheet(
            ["Name", "Mobile", "Name", "Mobile"],
            ["Ram", RAM, "Hari", HARI],
            [None, None, "Gita", GITA],
        ),
        (RAM,),
        ((2, "Column D has phone numbers too"), (3, "The phone number is missing")),
    ),
    "numbers in several columns without headings": Case(
        csv(f"{RAM},{SITA}", f"{HARI},{GITA}"),
        (RAM, HARI),
        ((1, "Column B has phone numbers too"),),
        names=(),
    ),
    "letterhead with a telephone": Case(
        sheet(
            ["Shree Sample Secondary School"],
            ["Phone: 01-5912345"],
            ["Class 5, Section A"],
            ["S.N.", "Name", "Guardian's Mobile"],
            [1, "Ram", RAM],
            [2, "Sita", SITA],
        ),
        (RAM, SITA),
        names=("Ram", "Sita"),
    ),
    "a list of labelled numbers keeps its first": Case(
        csv(f"Mob: {RAM}", f"Mob: {SITA}", f"Mob: {HARI}"), (RAM, SITA, HARI)
    ),
    "heading again on each page": Case(
        sheet(HEAD, [1, "Ram", RAM], HEAD, [2, "Sita", SITA], [*HEAD, None], [3, "Hari", HARI]),
        (RAM, SITA, HARI),
        names=("Ram", "Sita", "Hari"),
    ),
    "totals and signatures": Case(
        sheet(HEAD, [1, "Ram", RAM], [2, "Sita", SITA], ["Total", None, 2], [], [None, "Prepared by", None]),
        (RAM, SITA),
        ((4, "too short"), (6, "missing")),
    ),
    "wards between the rows": Case(
        sheet(HEAD, ["Ward 1"], [1, "Ram", RAM], ["Ward 2"], [2, "Sita", SITA]),
        (RAM, SITA),
        ((2, "missing"), (4, "missing")),
    ),
    "dates instead of names": Case(
        xlsx(
            rows_of([["Date", "Mobile"]])
            + f'<row r="2"><c r="A2" s="1"><v>46054</v></c><c r="B2"><v>{RAM}.0</v></c></row>',
            styles='<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs>',
        ),
        (RAM,),
        tag="tags_Date",
        names=("2026-02-01",),
    ),
    # Which sheet is read.
    "cover sheet first": Case(
        xlsx(
            rows_of([["Sample Municipality"], ["Ward office, phone 01-5912345"], ["List of citizens, 2082"]]),
            rows_of([HEAD, [1, "Ram", RAM], [2, "Sita", SITA]]),
        ),
        (RAM, SITA),
        ((1, "The worksheet “Sheet1” has rows too"),),
        names=("Ram", "Sita"),
    ),
    "list of one person first": Case(
        xlsx(rows_of([HEAD, [1, "Ram", RAM]]), rows_of([HEAD, [2, "Sita", SITA], [3, "Hari", HARI]])),
        (RAM,),
        ((1, "The worksheet “Sheet2” has rows too"),),
    ),
    "empty sheets first, another list behind": Case(
        xlsx("", "", rows_of([HEAD, [1, "Ram", RAM]]), rows_of([HEAD, [2, "Sita", SITA]])),
        (RAM,),
        ((1, "The worksheet “Sheet4” has rows too"),),
    ),
    "many wrong rows and a second sheet": Case(
        xlsx(rows_of([["Mobile"], [RAM], *[["?"]] * 150]), rows_of([["Mobile"], [SITA]])),
        (RAM,),
        ((1, "The worksheet “Sheet2” has rows too"),),
        is_complete=False,
    ),
    # Hidden rows, in each format.
    "filtered .ods": Case(
        ods_rows(
            ("", ["Name", "Mobile"]),
            ("", ["Ram", str(RAM)]),
            (' table:visibility="filter"', ["Sita", str(SITA)]),
            (' table:visibility="collapse" table:number-rows-repeated="2"', ["Hari", str(HARI)]),
            ("", ["Gita", str(GITA)]),
        ),
        (RAM, GITA),
        ((3, "3 rows are hidden"),),
        file="list.ods",
    ),
    "filtered .xlsb": Case(
        workbooks.xlsb([["Name", "Mobile"], ["Ram", RAM], ["Sita", SITA], ["Hari", HARI]], hidden=(2,)),
        (RAM, HARI),
        ((3, "1 rows are hidden"),),
        file="list.xlsb",
    ),
    "filtered .xls": Case(
        (DATA / "filtered.xls").read_bytes(), (RAM, GITA), ((3, "2 rows are hidden"),), file="list.xls"
    ),
    # How the file was written.
    "formulas without results": Case(
        formula(
            '<row r="2"><c r="A2" t="inlineStr"><is><t>Ram</t></is></c><c r="B2"><f>"98"&amp;C2</f></c></row>'
            f'<row r="3"><c r="A3"><f>C3</f></c><c r="B3"><f>D3</f><v>{SITA}</v></c></row>'
        ),
        (SITA,),
        ((2, "missing"), (2, "2 formulas have no result in the file")),
    ),
    "only formulas without results": Case(
        formula('<row r="2"><c r="B2"><f>C2</f></c></row>'),
        refused="no row with a valid phone number",
        said=((2, "1 formulas have no result in the file"),),
    ),
    "repeated cells, notes and spans in .ods": Case(
        ods_rows(
            ("", ["Name", "Mobile"]),
            (
                "",
                [
                    f"{STRING_CELL}<office:annotation><text:p>call after 5</text:p></office:annotation>"
                    "<text:p>Ram <text:span>Bahadur</text:span></text:p></table:table-cell>",
                    f'<table:table-cell office:value-type="float" office:value="{RAM}"><text:p>9.84E+09</text:p>'
                    "</table:table-cell>",
                ],
            ),
            (' table:number-rows-repeated="2"', ["Sita", str(SITA)]),
            ("", ["<table:covered-table-cell/>", str(HARI)]),
        ),
        (RAM, SITA, SITA, HARI),
        names=("Ram Bahadur", "Sita", "Sita", ""),
        file="list.ods",
    ),
    "UTF-16 with a mark, tabs": Case(
        f"Name\tMobile\r\nRam\t{RAM}\r\nसीता\t{SITA}\r\n".encode("utf-16"),
        (RAM, SITA),
        names=("Ram", "सीता"),
        file="list.txt",
    ),
    "old Macintosh lines, quotes, semicolons": Case(
        f'"Name";"Mobile"\r"Ram; ""the old""";"{RAM}"\r"Sita";{SITA}\r'.encode("utf-8-sig"),
        (RAM, SITA),
        names=('Ram; "the old"', "Sita"),
        file="list.csv",
    ),
    ".xls that is a workbook of today": Case(sheet(HEAD, [1, "Ram", RAM]), (RAM,), file="list.xls"),
    ".xlsx that is text": Case(csv("Name,Mobile", f"Ram,{RAM}"), (RAM,), file="list.xlsx"),
    "web page called .xls": Case(
        f"<meta charset='utf-8'><table><tr><td>Mobile</td></tr><tr><td>{RAM}</td></tr></table>",
        refused="The file is a web page, not a spreadsheet. Open it in a spreadsheet program, save it as .xlsx",
        file="list.xls",
    ),
    "web page in UTF-16": Case(
        "<html><table>".encode("utf-16"),
        refused="The file is a web page, not a spreadsheet. Open it",
        file="list.xls",
    ),
    "web archive called .xls": Case(
        "MIME-Version: 1.0\r\nContent-Type: multipart/related\r\n",
        refused="The file is a web page",
        file="list.xls",
    ),
    "contacts of a phone": Case(
        f"BEGIN:VCARD\nFN:Ram\nTEL;CELL:{RAM}\nEND:VCARD\n",
        refused="a list of contacts (vCard)",
        file="list.vcf",
    ),
    "text document": Case(
        archive({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": "<x/>"}),
        refused="The file is an OpenDocument file, not a spreadsheet",
        file="list.odt",
    ),
    "protected .ods": Case(
        workbooks.protected_ods(), refused="The file is protected by a password", file="list.ods"
    ),
}
