"""HTTP requests to URLs that clients chose, for example of recordings to fetch (`iris.outbound.requests`)."""

from iris.outbound.addresses import AddressRefused, OutboundError, Target, is_public, parse_address
from iris.outbound.requests import Answer, request
from iris.outbound.sockets import AnswerTooLarge, Deadline, NoAnswer

__all__ = [
    "AddressRefused",
    "Answer",
    "AnswerTooLarge",
    "Deadline",
    "NoAnswer",
    "OutboundError",
    "Target",
    "is_public",
    "parse_address",
    "request",
]
