"""Read Excel workbooks (.xlsx, .xlsm) as a stream.

Fast libraries allocate the whole rectangle around the cells, so a file of 2 kB with two cells in opposite corners ends
the process. Libraries that stream take five times as long. Therefore iris reads rows in two ways:

* A regular expression matches plain rows. Programs write nearly all rows in this plain form. Every character must belong to
  a match. If a row is not plain, the last match contains this row and all text after it.
* expat parses that rest (comments, CDATA, rich text). It sees a document without the plain rows.

Everything that a hostile file could enlarge has a limit: nesting, the text of a cell, the distance between two rows. The
budget limits the total cost.
"""

import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from functools import lru_cache

from campaigns.recipients.sheets.archive import Archive
from campaigns.recipients.sheets.budget import Budget
from campaigns.recipients.sheets.expat_reader import NO_RESULT, ExpatReader
from campaigns.recipients.sheets.formats import formatted, iso_text, number_formats
from campaigns.recipients.sheets.grid import (
    COLUMNS_CUT,
    MAX_COLUMNS,
    Cell,
    LeftOut,
    NotASheet,
    Row,
    number,
)
from campaigns.recipients.sheets.ooxml import (
    BROKEN,
    related_parts,
    split_at_items,
    unescaped,
    walk,
)
from campaigns.recipients.sheets.shared_strings import SharedStrings, with_controls
from campaigns.recipients.sheets.worksheets import first_list, hidden_rows_message, is_filled, unread_message

_MAX_SHEETS = 1_000
_MAX_ATTRIBUTES = 2_000  # characters, of one cell
# Ten times the cells that programs write into one piece of text. A hostile `<row/>` of six characters makes 256 cells.
_MAX_CELLS_PER_MATCH = 100_000
_PLAIN_CELL = (  # its groups: attributes, value, text
    r'(?:<c r="{letters}[0-9]{{1,7}}+"([^<>/]*+)(?:/>|>(?:<f(?: [^<>]*+)?(?:/>|>[^<]*+</f>)(?=<v>))?'
    r"(?:<v>([^<]*+)</v>|<is><t(?: [^<>]*+)?>([^<]*+)</t></is>)?</c>))?"
)
_CELL_BEGINS = re.compile(r'<c r="([A-Z]{1,3})[0-9]')
_ATTRIBUTE = re.compile(r"""(?<![\w.:-])([\w.:-]++)\s*+=\s*+["']([^"']*)["']""")
_LETTERS = re.compile("[A-Z]+")
_WORKBOOK = re.compile(rb"<(?:[\w.-]{1,40}:)?workbook[\s>]")


def _letters(column: int) -> str:
    return (_letters(column // 26 - 1) if column >= 26 else "") + chr(65 + column % 26)


_COLUMNS = {_letters(column): column for column in range(MAX_COLUMNS)}


def _plain_rows(width: int) -> re.Pattern[str]:
    """Return the pattern of a plain row with up to `width` columns.

    Its groups are the row number, three for each cell, and the rest of the text if the next row is not plain.
    """
    cells = "".join(_PLAIN_CELL.format(letters=_letters(column)) for column in range(width))
    return re.compile(
        r'<row(?: r="([0-9]{1,7}+)")?(?![^<>]* (?:r|hidden)=)(?: [^<>/]*+)?(?:/>|>'
        + cells
        + r"</row>)|(\S.*)",
        re.DOTALL,
    )


def _width_of(row: str) -> int:
    return max((_COLUMNS.get(letters, -1) for letters in _CELL_BEGINS.findall(row)), default=-1) + 1


class _Skipped:
    """Counts of skipped items in one worksheet: hidden rows, and formulas without a result. `first_…` are row numbers."""

    def __init__(self) -> None:
        self.hidden_rows = self.first_hidden = self.formulas = self.first_formula = 0

    def left_out(self) -> Iterator[LeftOut]:
        if self.hidden_rows:
            yield LeftOut(self.first_hidden, hidden_rows_message(self.hidden_rows))
        if self.formulas:
            message = (
                f"{self.formulas:,} formulas have no result in the file, the first of them here, so their cells count as"
                " empty. Open the file in a spreadsheet program, save it and send it again."
            )
            yield LeftOut(self.first_formula, message)


class WorkbookGrid:
    """The worksheet of a workbook that has the list (`worksheets.first_list`)."""

    def __init__(self, archive: Archive, budget: Budget, *, main: str) -> None:
        self.left_out: list[LeftOut] = []
        self._archive = archive
        self._budget = budget
        if main not in archive:
            raise NotASheet(BROKEN)
        sheets: list[tuple[bool, str, str]] = []
        self._from_1904 = False

        def visit(name: str, _parent: str, attributes: dict[str, str]) -> None:
            if name == "sheet" and len(sheets) < _MAX_SHEETS:
                is_hidden = attributes.get("state", "visible") != "visible"
                sheets.append((is_hidden, attributes.get("id", ""), attributes.get("name", "")[:100]))
            elif name == "workbookPr":
                self._from_1904 = attributes.get("date1904") in ("1", "true")

        walk(archive.read(main), visit, budget=budget)
        related = related_parts(archive, main, budget=budget)
        in_turn = [
            (*related[key], name)
            for _, key, name in sorted(sheets, key=lambda sheet: sheet[0])
            if key in related
        ]
        names = {
            part: name for kind, part, name in reversed(in_turn) if kind == "worksheet" and part in archive
        }
        self._sheets = dict(reversed(names.items()))
        hidden = {related[key][1] for is_hidden, key, _ in sheets if is_hidden and key in related}
        self._visible = [part for part in self._sheets if part not in hidden]
        by_kind = dict(related.values())
        self._formats = number_formats(archive, by_kind.get("styles", ""), budget=budget)
        self._strings = SharedStrings(archive, by_kind.get("sharedStrings", ""), budget)
        self._kind_of = lru_cache(1_000)(self._kind_written)

    def rows(self) -> Generator[Row, None, None]:
        self.left_out.clear()
        self._is_cut = False
        self._skipped = {part: _Skipped() for part in self._sheets}
        chosen, rows = first_list(
            self._visible,
            [part for part in self._sheets if part not in self._visible],
            self._rows_of,
            check=self._budget.check_time,
        )
        yield from rows
        for part, skipped in self._skipped.items():
            if part == chosen or not chosen:
                self.left_out += skipped.left_out()
        for part in self._sheets if chosen else ():
            if part != chosen:
                self._note_unread(part)
        self._strings.verify()

    def _note_unread(self, part: str) -> None:
        for at, cells in self._rows_of(part):
            if is_filled(cells):
                self.left_out.append(LeftOut(at, unread_message(self._sheets[part])))
                return

    def _rows_of(self, part: str) -> Generator[Row, None, None]:
        at = 0
        row: Row | None = None
        for rows in self._rows_as_written(part):
            for declared, cells in rows:
                number = int(declared) if declared else at + 1
                if number <= at:
                    if number == at and row is not None and (joined := _joined(row[1], cells)) is not None:
                        row = at, joined
                        continue
                    # Row numbers rise in every valid sheet. The reader requires it, because an interrupted import resumes by
                    # row number.
                    number = at + 1
                if row is not None:
                    yield row
                at = number
                row = at, cells
        if row is not None:
            yield row

    def _rows_as_written(self, part: str) -> Iterator[Iterable[tuple[str, Sequence[Cell]]]]:
        width = 1
        plain = _plain_rows(width)
        pieces = split_at_items(self._archive.chunks(part), "sheetData", "row")
        expat_lane = ExpatReader(self._budget)
        expat_lane.feed(next(pieces, ""))
        for rest in pieces:
            self._budget.see(rows=rest.count("<row"), cells=rest.count("<c"))
            while rest:
                if rest.count("<row") * width <= _MAX_CELLS_PER_MATCH:
                    matches = plain.findall(rest)
                    rest = matches.pop()[-1] if matches and matches[-1][-1] else ""
                    yield self._plain(matches, width)
                widest = _width_of(rest[: rest.find("</row>")])
                if widest > width:
                    # At least doubled, so that a file cannot cause hundreds of patterns to be compiled.
                    width = min(max(widest, 2 * width), MAX_COLUMNS)
                    plain = _plain_rows(width)
                elif rest:
                    expat_lane.feed(rest)
                    yield [self._row(self._skipped[part], *row) for row in expat_lane.rows]
                    expat_lane.rows.clear()
                    rest = ""

    def _plain(self, matches: list[tuple[str, ...]], width: int) -> Iterable[tuple[str, Sequence[Cell]]]:
        """Convert plain rows column by column, because the cells of a column are usually of one kind."""
        if not matches:
            return ()
        groups = list(zip(*matches, strict=True))
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
        self, skipped: _Skipped, attributes: dict[str, str], written: list[tuple[dict[str, str], str]]
    ) -> tuple[str, list[Cell]]:
        """Convert a row that expat has parsed. Its cells may omit their position."""
        cells: list[Cell] = []
        column = -1
        formulas = 0
        for of_cell, text in written:
            letters = _LETTERS.match(of_cell.get("r", "").upper())
            column = _column(letters[0]) if letters else column + 1
            formulas += NO_RESULT in of_cell
            if column < MAX_COLUMNS:
                _put(cells, column, self._cell(self._kind(of_cell), text))
            elif text and not self._is_cut:
                self._is_cut = True
                self.left_out.append(LeftOut(1, COLUMNS_CUT))
        declared = attributes.get("r", "")
        declared = declared if declared.isdecimal() and len(declared) < 8 else ""
        if attributes.get("hidden") in ("1", "true"):
            if is_filled(cells):
                skipped.first_hidden = skipped.first_hidden or int(declared or 1)
                skipped.hidden_rows += 1
            return declared, []
        if formulas:
            skipped.first_formula = skipped.first_formula or int(declared or 1)
            skipped.formulas += formulas
        return declared, cells

    def _kind_written(self, attributes: str) -> str:
        if len(attributes) > _MAX_ATTRIBUTES:
            raise NotASheet(BROKEN)
        return self._kind(dict(_ATTRIBUTE.findall(attributes)))

    def _kind(self, attributes: dict[str, str]) -> str:
        kind = {"s": "shared", "b": "bool", "e": "error", "str": "text", "inlineStr": "text", "d": "iso"}.get(
            attributes.get("t", "n"), "number"
        )
        style = attributes.get("s", "")
        return style if kind == "number" and style in self._formats else kind

    def _cell(self, kind: str, text: str) -> Cell:
        """Return a cell's value. Errors such as #N/A become None, so that no message contains them."""
        if not text or kind == "error":
            return None
        if kind == "shared":
            return self._strings.get(text)
        if kind == "number":
            return number(text)
        if kind == "bool":
            return "TRUE" if text in ("1", "true") else "FALSE"
        if kind == "iso":
            return iso_text(text)
        if kind == "text":
            return with_controls(text)
        value = number(text)  # here, `kind` is the number of a style with a format
        if isinstance(value, str | None):
            return value
        return formatted(value, self._formats[kind], from_1904=self._from_1904)


def main_part(archive: Archive, *, budget: Budget) -> str:
    """Return the path of the main document part, in whichever folder it is."""
    related = related_parts(archive, "", budget=budget)
    main = next((part for kind, part in related.values() if kind == "officeDocument"), "")
    return main if main in archive else "xl/workbook.xml"


def is_workbook(archive: Archive, main: str) -> bool:
    """Return whether an Office document is a workbook, and not for example a text document."""
    if any(name.startswith("xl/") for name in archive.names()):
        return "[content_types].xml" in archive
    return main in archive and _WORKBOOK.search(archive.read(main)[:4_000]) is not None


def _column(letters: str) -> int:
    return _COLUMNS.get(letters, MAX_COLUMNS)


def _joined(one: Sequence[Cell], other: Sequence[Cell]) -> list[Cell] | None:
    """Join two parts of one row. Return None if both have a cell in the same column."""
    cells = list(one)
    for column, cell in enumerate(other):
        if cell is None:
            continue
        if column < len(cells) and cells[column] is not None:
            return None
        _put(cells, column, cell)
    return cells


def _put(cells: list[Cell], column: int, cell: Cell) -> None:
    if column >= len(cells):
        cells.extend([None] * (column - len(cells) + 1))
    cells[column] = cell
