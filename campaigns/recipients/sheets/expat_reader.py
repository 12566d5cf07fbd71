"""Read the rows and shared strings of a workbook that are not plain (comments, CDATA, rich text), with expat."""

from campaigns.recipients.sheets.budget import Budget
from campaigns.recipients.sheets.grid import MAX_CELL_CHARACTERS, SheetTooLarge
from campaigns.recipients.sheets.ooxml import make_parser, parse

TOO_MUCH_TEXT = (
    "The workbook holds too much text. Leave out the columns that no message needs, and send it again."
)
# Added to the attributes of a cell. XML does not allow it as the name of an attribute.
NO_RESULT = "formula without result"


class ExpatReader:
    """Parses rows and strings that are not plain with expat, and collects them in `rows` and `strings`.

    Cells with a formula but without its result have the attribute NO_RESULT: not every program calculates.
    """

    def __init__(self, budget: Budget) -> None:
        self.rows: list[tuple[dict[str, str], list[tuple[dict[str, str], str]]]] = []
        self.strings: list[str] = []
        self._row: tuple[dict[str, str], list[tuple[dict[str, str], str]]] | None = None
        self._attributes: dict[str, str] = {}
        self._text: list[str] = []
        self._length = 0
        self._reading = False
        self._phonetic = False
        self._value_first = False
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
        elif name == "f":
            self._attributes[NO_RESULT] = ""
        elif name == "v":
            self._attributes.pop(NO_RESULT, None)
            # A program that does not know inline texts may have left an old value beside one.
            self._reading = not (self._text and self._attributes.get("t") == "inlineStr")
        elif name == "t":
            self._reading = not self._phonetic
            if self._value_first:
                self._text.clear()
                self._value_first = False

    def _characters(self, text: str) -> None:
        if self._reading:
            self._length += len(text)
            if self._length > MAX_CELL_CHARACTERS:
                raise SheetTooLarge(TOO_MUCH_TEXT)
            self._text.append(text)

    def _end(self, name: str) -> None:
        if name in ("v", "t"):
            self._reading = False
            self._value_first = name == "v" and self._attributes.get("t") == "inlineStr"
        elif name == "rPh":
            self._phonetic = False
        elif name == "si":
            self.strings.append("".join(self._text))
        elif name == "c" and self._row:
            self._row[1].append((self._attributes, "".join(self._text)))
        elif name == "row" and self._row:
            self.rows.append(self._row)
            self._row = None
