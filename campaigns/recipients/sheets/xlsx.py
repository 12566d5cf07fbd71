"""Excel workbooks (.xlsx, .xlsm), read as a stream.

A library that is fast makes room for the whole rectangle around the cells, so a file of 2 kB with two cells
in opposite corners ends the process; one that streams takes five times as long. Hence two lanes of our own:

* Plain rows, which is how all programs write nearly all rows, are cut out by one regular expression, a match
  for each row. It accounts for every character of a stretch of rows, or leaves alone what begins with the
  first row that isn't plain.
* What is left (comments, CDATA, rich text) goes to expat, which sees a document without the plain rows.

Wherever a hostile file could grow there is a limit: nesting, the text of a cell, the distance of two rows. What it
may cost altogether is the budget's.
"""

import re
from array import array
from collections.abc import Generator, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate

from campaigns.recipients.sheets.archive import Archive
from campaigns.recipients.sheets.budget import Budget
from campaigns.recipients.sheets.dates import date_styles, date_text
from campaigns.recipients.sheets.grid import (
    MAX_CELL_CHARACTERS,
    MAX_COLUMNS,
    Cell,
    NotASheet,
    Row,
    SheetTooLarge,
    number,
)
from campaigns.recipients.sheets.ooxml import (
    BROKEN,
    make_parser,
    parse,
    related_parts,
    stretches,
    unescaped,
    walk,
)

_TOO_MUCH_TEXT = (
    "The workbook holds too much text. Leave out the columns that no message needs, and send it again."
)
_MAX_SHEETS = 1_000
_MAX_ATTRIBUTES = 2_000  # characters, of one cell
# Ten times what programs write into a stretch. A file of empty rows would have 256 cells made of six characters.
_CELLS_AT_ONCE = 100_000
_MAX_STRINGS = 10_000_000
_MAX_STRINGS_BYTES = 256 * 2**20
_DECODED_CHARACTERS = 2_000_000  # of strings that are kept decoded
# Of one string. A value of more than 1,000 is refused, and an escaped character has seven, so no longer one can be of use.
_KEPT_CHARACTERS = 10_000

_TEXT = r"<t(?: [^<>]*)?>([^<]*)</t>"
_PLAIN_CELL = (  # its groups: attributes, value, text
    r'(?:<c r="{letters}[0-9]{{1,7}}+"([^<>/]*+)(?:/>|>(?:<f(?: [^<>]*+)?(?:/>|>[^<]*+</f>))?'
    r"(?:<v>([^<]*+)</v>|<is><t(?: [^<>]*+)?>([^<]*+)</t></is>)?</c>))?"
)
_CELL_BEGINS = re.compile(r'<c r="([A-Z]{1,3})[0-9]')
_PLAIN_STRINGS = re.compile(r"<si>" + _TEXT + r"</si>|(\S.*)", re.DOTALL)
_ATTRIBUTE = re.compile(r"""(?<![\w.:-])([\w.:-]++)\s*+=\s*+["']([^"']*)["']""")
# Excel writes characters that XML cannot hold as _x000B_.
_ESCAPED = re.compile(r"_x([0-9a-fA-F]{4})_")


def _letters(column: int) -> str:
    return (_letters(column // 26 - 1) if column >= 26 else "") + chr(65 + column % 26)


_COLUMNS = {_letters(column): column for column in range(MAX_COLUMNS)}


def _plain_rows(width: int) -> re.Pattern[str]:
    """Matches a plain row of so many columns: groups for its number, for each cell, and for all that follows
    if it isn't one.
    """
    cells = "".join(_PLAIN_CELL.format(letters=_letters(column)) for column in range(width))
    return re.compile(
        r'<row(?: r="([0-9]{1,7}+)")?(?![^<>]* r=)(?: [^<>/]*+)?(?:/>|>' + cells + r"</row>)|(\S.*)",
        re.DOTALL,
    )


def _width_of(row: str) -> int:
    return max((_COLUMNS.get(letters, -1) for letters in _CELL_BEGINS.findall(row)), default=-1) + 1


class Workbook:
    """The first sheet that has anything in it, visible ones before hidden ones."""

    def __init__(self, archive: Archive, budget: Budget) -> None:
        self._archive = archive
        self._budget = budget
        related = related_parts(archive, "", budget=budget)
        main = next((part for kind, part in related.values() if kind == "officeDocument"), "")
        main = main or "xl/workbook.xml"
        if main not in archive:
            raise NotASheet(BROKEN)
        sheets: list[tuple[bool, str]] = []
        self._from_1904 = False

        def visit(name: str, _parent: str, attributes: dict[str, str]) -> None:
            if name == "sheet" and len(sheets) < _MAX_SHEETS:
                sheets.append((attributes.get("state", "visible") != "visible", attributes.get("id", "")))
            elif name == "workbookPr":
                self._from_1904 = attributes.get("date1904") in ("1", "true")

        walk(archive.read(main), visit, budget=budget)
        related = related_parts(archive, main, budget=budget)
        in_turn = [related[key] for _, key in sorted(sheets, key=lambda sheet: sheet[0]) if key in related]
        parts = [part for kind, part in in_turn if kind == "worksheet"]
        self._sheets = [part for part in dict.fromkeys(parts) if part in archive]
        by_kind = dict(related.values())
        self._date_styles = date_styles(archive, by_kind.get("styles", ""), budget=budget)
        self._strings = _Strings(archive, by_kind.get("sharedStrings", ""), budget)
        self._kind_of = lru_cache(1_000)(self._kind_written)

    def rows(self) -> Generator[Row, None, None]:
        for part in self._sheets:
            rows = self._rows_of(part)
            for first in rows:
                if any(cell is not None and cell != "" for cell in first[1]):
                    yield first
                    yield from rows
                    self._strings.verify()
                    return

    def _rows_of(self, part: str) -> Generator[Row, None, None]:
        at = 0
        for rows in self._rows_as_written(part):
            for declared, cells in rows:
                # They rise in every sheet that is whole, and an import that is interrupted relies on it.
                at = max(int(declared), at + 1) if declared else at + 1
                yield at, cells

    def _rows_as_written(self, part: str) -> Iterator[Iterable[tuple[str, Sequence[Cell]]]]:
        width = 1
        plain = _plain_rows(width)
        pieces = stretches(self._archive.chunks(part), "sheetData", "row")
        expat_lane = _Expat(self._budget)
        expat_lane.feed(next(pieces, ""))
        for rest in pieces:
            self._budget.see(rows=rest.count("<row"), cells=rest.count("<c"))
            while rest:
                if rest.count("<row") * width <= _CELLS_AT_ONCE:
                    found = plain.findall(rest)
                    rest = found.pop()[-1] if found and found[-1][-1] else ""
                    yield self._plain(found, width)
                widest = _width_of(rest[: rest.find("</row>")])
                if widest > width:
                    # At least doubled, so that a file can't have hundreds of expressions made.
                    width = min(max(widest, 2 * width), MAX_COLUMNS)
                    plain = _plain_rows(width)
                elif rest:
                    expat_lane.feed(rest)
                    yield [self._row(*row) for row in expat_lane.rows]
                    expat_lane.rows.clear()
                    rest = ""

    def _plain(self, found: list[tuple[str, ...]], width: int) -> Iterable[tuple[str, Sequence[Cell]]]:
        """Column by column: nearly all are of one kind, and need not be looked at cell by cell."""
        if not found:
            return ()
        groups = list(zip(*found, strict=True))
        columns = [self._column(*groups[at : at + 3]) for at in range(1, 3 * width, 3)]
        return zip(groups[0], zip(*columns, strict=True), strict=True)

    def _column(
        self, attributes: Sequence[str], values: Sequence[str], texts: Sequence[str]
    ) -> Sequence[Cell]:
        written = [value or text for value, text in zip(values, texts, strict=True)] if any(texts) else values
        together = "".join(written)
        if "&" in together:
            written = [unescaped(text) if "&" in text else text for text in written]
            together = "".join(written)
        kinds = {self._kind_of(distinct) for distinct in set(attributes)}
        if kinds == {"number"} and together.isdecimal() and max(map(len, written)) < 16:
            return [int(text) if text else None for text in written]
        if kinds == {"text"} and "_x" not in together:
            return [text or None for text in written]
        kind_of, convert = self._kind_of, self._cell
        return [convert(kind_of(of_cell), text) for of_cell, text in zip(attributes, written, strict=True)]

    def _row(
        self, attributes: dict[str, str], written: list[tuple[dict[str, str], str]]
    ) -> tuple[str, list[Cell]]:
        """A row from the other lane, where cells need not say where they are."""
        cells: list[Cell] = []
        column = -1
        for of_cell, text in written:
            letters = of_cell.get("r", "").rstrip("0123456789")
            column = _COLUMNS.get(letters, MAX_COLUMNS) if letters else column + 1
            if column < MAX_COLUMNS:
                _put(cells, column, self._cell(self._kind(of_cell), text))
        declared = attributes.get("r", "")
        return declared if declared.isdecimal() and len(declared) < 8 else "", cells

    def _kind_written(self, attributes: str) -> str:
        if len(attributes) > _MAX_ATTRIBUTES:
            raise NotASheet(BROKEN)
        return self._kind(dict(_ATTRIBUTE.findall(attributes)))

    def _kind(self, attributes: dict[str, str]) -> str:
        kind = {"s": "shared", "b": "bool", "e": "error", "str": "text", "inlineStr": "text", "d": "iso"}.get(
            attributes.get("t", "n"), "number"
        )
        return "date" if kind == "number" and attributes.get("s") in self._date_styles else kind

    def _cell(self, kind: str, text: str) -> Cell:
        """A cell's value. Errors such as #N/A are nothing: nobody wants to be called with them."""
        if not text or kind == "error":
            return None
        if kind == "shared":
            return self._strings.get(text)
        if kind == "number":
            return number(text)
        if kind == "bool":
            return "TRUE" if text in ("1", "true") else "FALSE"
        if kind == "date":
            serial = number(text)
            return serial if isinstance(serial, str | None) else date_text(serial, from_1904=self._from_1904)
        if kind == "iso":
            return text.removesuffix("T00:00:00").replace("T", " ")
        return _with_controls(text)


class _Strings:
    """The workbook's shared strings, packed: a million names need a tenth of what as many `str` do.

    They are read as far as cells have referred to them, so that the first rows of a large workbook come soon.
    """

    def __init__(self, archive: Archive, part: str, budget: Budget) -> None:
        self._bytes = bytearray()
        self._ends = array("Q", [0])
        self._decoded: dict[str, str] = {}
        self._decoded_characters = 0
        has_strings = part in archive
        self._pieces = stretches(archive.chunks(part), "sst", "si") if has_strings else iter(())
        self._batches = self._read(budget)

    def get(self, index: str) -> str:
        text = self._decoded.get(index)
        if text is None:
            text = self._decode(index)
            self._decoded_characters += len(text)
            if self._decoded_characters > _DECODED_CHARACTERS:
                self._decoded.clear()
                self._decoded_characters = len(text)
            self._decoded[index] = text
        return text

    def verify(self) -> None:
        """Read to the end, where the archive compares the checksum."""
        for _ in self._pieces:
            pass

    def _read(self, budget: Budget) -> Generator[bool, None, None]:
        """Stores batch by batch; yields after each."""
        expat_lane = _Expat(budget)
        expat_lane.feed(next(self._pieces, ""))
        for stretch in self._pieces:
            found = _PLAIN_STRINGS.findall(stretch)
            if found and found[-1][1]:
                expat_lane.feed(stretch)
                self._add(expat_lane.strings)
                expat_lane.strings.clear()
            else:
                self._add(text if "&" not in text else unescaped(text) for text, _ in found)
            yield True

    def _add(self, strings: Iterable[str]) -> None:
        encoded = [string[:_KEPT_CHARACTERS].encode("utf-8", "replace") for string in strings]
        self._ends.extend(accumulate(map(len, encoded), initial=self._ends.pop()))
        self._bytes += b"".join(encoded)
        if len(self._bytes) > _MAX_STRINGS_BYTES or len(self._ends) > _MAX_STRINGS:
            raise SheetTooLarge(_TOO_MUCH_TEXT)

    def _decode(self, index: str) -> str:
        if not index.isdecimal() or len(index) > 9:
            raise NotASheet(BROKEN)
        at = int(index)
        while at + 1 >= len(self._ends):
            if next(self._batches, None) is None:
                raise NotASheet(BROKEN)
        return _with_controls(self._bytes[self._ends[at] : self._ends[at + 1]].decode())


class _Expat:
    """The lane for all that isn't plain; its finished `rows` and `strings` pile up here."""

    def __init__(self, budget: Budget) -> None:
        self.rows: list[tuple[dict[str, str], list[tuple[dict[str, str], str]]]] = []
        self.strings: list[str] = []
        self._row: tuple[dict[str, str], list[tuple[dict[str, str], str]]] | None = None
        self._attributes: dict[str, str] = {}
        self._text: list[str] = []
        self._length = 0
        self._reading = False
        self._phonetic = False
        self._parser = make_parser(self._start, self._end, budget=budget)
        self._parser.CharacterDataHandler = self._characters

    def feed(self, text: str) -> None:
        parse(self._parser, text)

    def _start(self, name: str, _parent: str, attributes: dict[str, str]) -> None:
        if name == "row":
            self._row = (attributes, [])
        elif name in ("c", "si"):
            self._attributes, self._text, self._length = attributes, [], 0
        elif name == "rPh":
            self._phonetic = True
        elif name in ("v", "t"):
            self._reading = not self._phonetic

    def _characters(self, text: str) -> None:
        if self._reading:
            self._length += len(text)
            if self._length > MAX_CELL_CHARACTERS:
                raise SheetTooLarge(_TOO_MUCH_TEXT)
            self._text.append(text)

    def _end(self, name: str) -> None:
        if name in ("v", "t"):
            self._reading = False
        elif name == "rPh":
            self._phonetic = False
        elif name == "si":
            self.strings.append("".join(self._text))
        elif name == "c" and self._row:
            self._row[1].append((self._attributes, "".join(self._text)))
        elif name == "row" and self._row:
            self.rows.append(self._row)
            self._row = None


def _put(cells: list[Cell], column: int, cell: Cell) -> None:
    if column >= len(cells):
        cells.extend([None] * (column - len(cells) + 1))
    cells[column] = cell


def _with_controls(text: str) -> str:
    return _ESCAPED.sub(lambda code: chr(int(code[1], 16)), text) if "_x" in text else text
