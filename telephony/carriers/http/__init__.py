"""The base of all carriers that are reached over HTTP. It owns the flow; an adapter only translates."""

from telephony.carriers.http.carrier import HttpCarrier
from telephony.carriers.http.client import ApiRequest, ApiResponse, NoResponse, NotSent
from telephony.carriers.http.outcomes import Code, Refusal, Verdict, status_codes

__all__ = [
    "ApiRequest",
    "ApiResponse",
    "Code",
    "HttpCarrier",
    "NoResponse",
    "NotSent",
    "Refusal",
    "Verdict",
    "status_codes",
]
