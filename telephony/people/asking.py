"""Request the export or the erasure of a phone number, in any spelling."""

from __future__ import annotations

from accounts.models import Account, PersonRequest
from accounts.models.people import RequestKind
from accounts.people import requests
from iris.errors import InvalidInput
from telephony import numbering


def ask(*, account: Account, kind: RequestKind, number: object) -> PersonRequest:
    """Request an export or an erasure, and return the request. Raises InvalidInput for a number that cannot exist."""
    parsed = numbering.parse(number)
    if not parsed.to:
        raise InvalidInput(
            f"{parsed.number} is not a valid phone number. Check its digits and its country code. Recipients with a number"
            " that cannot exist are deleted in their campaign.",
            code="invalid_number",
        )
    return requests.request(account=account, kind=kind, number=parsed.to)
