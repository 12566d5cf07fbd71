"""Carriers that send requests to us: reports, incoming SMS, and questions about a call in progress.

`telephony.api.callbacks` receives the requests, and stores what they report before it responds.
"""

from __future__ import annotations

import hmac
import ipaddress
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar
from urllib.parse import parse_qsl

from telephony.carriers.base import CarrierEvent, InboundSms

MAX_FIELDS = 200


class UnreadableCallback(Exception):
    """The request is from the carrier, but cannot be read. The text says why, without any of its values."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CallbackRequest:
    """One request of a carrier. `url` is its full public address as the carrier wrote it, with the query.

    `secret` is the last part of the path, "" if the path has none. `address` is the sender's IP address.
    """

    kind: str
    method: str
    url: str = field(repr=False)
    query: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    address: str = ""

    def query_fields(self) -> dict[str, str]:
        return dict(parsed_form(self.query))

    def form_fields(self) -> dict[str, str]:
        """Return the fields of a form in the body. If a field is repeated, the last one counts."""
        return dict(parsed_form(self.body))


@dataclass(frozen=True, kw_only=True, slots=True)
class CallbackReply:
    """The reports in a request, and the response after they are stored."""

    items: Sequence[CarrierEvent | InboundSms] = ()
    body: str = field(default="", repr=False)
    content_type: str = "text/plain; charset=utf-8"


class ReceivesCallbacks(ABC):
    """A carrier with callbacks. `callback_kinds` has the HTTP methods of each kind, the word in the path after the alias."""

    callback_kinds: ClassVar[Mapping[str, Collection[str]]]

    @abstractmethod
    def is_genuine(self, callback: CallbackRequest) -> bool:
        """Return whether the carrier has sent this request. This is checked before anything else in the request is read."""

    @abstractmethod
    def receive(self, callback: CallbackRequest) -> CallbackReply:
        """Translate a genuine request. Raises UnreadableCallback."""


def parsed_form(encoded: str | bytes) -> list[tuple[str, str]]:
    """Return the names and values of a form, in order. Raises UnreadableCallback."""
    try:
        text = encoded.decode("ascii") if isinstance(encoded, bytes) else encoded
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="replace")
    except ValueError as error:
        raise UnreadableCallback("The form cannot be read.") from error


def same(one: str, other: str) -> bool:
    """Return whether two secrets are equal. The time of the comparison does not reveal where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())


def is_within(address: str, networks: Collection[str]) -> bool:
    """Return whether an IP address belongs to one of these networks. IPv4 addresses mapped into IPv6 count as IPv4."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return any(ip in ipaddress.ip_network(network) for network in networks)
