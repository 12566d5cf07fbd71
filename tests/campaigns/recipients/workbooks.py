"""Make spreadsheets by hand, well-formed or not, as bytes."""

import io
import re
import struct
import zipfile
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
ODS = "application/vnd.oasis.opendocument.spreadsheet"
DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def archive(members: Mapping[str, str | bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return file.getvalue()


def xlsx(
    *sheets: str | bytes,
    strings: str | None = None,
    styles: str | None = None,
    states: Sequence[str] = (),
    properties: str = "",
    extra: Mapping[str, str | bytes] | None = None,
    kinds: Sequence[str] = (),
) -> bytes:
    """Return a workbook with these worksheets. Each is a whole XML document, or the content of <sheetData>."""
    listed = ""
    members: dict[str, str | bytes] = {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": _relationships([("rId1", "officeDocument", "xl/workbook.xml")]),
    }
    related = []
    for at, sheet in enumerate(sheets, start=1):
        state = f' state="{states[at - 1]}"' if at <= len(states) else ""
        listed += f'<sheet name="Sheet{at}" sheetId="{at}"{state} r:id="rId{at}"/>'
        related.append((f"rId{at}", kinds[at - 1] if kinds else "worksheet", f"worksheets/sheet{at}.xml"))
        if isinstance(sheet, str) and not sheet.startswith(("<?xml", "<!")):
            sheet = worksheet(sheet)
        members[f"xl/worksheets/sheet{at}.xml"] = sheet
    if strings is not None:
        related.append(("rIdS", "sharedStrings", "/xl/sharedStrings.xml"))
        members["xl/sharedStrings.xml"] = f'<?xml version="1.0"?><sst xmlns="{MAIN}">{strings}</sst>'
    if styles is not None:
        related.append(("rIdF", "styles", "styles.xml"))
        members["xl/styles.xml"] = f'<?xml version="1.0"?><styleSheet xmlns="{MAIN}">{styles}</styleSheet>'
    members["xl/_rels/workbook.xml.rels"] = _relationships(related)
    members["xl/workbook.xml"] = (
        f'<workbook xmlns="{MAIN}" xmlns:r="{DOCUMENT}">{properties}<sheets>{listed}</sheets></workbook>'
    )
    return archive({**members, **(extra or {})})


def worksheet(rows: str) -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><worksheet xmlns="{MAIN}">'
        f"<sheetData>{rows}</sheetData></worksheet>"
    )


def rows_of(table: Sequence[Sequence[object]], *, prefix: str = "") -> str:
    """Return the XML of rows as most programs write it, or with a prefix as ClosedXML does."""
    text = ""
    for at, row in enumerate(table, start=1):
        text += f'<row r="{at}">'
        for column, value in zip("ABCDEFGH", row, strict=False):
            where = f'c r="{column}{at}"'
            if value is None:
                text += f"<{where}/>"
            elif isinstance(value, str):
                text += f'<{where} t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'
            else:
                text += f"<{where}><v>{value}</v></c>"
        text += "</row>"
    return re.sub(r"<(/?)", rf"<\g<1>{prefix}", text) if prefix else text


def prefixed_worksheet(table: Sequence[Sequence[object]]) -> str:
    return (
        f'<?xml version="1.0"?><x:worksheet xmlns:x="{MAIN}">'
        f"<x:sheetData>{rows_of(table, prefix='x:')}</x:sheetData></x:worksheet>"
    )


def ods(table: Sequence[Sequence[str]], *, repeated: int = 1) -> bytes:
    """Return an .ods file. `repeated` is the declared repetition of the last cell and of the last row."""
    rows = ""
    for row in table:
        cells = ""
        for at, cell in enumerate(row, start=1):
            times = repeated if at == len(row) else 1
            cells += f'<table:table-cell office:value-type="string" table:number-columns-repeated="{times}">'
            cells += f"<text:p>{escape(cell)}</text:p></table:table-cell>"
        times = repeated if row is table[-1] else 1
        rows += f'<table:table-row table:number-rows-repeated="{times}">{cells}</table:table-row>'
    return with_rows_of_ods(rows)


def with_rows_of_ods(rows: str) -> bytes:
    """Return an .ods file with one worksheet of these rows, as XML."""
    office = "urn:oasis:names:tc:opendocument:xmlns:"
    return archive(
        {
            "mimetype": ODS,
            "META-INF/manifest.xml": _manifest(
                f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{ODS}"/>'
            ),
            "content.xml": f'<office:document-content xmlns:office="{office}office:1.0" '
            f'xmlns:table="{office}table:1.0" xmlns:text="{office}text:1.0">'
            '<office:body><office:spreadsheet><table:table table:name="S">'
            f"{rows}</table:table></office:spreadsheet></office:body></office:document-content>",
        }
    )


def protected_ods() -> bytes:
    """Return an .ods file that is encrypted with a password."""
    entry = (
        '<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml" manifest:size="9">'
        '<manifest:encryption-data manifest:checksum-type="SHA1" manifest:checksum="x"/></manifest:file-entry>'
    )
    return archive(
        {"mimetype": ODS, "META-INF/manifest.xml": _manifest(entry), "content.xml": b"\x8f\x1c\x00secret"}
    )


def _manifest(entries: str) -> str:
    namespace = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
    return f'<manifest:manifest xmlns:manifest="{namespace}">{entries}</manifest:manifest>'


def xlsb(
    table: Sequence[Sequence[str | float]], *, corner: bool = False, hidden: Sequence[int] = ()
) -> bytes:
    """Return an .xlsb workbook with the minimum of records ([MS-XLSB]). `hidden` are the places of hidden rows, from 0.

    With `corner`, it also has a cell in Excel's last row and last column.
    """
    workbook = (
        _record(131)
        + _record(143)
        + _record(156, struct.pack("<II", 0, 1) + _xl_wide_string("rId1") + _xl_wide_string("S"))
        + _record(144)
        + _record(132)
    )
    last_row, last_column = len(table) - 1, max(map(len, table)) - 1
    sheet = _record(129) + _record(148, struct.pack("<IIII", 0, last_row, 0, last_column)) + _record(145)
    for at, row in enumerate(table):
        flags = 0x1000 if at in hidden else 0  # fDyZero
        sheet += _record(0, struct.pack("<IIHHBIII", at, 0, 300, flags, 0, 1, 0, len(row) - 1))
        for column, value in enumerate(row):
            where = struct.pack("<II", column, 0)
            if isinstance(value, str):
                sheet += _record(6, where + _xl_wide_string(value))
            else:
                sheet += _record(5, where + struct.pack("<d", value))
    if corner:
        sheet += _record(0, struct.pack("<IIHHBIII", 1_048_575, 0, 300, 0, 0, 1, 16_383, 16_383))
        sheet += _record(5, struct.pack("<IId", 16_383, 0, 1.0))
    sheet += _record(146) + _record(130)
    return archive(
        {
            "[Content_Types].xml": "<Types/>",
            "xl/_rels/workbook.bin.rels": _relationships([("rId1", "worksheet", "worksheets/sheet1.bin")]),
            "xl/workbook.bin": workbook,
            "xl/worksheets/sheet1.bin": sheet,
        }
    )


def _relationships(related: Sequence[tuple[str, str, str]]) -> str:
    listed = "".join(
        f'<Relationship Id="{key}" Type="{DOCUMENT}/{kind}" Target="{target}"/>'
        for key, kind, target in related
    )
    return f'<?xml version="1.0"?><Relationships xmlns="{PACKAGE}">{listed}</Relationships>'


def _record(kind: int, content: bytes = b"") -> bytes:
    head = bytes([kind]) if kind < 128 else bytes([kind & 0x7F | 0x80, kind >> 7])
    length = len(content)
    while length > 127:
        head += bytes([length & 0x7F | 0x80])
        length >>= 7
    return head + bytes([length]) + content


def _xl_wide_string(text: str) -> bytes:
    encoded = text.encode("utf-16-le")
    return struct.pack("<I", len(encoded) // 2) + encoded
