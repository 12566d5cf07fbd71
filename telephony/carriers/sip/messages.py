"""Read the SIP messages that the stack sends and receives: their headers and their reasons."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_LINE_END = re.compile(r"\r?\n")
_FOLD = re.compile(r"\r?\n[ \t]+")
_STATUS_LINE = re.compile(r"SIP/2\.0 +(\d{3})(?: +(.*))?", re.IGNORECASE)
_TAG = re.compile(r";\s*tag\s*=\s*([^;,\s]+)", re.IGNORECASE)
_ITEM = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+')
_PARAMETER = re.compile(r'(?:[^;"]|"(?:[^"\\]|\\.)*"?)+')
_URI = re.compile(r"<([^<>]*)>")
_BARE_URI = re.compile(r"\s*([^;,\s\"<>]+)")
_Q = re.compile(r";\s*q\s*=\s*([01](?:\.\d{0,3})?)", re.IGNORECASE)
# RFC 3261, §7.3.3, and the registered short forms of later documents.
_SHORT_FORMS = {
    "c": "content-type",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "s": "subject",
    "t": "to",
    "v": "via",
}


@dataclass(frozen=True)
class SipMessage:
    """A request or a response. Header names are lower-case, in their long form."""

    first_line: str
    headers: tuple[tuple[str, str], ...]
    body: str

    @classmethod
    def parse(cls, raw: bytes) -> SipMessage:
        """Parse a message. Malformed parts are left out, because the stack handles them, not iris."""
        raw = raw.lstrip(b"\r\n")  # over TCP, empty lines before a message are keep-alives
        end = _END_OF_HEAD.search(raw)
        head, body = (raw[: end.start()], raw[end.end() :]) if end else (raw, b"")
        first, *lines = _LINE_END.split(_FOLD.sub(" ", head.decode("utf-8", "replace")))
        headers = []
        for line in lines:
            name, colon, value = line.partition(":")
            if colon:
                name = name.strip().lower()
                headers.append((_SHORT_FORMS.get(name, name), value.strip()))
        return cls(first.strip(), tuple(headers), body.decode("utf-8", "replace"))

    def get(self, name: str) -> str:
        """Return the first value of a header, "" if there is none."""
        return next((value for header, value in self.headers if header == name), "")

    def values(self, name: str) -> list[str]:
        """Return all values of a header: of each header line, and of each comma-separated list."""
        lines = (value for header, value in self.headers if header == name)
        return [item.strip() for line in lines for item in _ITEM.findall(line) if item.strip()]

    @cached_property
    def status(self) -> int:
        """The status code of a response, 0 for a request."""
        found = _STATUS_LINE.match(self.first_line)
        return int(found[1]) if found else 0

    @property
    def reason_phrase(self) -> str:
        found = _STATUS_LINE.match(self.first_line)
        return (found[2] or "").strip() if found else ""

    @cached_property
    def method(self) -> str:
        """The method of a request, or of the request that a response is for."""
        return (
            self.first_line.partition(" ")[0] if not self.status else self.get("cseq").rpartition(" ")[2]
        ).upper()

    @property
    def sequence(self) -> str:
        """The number in the CSeq header."""
        return self.get("cseq").partition(" ")[0]

    @property
    def call_id(self) -> str:
        return self.get("call-id")

    @property
    def to_tag(self) -> str:
        return self._tag("to")

    @property
    def from_tag(self) -> str:
        return self._tag("from")

    def _tag(self, header: str) -> str:
        found = _TAG.search(self.get(header).rpartition(">")[2])
        return found[1] if found else ""

    @property
    def retry_after(self) -> float | None:
        """The seconds of the Retry-After header (RFC 3261, §20.33), None if there is none."""
        found = re.match(r"\d{1,9}", self.get("retry-after"))
        return float(found[0]) if found else None

    def contacts(self) -> list[str]:
        """Return the URIs of the Contact headers, the preferred one first."""
        found: list[tuple[float, str]] = []
        for value in self.values("contact"):
            if uri := _URI.search(value) or _BARE_URI.match(value):
                q = _Q.search(value.rpartition(">")[2])
                found.append((float(q[1]) if q else 1.0, uri[1].strip()))
        return [uri for _, uri in sorted(found, key=lambda one: -one[0])]

    def text(self) -> str:
        """Return a response in the form for the operator: its status line, then its reasons (RFC 3326)."""
        return ",".join([f"{self.status} {self.reason_phrase}".strip(), *self.values("reason")])


def reasons_in(text: str) -> Iterator[str]:
    """Yield the comma-separated items of a text. Commas in quotation marks do not separate."""
    yield from (item.strip() for item in _ITEM.findall(text))


def parameters_of(value: str) -> tuple[str, dict[str, str]]:
    """Split a header value into the part before the parameters, and the parameters with lower-case names."""
    first, *rest = _PARAMETER.findall(value) or [""]
    pairs = (one.partition("=") for one in rest)
    return first.strip(), {name.strip().lower(): found.strip().strip('"').strip() for name, _, found in pairs}
