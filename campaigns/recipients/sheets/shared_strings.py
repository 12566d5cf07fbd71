"""Read the shared strings of a workbook (.xlsx): the texts to which its cells refer by number."""

import re
from array import array
from collections.abc import Generator, Iterable
from itertools import accumulate

from campaigns.recipients.sheets.archive import Archive
from campaigns.recipients.sheets.budget import Budget
from campaigns.recipients.sheets.expat_reader import TOO_MUCH_TEXT, ExpatReader
from campaigns.recipients.sheets.grid import NotASheet, SheetTooLarge
from campaigns.recipients.sheets.ooxml import BROKEN, split_at_items, unescaped

_MAX_STRINGS = 10_000_000
_MAX_STRINGS_BYTES = 256 * 2**20
_DECODED_CHARACTERS = 2_000_000  # of strings that are kept decoded
# Each shared string is cut to this length. Longer ones are useless: values of more than 1,000 characters are rejected, and
# 1,000 escaped characters take 7,000.
_KEPT_CHARACTERS = 10_000


_TEXT = r"<t(?: [^<>]*)?>([^<]*)</t>"
_PLAIN_STRINGS = re.compile(r"<si>" + _TEXT + r"</si>|(\S.*)", re.DOTALL)
# Excel writes a character that XML forbids as an escape such as _x000B_.
_ESCAPED = re.compile(r"_x([0-9a-fA-F]{4})_")


class SharedStrings:
    """The workbook's shared strings, stored as bytes, which takes a tenth of the memory of `str` objects.

    They are read only as far as cells refer to them, so that the first rows of a large workbook are available soon.
    """

    def __init__(self, archive: Archive, part: str, budget: Budget) -> None:
        self._bytes = bytearray()
        self._ends = array("Q", [0])
        self._decoded: dict[str, str] = {}
        self._decoded_characters = 0
        has_strings = part in archive
        self._pieces = split_at_items(archive.chunks(part), "sst", "si") if has_strings else iter(())
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
        """Read to the end, where the archive verifies the checksum."""
        for _ in self._pieces:
            pass

    def _read(self, budget: Budget) -> Generator[bool, None, None]:
        """Store the strings in batches. Yield after each."""
        expat_lane = ExpatReader(budget)
        expat_lane.feed(next(self._pieces, ""))
        for stretch in self._pieces:
            matches = _PLAIN_STRINGS.findall(stretch)
            if matches and matches[-1][1]:
                expat_lane.feed(stretch)
                self._add(expat_lane.strings)
                expat_lane.strings.clear()
            else:
                self._add(text if "&" not in text else unescaped(text) for text, _ in matches)
            yield True

    def _add(self, strings: Iterable[str]) -> None:
        encoded = [string[:_KEPT_CHARACTERS].encode("utf-8", "replace") for string in strings]
        self._ends.extend(accumulate(map(len, encoded), initial=self._ends.pop()))
        self._bytes += b"".join(encoded)
        if len(self._bytes) > _MAX_STRINGS_BYTES or len(self._ends) > _MAX_STRINGS:
            raise SheetTooLarge(TOO_MUCH_TEXT)

    def _decode(self, index: str) -> str:
        if not index.isdecimal() or len(index) > 9:
            raise NotASheet(BROKEN)
        at = int(index)
        while at + 1 >= len(self._ends):
            if next(self._batches, None) is None:
                raise NotASheet(BROKEN)
        return with_controls(self._bytes[self._ends[at] : self._ends[at + 1]].decode())


def with_controls(text: str) -> str:
    """Replace the escapes of characters that XML does not allow, such as `_x000B_`, by the characters."""
    return _ESCAPED.sub(lambda code: chr(int(code[1], 16)), text) if "_x" in text else text
