"""Parse request bodies: JSON, forms and multipart for every method, within limits.

A body that cannot be parsed becomes an InvalidInput with an explanation. Text with a NUL byte or an unpaired surrogate is
refused here, for all views, because PostgreSQL cannot store it.
"""

import contextlib
import io
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl

from django.conf import settings
from django.core.exceptions import TooManyFieldsSent
from django.http import HttpRequest, QueryDict
from django.http.request import UnreadablePostError
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.parsers import BaseParser, DataAndFiles, MultiPartParser
from rest_framework.request import Request

from iris.api.json_text import check_text, json_object, json_value, not_utf8
from iris.errors import InvalidInput, TooLarge

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

MAX_FORM_BYTES = 2 * 2**20
_CHARSET = re.compile(r";\s*+charset\s*+(?:\*\s*+)?=[^;]*", re.IGNORECASE)
_BOUNDARY_LINE = re.compile(rb"\s*--([!-~]{1,200}?)\r?\n")
_PEEK = 256
_PART_HEADER_BYTES = 600
_MAX_JSON_PARTS = 1_000
_JSON_LABEL = re.compile(rb"content-type: ?application/json", re.IGNORECASE)
_PART_NAME = re.compile(rb'(?i)content-disposition:[^\r\n]{0,100}?\bname="([^"\r\n]{1,200})"')
_MAX_LENGTH_FIGURES = 19


@dataclass(frozen=True, slots=True)
class BodyLimit:
    """The maximum length of a body that a view accepts (`ApiView.reads`).

    `own` is in bytes, for JSON, forms and multipart without files. None means the maximum of the settings.
    """

    own: int | None = None
    files: bool = False

    @property
    def body(self) -> int:
        largest: int = settings.IRIS_MAX_BODY_BYTES
        return largest if self.own is None else min(self.own, largest)

    @property
    def form(self) -> int:
        """Return the limit for forms. It is lower than for JSON, because percent escapes need much more memory to parse."""
        return min(self.body, MAX_FORM_BYTES)

    @property
    def multipart(self) -> int:
        return settings.IRIS_MAX_UPLOAD_BYTES if self.files else self.body


# A message may have ten thousand characters, which are up to 120 kB as JSON escapes or in a form.
SMALL = BodyLimit(64 * 1024)  # logins, OTPs, ids, short texts
TEXTS = BodyLimit(512 * 1024)  # a campaign with its texts: the published client sends it with every action
TEXTS_AND_FILE = BodyLimit(512 * 1024, files=True)
TAGS = BodyLimit(4 * 2**20)  # one number with 256 tags of a thousand characters
LIST = BodyLimit()
LIST_AND_FILES = BodyLimit(files=True)


def limit_of(view: object) -> BodyLimit:
    limit = getattr(view, "reads", SMALL)
    assert isinstance(limit, BodyLimit)
    return limit


def check_length(request: Request, reads: BodyLimit) -> None:
    """Refuse a body that is longer than the view accepts, before it is read. Raises TooLarge.

    A chunked body does not declare its length. It is read here up to the limit, into a temporary file if it is large.
    """
    http = request._request
    media_type = _media_type(http)
    limit_shown = reads.body
    if media_type.startswith(FORM):
        limit = limit_shown = reads.form
    elif media_type.startswith(MULTIPART):
        limit = limit_shown = reads.multipart
    else:
        # A body that claims to be JSON may be multipart, which has a higher limit. JSONBody checks the lower limit of JSON.
        limit = reads.multipart
    length = http.META.get("CONTENT_LENGTH") or ""
    if length.isdecimal():
        # int() refuses more than 4,300 digits.
        if len(length) > _MAX_LENGTH_FIGURES or int(length) > limit:
            raise _too_large(limit_shown)
    elif "chunked" in http.META.get("HTTP_TRANSFER_ENCODING", "").lower():
        _unchunk(http, limit)


def ignore_charset(application: "WSGIApplication") -> "WSGIApplication":
    """Wrap the WSGI application (iris/wsgi.py) so that Django uses UTF-8 and ignores the charset of the Content-Type.

    Django decodes the query string with that charset when it creates the request. There, nothing would catch the error that
    a codec for other data, such as "hex", raises.
    """

    def utf8_application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        content_type = environ.get("CONTENT_TYPE", "")
        if "charset" in content_type.lower():
            environ["CONTENT_TYPE"] = _CHARSET.sub("", content_type)
        return application(environ, start_response)

    return utf8_application


class JSONBody(BaseParser):
    """A JSON object in UTF-8. An empty body counts as an empty object.

    Some clients send multipart with the content type application/json, so a body that begins with a boundary is parsed as
    multipart.
    """

    media_type = "application/json"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        start = stream.read(_PEEK)
        if boundary := _BOUNDARY_LINE.match(start):
            real = f"{MULTIPART}; boundary={boundary[1].decode('ascii')}"
            return MultipartBody().parse(
                cast(IO[bytes], _Rejoined(start.lstrip(), stream)), real, parser_context
            )
        limit = limit_of((parser_context or {}).get("view")).body
        raw = start + stream.read(limit + 1 - len(start))
        if len(raw) > limit:
            raise _too_large(limit)
        return json_object(raw)


class FormBody(BaseParser):
    """A form as browsers and `curl -d` send it. A JSON object with the content type of a form is read as JSON."""

    media_type = FORM

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None
    ) -> QueryDict | dict[str, Any]:
        most = settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
        try:
            raw = stream.read()
            if _is_plainly_json(raw):
                return json_object(raw)
            text = raw.decode("utf-8")
            if most is not None and text.count("&") >= most:
                raise TooManyFieldsSent
            pairs = parse_qsl(text, keep_blank_values=True, encoding="utf-8", errors="strict")
        except UnicodeDecodeError as error:
            raise not_utf8() from error
        check_text(text for pair in pairs for text in pair)
        form = QueryDict(mutable=True)
        for key, value in pairs:
            form.appendlist(key, value)
        return form


class UnlabelledBody(BaseParser):
    """A JSON object with any other content type, such as `text/plain`, or without one."""

    media_type = "*/*"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        limit = limit_of((parser_context or {}).get("view")).body
        raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise _too_large(limit)
        if raw and not _is_plainly_json(raw):
            raise UnsupportedMediaType(media_type or "")
        return json_object(raw)


class MultipartBody(MultiPartParser):
    """A form with files. A part whose content type is JSON is read as JSON: `"SMS"` is SMS."""

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None
    ) -> "DataAndFiles[Any, Any]":
        # Always UTF-8, because the charset of the header may be a codec for other data ("hex"), which would cause a 500.
        context = {**(parser_context or {}), "encoding": "utf-8"}
        labels = _JsonParts(stream)
        try:
            parsed = super().parse(cast(IO[bytes], labels), media_type, context)
        except ParseError as error:
            raise InvalidInput(
                "The multipart body cannot be read. Check its boundary, and that it was sent as a whole.",
                code="invalid_multipart",
            ) from error
        except OSError:  # for example, a full temporary disk: delete the partial files
            for handler in context["request"].upload_handlers:
                with contextlib.suppress(OSError):
                    getattr(handler, "file", io.BytesIO()).close()
            raise
        texts = [text for key, values in parsed.data.lists() for text in (key, *values)]
        # Django's parser replaces bytes that are not UTF-8 by U+FFFD.
        if any("\ufffd" in text for text in texts):
            raise not_utf8()
        check_text(texts)
        check_text(parsed.files)
        if labels.names:
            parsed.data = cast(Any, _with_json_parts(parsed.data, labels.names))
        return parsed


class _JsonParts:
    """A multipart stream. While it is read, it records the names of the parts whose content type is JSON."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.names: set[str] = set()
        self._stream = stream
        self._last = b""
        self._seen = 0

    def read(self, size: int = -1) -> bytes:
        read = self._stream.read(size)
        window = self._last + read
        for label in _JSON_LABEL.finditer(window):
            self._seen += 1
            if self._seen > _MAX_JSON_PARTS:
                break
            begin = max(
                window.rfind(b"\r\n--", max(0, label.start() - _PART_HEADER_BYTES), label.start()),
                label.start() - _PART_HEADER_BYTES,
                0,
            )
            end = window.find(b"\r\n\r\n", label.end(), label.end() + _PART_HEADER_BYTES)
            if found := _PART_NAME.search(window, begin, max(end, label.end())):
                self.names.add(found[1].decode(errors="replace"))
        self._last = read[-_PART_HEADER_BYTES:]
        return read


def _with_json_parts(data: QueryDict, names: set[str]) -> QueryDict:
    read = data.copy()
    for name in names & read.keys():
        read.setlist(name, [_plain_json(text) for text in read.getlist(name)])
    return read


def _plain_json(text: str) -> str:
    """Return the text of a JSON string. Return any other value unchanged, because fields parse JSON in forms."""
    if text[:1] == '"':
        value = json_value(text)
        if isinstance(value, str):
            check_text([value])
            return value
    return text


def _is_plainly_json(raw: bytes) -> bool:
    return raw.lstrip()[:1] == b"{" and raw.rstrip()[-1:] == b"}"


class _Rejoined:
    """A stream whose beginning has already been read."""

    def __init__(self, start: bytes, rest: IO[bytes]) -> None:
        self._start = start
        self._rest = rest

    def read(self, size: int = -1) -> bytes:
        if not self._start:
            return self._rest.read(size)
        if size < 0:
            taken, self._start = self._start + self._rest.read(), b""
            return taken
        taken, self._start = self._start[:size], self._start[size:]
        return taken


def _unchunk(http: HttpRequest, limit: int) -> None:
    environ = getattr(http, "environ", {})
    if not environ.get("wsgi.input_terminated"):
        raise InvalidInput(
            "Send the body with a Content-Length: this server cannot read it in chunks.",
            code="no_content_length",
        )
    body = tempfile.SpooledTemporaryFile(max_size=settings.FILE_UPLOAD_MAX_MEMORY_SIZE)  # noqa: SIM115 – used after this block
    size = 0
    while block := _block_of(environ["wsgi.input"]):
        size += len(block)
        if size > limit:
            body.close()
            raise _too_large(limit)
        body.write(block)
    body.seek(0)
    http.META["CONTENT_LENGTH"] = str(size)
    http._stream = body  # type: ignore[assignment]  # where Django reads the body from


def _block_of(stream: IO[bytes]) -> bytes:
    """Read a block. Raises UnreadablePostError if the client disconnects, as Django does for other bodies."""
    try:
        return stream.read(65536)
    except OSError as error:
        raise UnreadablePostError(*error.args) from error


def _media_type(http: HttpRequest) -> str:
    return str(http.META.get("CONTENT_TYPE", "")).strip().lower()


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"The body is too large: at most {limit / 1024 / 1024:.4g} MiB can be sent at once here.",
        code="body_too_large",
    )
