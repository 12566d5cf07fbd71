"""Fetch recordings that a client names by URL.

`iris.outbound` guards these requests: it connects only to public hosts, so nobody can use this server to
reach the operator's internal network.
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
from telephony.speech import address_keys
from telephony.speech.audio import store_uploads

TIMEOUT_SECONDS = 8.0  # for all downloads of one request, because its web thread waits for them
MAX_FETCHES = 10  # per request
MAX_REDIRECTS = 3
HEADERS = {"User-Agent": "iris", "Accept": "audio/*, */*"}

_OWN_PATH = re.compile(r"/media/audio/(?:(?P<key>[^/]*)/)?(?P<name>[0-9a-f]{32,64})\.(?:mp3|wav)")


class NotFetched(InvalidInput):
    """A recording could not be downloaded from its URL."""

    default_code = "not_fetched"


def fetch_recordings(addresses: Sequence[str]) -> list[Audio]:
    """Return the recordings at these addresses, in the same order.

    An address of our own (`telephony.media.audio_url`) gives the stored recording. All others are downloaded,
    each once, after all addresses have been validated. Raises NotFetched, NotAudio and TooLarge.
    """
    own = {address: _own_recording_name(address) for address in dict.fromkeys(addresses)}
    known = {audio.name: audio for audio in Audio.objects.filter(name__in=filter(None, own.values()))}
    recordings = {address: known[name] for address, name in own.items() if name in known}
    for address in recordings:
        _refuse_expired(address, own[address])
    external = [address for address in own if address not in recordings]
    if len(external) > MAX_FETCHES:
        raise NotFetched(
            f"One request may name {MAX_FETCHES} recordings to download; this one names {len(external)}. "
            "Upload the files, or send the others in further requests."
        )
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in external]
        _download(external, files)
        recordings.update(zip(external, store_uploads(files) if files else [], strict=True))
    return [recordings[address] for address in addresses]


def fetch_recording(address: str) -> Audio:
    """Return the recording at this address. Raises NotFetched, NotAudio and TooLarge."""
    return fetch_recordings([address])[0]


def _own_recording_name(address: str) -> str:
    """Return the name of our own recording at this address, or "" for an external one.

    Raises NotFetched if the address is invalid.
    """
    try:
        path = urlsplit(address.strip()).path
    except ValueError:
        path = ""
    if own := _OWN_PATH.fullmatch(path):
        return own["name"]
    _validate(address)
    return ""


def _refuse_expired(address: str, name: str) -> None:
    """Raise NotFetched if this address of our own is not valid: whoever knows only the name has no right to hear it."""
    own = _OWN_PATH.fullmatch(urlsplit(address.strip()).path)
    if own is None or not address_keys.is_valid(name, own["key"] or ""):
        raise NotFetched(
            "The address of one of our recordings has expired: it is valid for a day. Request the campaign again, and use"
            " the address in its response."
        )


def _download(addresses: Sequence[str], files: Sequence[IO[bytes]]) -> None:
    """Write the content at each address into its file. Together they may be as large as one upload."""
    deadline = outbound.Deadline(TIMEOUT_SECONDS)
    left = settings.IRIS_MAX_UPLOAD_BYTES
    for address in addresses:
        _validate(address)
    for address, file in zip(addresses, files, strict=True):
        body = _download_one(address, deadline, max_bytes=left)
        left -= len(body)
        file.write(body)


def _download_one(address: str, deadline: outbound.Deadline, *, max_bytes: int) -> bytes:
    try:
        response = outbound.request(
            "GET", address, deadline=deadline, max_bytes=max_bytes, headers=HEADERS, redirects=MAX_REDIRECTS
        )
    except outbound.OutboundError as error:
        raise NotFetched(f"The recording cannot be downloaded: {error}. Upload the file instead.") from error
    if response.status != 200:
        host = outbound.parse_address(response.address).host
        raise NotFetched(
            f"The recording cannot be downloaded: {host} responded with status {response.status}. Upload the file instead."
        )
    return response.body


def _validate(address: str) -> None:
    try:
        outbound.parse_address(address)
    except outbound.AddressRefused as error:
        raise NotFetched(
            f"The address of the recording is invalid: {error}. Upload the file, or send an address that begins with https://."
        ) from error
