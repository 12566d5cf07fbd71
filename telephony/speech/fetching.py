"""Recordings that somebody names by an address on the web.

`iris.outbound` guards these requests: only public hosts are asked, so that nobody reaches what is inside the operator's
own network through this server.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from typing import IO
from urllib.parse import urlsplit

from django.conf import settings

from iris import outbound
from iris.errors import InvalidInput
from telephony.models import Audio
from telephony.speech.audio import store_uploads

SECONDS = 8.0  # for all addresses of one request to this server: its web thread waits
MAX_FETCHES = 10  # in one request
REDIRECTS = 3
HEADERS = {"User-Agent": "iris", "Accept": "audio/*, */*"}

_OWN = re.compile(r"/media/audio/([0-9a-f]{32,64})\.(?:mp3|wav)")


class NotFetched(InvalidInput):
    """What the address names could not be had."""

    default_code = "not_fetched"


def recordings_at(addresses: Sequence[str]) -> list[Audio]:
    """The recordings at these addresses, in their order: our own, as we have told them, or fetched now.

    All addresses are looked at before any is asked, and each is asked once. Raises NotFetched, NotAudio and TooLarge.
    """
    own = {address: _own_name(address) for address in dict.fromkeys(addresses)}
    # Whoever knows the name of a recording of ours was told it (`telephony.media`).
    known = {audio.name: audio for audio in Audio.objects.filter(name__in=filter(None, own.values()))}
    found = {address: known[name] for address, name in own.items() if name in known}
    strange = [address for address in own if address not in found]
    if len(strange) > MAX_FETCHES:
        raise NotFetched(
            f"There are {len(strange)} recordings to fetch; one request may name {MAX_FETCHES}. Upload the files, or "
            "send the rest in further requests."
        )
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in strange]
        _fetch(strange, files)
        found.update(zip(strange, store_uploads(files) if files else [], strict=True))
    return [found[address] for address in addresses]


def recording_at(address: str) -> Audio:
    """The recording at this address. Raises NotFetched, NotAudio and TooLarge."""
    return recordings_at([address])[0]


def _own_name(address: str) -> str:
    """The name of our recording at this address, "" if it names none. Raises NotFetched for what is no address."""
    try:
        path = urlsplit(address.strip()).path
    except ValueError:
        path = ""
    if own := _OWN.fullmatch(path):
        return own[1]
    _checked(address)
    return ""


def _fetch(addresses: Sequence[str], files: Sequence[IO[bytes]]) -> None:
    """Write what is at each address into its file; together they must have the size of one upload."""
    deadline = outbound.Deadline(SECONDS)
    left = settings.IRIS_MAX_UPLOAD_BYTES
    for address in addresses:
        _checked(address)
    for address, file in zip(addresses, files, strict=True):
        body = _body_at(address, deadline, max_bytes=left)
        left -= len(body)
        file.write(body)


def _body_at(address: str, deadline: outbound.Deadline, *, max_bytes: int) -> bytes:
    try:
        answer = outbound.request(
            "GET", address, deadline=deadline, max_bytes=max_bytes, headers=HEADERS, redirects=REDIRECTS
        )
    except outbound.OutboundError as error:
        raise NotFetched(f"The recording cannot be fetched: {error}. Send the file itself.") from error
    if answer.status != 200:
        host = outbound.parse_address(answer.address).host
        raise NotFetched(f"The recording cannot be fetched: {host} answers {answer.status}.")
    return answer.body


def _checked(address: str) -> None:
    try:
        outbound.parse_address(address)
    except outbound.AddressRefused as error:
        raise NotFetched(
            f"A recording is uploaded, or named by an address that begins with https://: {error}."
        ) from error
