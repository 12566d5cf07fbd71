"""Read the XML parts of a workbook, and the relations between them, in bounded memory."""

import codecs
import posixpath
import re
from collections.abc import Callable, Iterator
from xml.parsers import expat

from campaigns.recipients.sheets.archive import Archive
from campaigns.recipients.sheets.budget import Budget
from campaigns.recipients.sheets.grid import NotASheet

BROKEN = "The workbook is damaged. Open it in a spreadsheet program, save it as .xlsx, and send that."
_MAX_DEPTH = 64
_ELEMENTS_PER_CHECK = 1_000  # between two checks of the processor time
_MAX_DISTANCE = 4 * 2**20  # characters between the starts of two rows or strings
_REFERENCE = re.compile(r"&(?:#x([0-9a-fA-F]{1,6});|#([0-9]{1,7});|(amp|lt|gt|quot|apos);)?")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}


def split_at_items(chunks: Iterator[bytes], container: str, item: str) -> Iterator[str]:
    """Split the text of a part before items: yield the text up to the container's start tag, then groups of whole items.

    The namespace prefix that some programs give to every name is removed from the items.

    The text after the container is read but not yielded, so that the archive can verify its checksum. Raises NotASheet.
    """
    prefix = ""

    def piece(text: str) -> str:
        return text.replace(f"<{prefix}", "<").replace(f"</{prefix}", "</") if prefix else text

    opening = re.compile(rf"<((?:[\w.-]+:)?){container}(?=[\s/>])[^<>]*>")
    decoder = None
    begin = finish = pending = ""
    for chunk in chunks:
        if decoder is None:
            utf_16 = chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            decoder = codecs.getincrementaldecoder("utf-16" if utf_16 else "utf-8-sig")()
        try:
            pending += decoder.decode(chunk)
        except UnicodeDecodeError as e:
            raise NotASheet(BROKEN) from e
        if not begin:
            opened = opening.search(pending)
            if opened:
                yield pending[: opened.end()]
                pending = pending[opened.end() :]
                prefix = opened[1]
                begin, finish = f"<{prefix}{item}", f"</{prefix}{container}"
                if opened[0].endswith("/>"):
                    break
        if begin:
            end = pending.find(finish)
            if end >= 0:
                yield piece(pending[:end])
                break
            cut = pending.rfind(begin)
            if cut > 0:
                yield piece(pending[:cut])
                pending = pending[cut:]
        if len(pending) > _MAX_DISTANCE:
            raise NotASheet(BROKEN)
    else:
        raise NotASheet(BROKEN)
    for _ in chunks:
        pass


def make_parser(
    start: Callable[[str, str, dict[str, str]], None],
    end: Callable[[str], None] | None = None,
    *,
    budget: Budget,
) -> expat.XMLParserType:
    """Return an expat parser that calls `start(name, parent name, attributes)` and `end(name)`, without name prefixes."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    if hasattr(parser, "SetReparseDeferralEnabled"):
        parser.SetReparseDeferralEnabled(
            False
        )  # all rows fed to expat must be parsed before the next plain row
    path = [""]
    elements = 0

    def on_start(name: str, attributes: dict[str, str]) -> None:
        nonlocal elements
        elements += 1
        if elements % _ELEMENTS_PER_CHECK == 0:
            budget.check_time()
        if len(path) > _MAX_DEPTH:
            raise NotASheet(BROKEN)
        name = name.rpartition(":")[2]
        start(name, path[-1], {key.rpartition(":")[2]: value for key, value in attributes.items()})
        path.append(name)

    def on_end(_name: str) -> None:
        name = path.pop()
        if end:
            end(name)

    def on_doctype(*_: object) -> None:
        raise NotASheet(BROKEN)  # workbooks never have one, but entity bombs need it

    parser.StartElementHandler, parser.EndElementHandler = on_start, on_end
    parser.StartDoctypeDeclHandler = on_doctype
    return parser


def parse(parser: expat.XMLParserType, data: str | bytes, final: bool = False) -> None:
    try:
        parser.Parse(data, final)
    except (expat.ExpatError, ValueError, LookupError) as e:
        raise NotASheet(BROKEN) from e


def walk(xml: bytes, visit: Callable[[str, str, dict[str, str]], None], *, budget: Budget) -> None:
    parse(make_parser(visit, budget=budget), xml, final=True)


def related_parts(archive: Archive, part: str, *, budget: Budget) -> dict[str, tuple[str, str]]:
    """Return the parts that a part refers to: (kind, path) by relation id."""
    folder, name = posixpath.split(part)
    relations = posixpath.join(folder, "_rels", f"{name}.rels")
    parts: dict[str, tuple[str, str]] = {}

    def visit(name: str, _parent: str, attributes: dict[str, str]) -> None:
        if name == "Relationship" and attributes.get("TargetMode") != "External":
            target = posixpath.normpath(
                posixpath.join("/", folder, attributes.get("Target", "").replace("\\", "/"))
            )
            parts[attributes.get("Id", "")] = (
                attributes.get("Type", "").rpartition("/")[2],
                target.lstrip("/"),
            )

    if relations in archive:
        walk(archive.read(relations), visit, budget=budget)
    return parts


def unescaped(text: str) -> str:
    return _REFERENCE.sub(_character, text)


def _character(reference: re.Match[str]) -> str:
    hexadecimal, decimal, name = reference.groups()
    if name:
        return _NAMED[name]
    if not hexadecimal and not decimal:
        raise NotASheet(BROKEN)
    code = int(hexadecimal, 16) if hexadecimal else int(decimal)
    if code > 0x10FFFF or 0xD800 <= code < 0xE000:
        raise NotASheet(BROKEN)
    return chr(code)
