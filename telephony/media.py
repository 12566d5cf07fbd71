"""Serve recordings over HTTP, for browsers and for carriers that download recordings.

Requests need no token: only authorized clients receive an address, and addresses cannot be guessed (`speech.store`). An
address is signed and valid for a day, so that one which leaks into a log or a chat does not open a recording for ever.
"""

from __future__ import annotations

import re
import time
from io import RawIOBase
from typing import IO, Literal, cast
from urllib.parse import urlsplit

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseNotModified
from django.http.response import HttpResponseBase
from django.urls import path, reverse
from django.views.decorators.http import require_safe

from telephony.models import Audio
from telephony.speech import address_keys
from telephony.speech.audio import RATE, encode_wav, open_file, read_pcm
from telephony.speech.engine import Pcm
from telephony.speech.store import Extension

CONTENT_TYPES: dict[str, str] = {"wav": "audio/wav", "mp3": "audio/mpeg"}

_NAME = re.compile(r"[0-9a-f]{32,64}")
_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)")
# A longer position is beyond the end of any file. Python refuses to parse more than 4,300 digits.
_MAX_POSITION_DIGITS = 19


def audio_url(audio: Audio, request: HttpRequest | None = None, format: Literal["mp3", "wav"] = "mp3") -> str:
    """Return the absolute URL of a recording: on the requested host, or else below settings.IRIS_PUBLIC_URL."""
    return recording_url(audio.name, request, format)


def recording_url(
    name: str, request: HttpRequest | None = None, format: Literal["mp3", "wav"] = "mp3"
) -> str:
    """Return the same as `audio_url` for the name of a recording."""
    path = recording_path(name, format)
    public: str = settings.IRIS_PUBLIC_URL
    # If the hosts match, prefer IRIS_PUBLIC_URL: the operator knows whether a proxy adds HTTPS.
    if request is None or request.get_host() == urlsplit(public).netloc:
        return public + path
    return request.build_absolute_uri(path)


def recording_path(name: str, format: Literal["mp3", "wav"] = "mp3") -> str:
    """Return the path of a recording with its key, valid for a day or a little longer."""
    return reverse("audio", args=[address_keys.key_of(name), name, format])


def carrier_audio_url(name: str, *, start: float = 0.0, end: float | None = None) -> str:
    """Return a signed URL of a recording, or of the seconds from `start` to `end`, for a carrier that downloads it.

    It is valid for a day or a little longer, because carriers may fetch a recording late.
    """
    until = "" if end is None else str(round(end * 1000))
    token = _signer().sign(f"{name}-{round(start * 1000)}-{until}-{address_keys.expiry()}")
    public: str = settings.IRIS_PUBLIC_URL
    return public + reverse("carrier-audio", args=[token])


@require_safe
def carrier_audio(request: HttpRequest, token: str) -> HttpResponseBase:
    """Serve GET /media/calls/<token>.wav, whose token `carrier_audio_url` has signed."""
    try:
        name, start, end, expires_at = _signer().unsign(token).split("-")
    except (BadSignature, ValueError):
        raise Http404("Recording not found.") from None
    if int(expires_at) < time.time():
        raise Http404("Recording not found.")
    if not end:
        return _serve(request, name, "wav")
    try:
        pcm = read_pcm(name)
    except FileNotFoundError:
        raise Http404("Recording not found.") from None
    first, last = (2 * (int(ms) * RATE // 1000) for ms in (start, end))
    return HttpResponse(
        encode_wav(Pcm(pcm[first:last], RATE)),
        content_type=CONTENT_TYPES["wav"],
        headers={"Cache-Control": f"private, max-age={address_keys.VALID_SECONDS}", "ETag": f'"{token}"'},
    )


def _signer() -> Signer:
    return Signer(salt="telephony.media.carriers", sep=".")


@require_safe
def audio_file(request: HttpRequest, key: str, name: str, extension: str) -> HttpResponseBase:
    """Serve GET /media/audio/<key>/<name>.<wav|mp3>, whose key `recording_path` has made."""
    if not _NAME.fullmatch(name) or extension not in CONTENT_TYPES:
        raise Http404("Recording not found.")
    if not address_keys.is_valid(name, key):
        raise Http404("The address of this recording is valid for a day. Request a new one.")
    return _serve(request, name, cast(Extension, extension))


def _serve(request: HttpRequest, name: str, kind: Extension) -> HttpResponseBase:
    """Serve a recording, whole or as the single range of a Range header (RFC 9110)."""
    headers = {
        "Cache-Control": f"private, max-age={address_keys.VALID_SECONDS}, immutable",
        "ETag": f'"{name}.{kind}"',
        "Accept-Ranges": "bytes",
    }
    if (opened := open_file(name, kind)) is None:
        raise Http404("Recording not found.")
    file, size = opened
    if headers["ETag"] in request.headers.get("If-None-Match", ""):
        file.close()
        return HttpResponseNotModified(headers=headers)

    asked = request.headers.get("Range", "")
    if request.headers.get("If-Range", headers["ETag"]) != headers["ETag"]:
        asked = ""
    part = _requested_range(asked, size) if request.method == "GET" else None  # HEAD ignores ranges
    if part is not None and len(part) == 0:
        file.close()
        return HttpResponse(status=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    headers["Content-Length"] = str(size if part is None else len(part))
    if request.method == "HEAD":
        file.close()
        return HttpResponse(content_type=CONTENT_TYPES[kind], headers=headers)
    if part is None:
        return FileResponse(file, content_type=CONTENT_TYPES[kind], headers=headers)
    headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
    return FileResponse(_FileRange(file, part), status=206, content_type=CONTENT_TYPES[kind], headers=headers)


def _requested_range(header: str, size: int) -> range | None:
    """Return the bytes that a Range header requests: None for the whole file, an empty range if none of them exist.

    Malformed headers and multiple ranges get the whole file, as RFC 9110 allows.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = (_parse_position(digits) for digits in match.groups())
    if first is None:
        return range(max(0, size - (last or 0)), size)  # a suffix range
    if last is not None and last < first:
        return None
    end = size if last is None else min(last + 1, size)
    return range(first, end) if first < size else range(0)


def _parse_position(digits: str) -> int | None:
    """Parse a position or length; None for "".

    Positions that are too long to parse become one number beyond the end of any file.
    """
    if not digits:
        return None
    digits = digits.lstrip("0") or "0"
    return int(digits) if len(digits) < _MAX_POSITION_DIGITS else 10**_MAX_POSITION_DIGITS


class _FileRange(RawIOBase):
    """A range of an open file, as a readable stream."""

    def __init__(self, file: IO[bytes], part: range) -> None:
        self._file, self._left = file, len(part)
        file.seek(part.start)

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        content = self._file.read(wanted)
        self._left -= len(content)
        return content

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()


urlpatterns = [
    path("media/audio/<str:key>/<str:name>.<str:extension>", audio_file, name="audio"),
    path("media/calls/<str:token>.wav", carrier_audio, name="carrier-audio"),
]
