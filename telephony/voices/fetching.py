"""Recordings that somebody names by an address on the web.

The address is a stranger's word: only public hosts are asked, so that nobody reaches what is inside the operator's own
network through us. The host is resolved once, checked, and that very address is connected to.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import re
import socket
import ssl
import time
from urllib.parse import urljoin, urlsplit

from django.conf import settings

from iris.errors import InvalidInput
from telephony.models import Audio
from telephony.voices.audio import store_upload

SECONDS = 20.0  # for all of it
REDIRECTS = 3
BLOCK = 65536

_OWN = re.compile(r"/media/audio/([0-9a-f]{32,64})\.(?:mp3|wav)")


class NotFetched(InvalidInput):
    """What the address names could not be had."""

    default_code = "not_fetched"


def recording_at(address: str) -> Audio:
    """The recording at this address: one of ours, as we have told it, or one that is fetched now.

    Raises NotFetched, NotAudio and TooLarge.
    """
    # Whoever knows the name of a recording of ours was told it (`telephony.media`).
    if (own := _OWN.fullmatch(_parts(address)[2])) and (audio := Audio.objects.filter(name=own[1]).first()):
        return audio
    return store_upload(io.BytesIO(_fetched(address)))


def _fetched(address: str) -> bytes:
    until = time.monotonic() + SECONDS
    for _ in range(1 + REDIRECTS):
        connection, target = _connected(address, until)
        try:
            connection.request("GET", target, headers={"User-Agent": "iris", "Accept": "audio/*, */*"})
            response = connection.getresponse()
            if response.status in (301, 302, 303, 307, 308) and (there := response.getheader("Location")):
                address = urljoin(address, there)
                continue
            if response.status != 200:
                raise NotFetched(
                    f"The recording cannot be fetched: {_host(address)} answers {response.status}."
                )
            return _body(response, until, address)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise NotFetched(f"The recording cannot be fetched: {_host(address)} does not answer.") from error
        finally:
            connection.close()
    raise NotFetched("The recording cannot be fetched: its address leads on and on. Send the file itself.")


def _body(response: http.client.HTTPResponse, until: float, address: str) -> bytes:
    body = bytearray()
    while block := response.read(BLOCK):
        body += block
        if len(body) > settings.IRIS_MAX_UPLOAD_BYTES:
            allowed = settings.IRIS_MAX_UPLOAD_BYTES / 2**20
            raise NotFetched(f"The recording at this address has more than {allowed:.1f} MB.")
        if time.monotonic() > until:
            raise NotFetched(f"The recording cannot be fetched: {_host(address)} is too slow.")
    return bytes(body)


def _parts(address: str) -> tuple[str, str, str]:
    """Scheme, host and path. Raises NotFetched for what is no address on the web."""
    try:
        parts = urlsplit(address.strip())
        host, scheme = parts.hostname, parts.scheme.lower()
        _ = parts.port
    except ValueError:
        host = scheme = ""
    if (
        scheme not in ("http", "https")
        or not host
        or not address.isascii()
        or re.search(r"[\s\x00-\x1f]", address.strip())
    ):
        raise NotFetched("A recording is named by an address that begins with https://, or uploaded.")
    return scheme, host, parts.path


def _host(address: str) -> str:
    return _parts(address)[1][:100]


def _connected(address: str, until: float) -> tuple[http.client.HTTPConnection, str]:
    """A connection to the host of this address, and what to ask it for."""
    scheme, host, path = _parts(address)
    parts = urlsplit(address.strip())
    port = parts.port or (443 if scheme == "https" else 80)
    left = until - time.monotonic()
    if left <= 0:
        raise NotFetched(f"The recording cannot be fetched: {host[:100]} is too slow.")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotFetched(f"The recording cannot be fetched: there is no host {host[:100]}.") from error
    ips = [str(entry[4][0]) for entry in found]
    if not ips or not all(is_public(ip) for ip in ips):
        raise NotFetched(f"The recording cannot be fetched: {host[:100]} is not on the public internet.")
    try:
        raw = socket.create_connection((ips[0], port), timeout=min(left, 5.0))
        if scheme == "https":
            raw = ssl.create_default_context().wrap_socket(raw, server_hostname=host)
    except OSError as error:
        raise NotFetched(f"The recording cannot be fetched: {host[:100]} does not answer.") from error
    connection = http.client.HTTPConnection(host, port)
    connection.sock = raw
    return connection, (path or "/") + (f"?{parts.query}" if parts.query else "")


def is_public(ip: str) -> bool:
    address = ipaddress.ip_address(ip.split("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_global and not address.is_multicast
