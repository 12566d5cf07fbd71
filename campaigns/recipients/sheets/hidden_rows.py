"""Find the hidden rows of .xls, .xlsb and .ods workbooks, which calamine does not report.

`calamine_worker` imports this module, so it imports nothing of iris. A file in which the rows cannot be found counts as one
without hidden rows, because calamine judges whether it is damaged.

Sources: [MS-CFB] (the container of .xls), [MS-XLS] 2.4.221 (Row), [MS-XLSB] 2.4.747 (BrtRowHdr), OpenDocument 1.3, 19.749
(table:visibility).
"""

import io
import posixpath
import re
import struct
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Iterator

_UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError),
    *(LookupError, ValueError, RuntimeError),
)
_CHUNK = 1 << 20
_MAX_TAG = 1 << 16  # bytes; a longer start tag is not examined
_END_OF_CHAIN = 0xFFFFFFFA  # this number and larger ones are not sectors


class HiddenRows:
    """The hidden rows of one worksheet, as ranges in rising order. Rows count from 1."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, first: int, count: int = 1) -> None:
        if self._ends and self._ends[-1] == first - 1:
            self._ends[-1] += count
        elif not self._ends or first > self._ends[-1]:
            self._starts.append(first)
            self._ends.append(first + count - 1)

    def __contains__(self, row: int) -> bool:
        at = bisect_right(self._starts, row) - 1
        return at >= 0 and row <= self._ends[at]


def of_worksheet(content: bytes, at: int) -> HiddenRows:
    """Return the hidden rows of the worksheet with this place in the workbook."""
    try:
        if content.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                names = {name.replace("\\", "/").lstrip("/").lower(): name for name in archive.namelist()}
                if "content.xml" in names:
                    return _of_ods(archive, names["content.xml"], at)
                return _of_xlsb(archive, names, at)
        return _of_xls(content, at)
    except _UNREADABLE:
        return HiddenRows()


# OpenDocument --------------------------------------------------------------------------------------------------

_TAG = re.compile(rb"<(?:[\w.-]+:)?(table|table-row)((?:\s[^<>]*)?)>")
_REPEATED = re.compile(rb"number-rows-repeated\s*=\s*[\"'](\d{1,7})")
_IS_HIDDEN = re.compile(rb"visibility\s*=\s*[\"'](?:collapse|filter)")


def _of_ods(archive: zipfile.ZipFile, name: str, wanted: int) -> HiddenRows:
    hidden = HiddenRows()
    table, row = -1, 1
    for kind, attributes in _tags(archive, name):
        if kind == b"table":
            table, row = table + 1, 1
            if table > wanted:
                break
        elif table == wanted:
            found = _REPEATED.search(attributes) if attributes else None
            count = int(found[1]) if found else 1
            if attributes and _IS_HIDDEN.search(attributes):
                hidden.add(row, count)
            row += count
    return hidden


def _tags(archive: zipfile.ZipFile, name: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield the start tags of tables and rows: their name, and their attributes."""
    with archive.open(name) as stream:
        pending = b""
        while chunk := stream.read(_CHUNK):
            pending += chunk
            end = pending.rfind(b"<")
            end = len(pending) if end < 0 or len(pending) - end > _MAX_TAG else end
            for found in _TAG.finditer(pending, 0, end):
                yield found[1], found[2]
            pending = pending[end:]
        for found in _TAG.finditer(pending):
            yield found[1], found[2]


# .xlsb ---------------------------------------------------------------------------------------------------------

_ROW_HEADER, _BUNDLE_SHEET = 0, 156
_RELATION = re.compile(r"<(?:\w+:)?Relationship\s[^<>]*>")
_RELATION_ID, _TARGET = re.compile(r"\bId\s*=\s*[\"']([^\"']*)"), re.compile(r"\bTarget\s*=\s*[\"']([^\"']*)")


def _of_xlsb(archive: zipfile.ZipFile, names: dict[str, str], wanted: int) -> HiddenRows:
    hidden = HiddenRows()
    main = next((name for name in names if name.endswith("workbook.bin")), "")
    folder = posixpath.dirname(main)
    relations = archive.read(names[posixpath.join(folder, "_rels", "workbook.bin.rels")]).decode(
        "utf-8", "replace"
    )
    targets = {
        key[1]: posixpath.normpath(posixpath.join("/", folder, target[1].replace("\\", "/")))
        .lstrip("/")
        .lower()
        for relation in _RELATION.findall(relations)
        if (key := _RELATION_ID.search(relation)) and (target := _TARGET.search(relation))
    }
    keys = []
    for kind, content in _records(archive.read(names[main])):
        if kind == _BUNDLE_SHEET:
            length = int.from_bytes(content[8:12], "little")
            keys.append(content[12 : 12 + 2 * length].decode("utf-16-le"))
    for kind, content in _records(archive.read(names[targets[keys[wanted]]])):
        if kind == _ROW_HEADER and len(content) > 11 and content[11] & 0x10:
            hidden.add(int.from_bytes(content[:4], "little") + 1)
    return hidden


def _records(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the records of a part: their type, and their content."""
    at, end = 0, len(content)
    while at < end:
        kind = content[at]
        at += 1
        if kind & 0x80:
            kind = (kind & 0x7F) | (content[at] & 0x7F) << 7
            at += 1
        length = shift = 0
        while True:
            octet = content[at]
            at += 1
            length |= (octet & 0x7F) << shift
            shift += 7
            if not octet & 0x80 or shift > 21:
                break
        yield kind, content[at : at + length]
        at += length


# .xls ----------------------------------------------------------------------------------------------------------

_ROW, _BOUND_SHEET, _END = 0x0208, 0x0085, 0x000A


def _of_xls(content: bytes, wanted: int) -> HiddenRows:
    hidden = HiddenRows()
    stream = _workbook_stream(content)
    positions = [
        struct.unpack_from("<I", stream, at)[0]
        for kind, at, _ in _biff_records(stream, 0)
        if kind == _BOUND_SHEET
    ]
    for kind, at, length in _biff_records(stream, positions[wanted]):
        if kind == _ROW and length >= 14 and stream[at + 12] & 0x20:
            hidden.add(struct.unpack_from("<H", stream, at)[0] + 1)
    return hidden


def _biff_records(stream: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """Yield the records up to the end of a substream: their type, and the place and length of their content."""
    while at + 4 <= len(stream):
        kind, length = struct.unpack_from("<HH", stream, at)
        if kind == _END:
            return
        yield kind, at + 4, length
        at += 4 + length


def _workbook_stream(content: bytes) -> bytes:
    """Return the stream `Workbook` of a compound file."""
    shift, small_shift = struct.unpack_from("<HH", content, 30)
    size, small_size = 1 << shift, 1 << small_shift
    directory, _, cutoff, small_table, _, more, more_count = struct.unpack_from("<7I", content, 48)
    sectors = list(struct.unpack_from("<109I", content, 76))
    for _ in range(more_count):
        *further, more = struct.unpack_from(f"<{size // 4}I", content, size * (more + 1))
        sectors += further
    table = b"".join(content[size * (one + 1) : size * (one + 2)] for one in sectors if one < _END_OF_CHAIN)
    entries = _chain(content, directory, table, size=size, offset=size)
    root = entries[:128]
    for at in range(0, len(entries), 128):
        entry = entries[at : at + 128]
        length = struct.unpack_from("<H", entry, 64)[0]
        if entry[: max(0, length - 2)].decode("utf-16-le", "replace") not in ("Workbook", "Book"):
            continue
        start, stream_size = struct.unpack_from("<II", entry, 116)
        if stream_size >= cutoff:
            return _chain(content, start, table, size=size, offset=size)[:stream_size]
        small = _chain(content, struct.unpack_from("<I", root, 116)[0], table, size=size, offset=size)
        links = _chain(content, small_table, table, size=size, offset=size)
        return _chain(small, start, links, size=small_size, offset=0)[:stream_size]
    raise KeyError("Workbook")


def _chain(content: bytes, sector: int, table: bytes, *, size: int, offset: int) -> bytes:
    """Return the sectors that follow each other by `table`, from this one on."""
    pieces = []
    for _ in range(len(content) // size + 1):  # a damaged table may lead in a circle
        if sector >= _END_OF_CHAIN:
            break
        pieces.append(content[offset + size * sector : offset + size * (sector + 1)])
        sector = struct.unpack_from("<I", table, 4 * sector)[0]
    return b"".join(pieces)
