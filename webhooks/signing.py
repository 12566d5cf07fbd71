"""Sign requests as the Standard Webhooks specification says: HMAC-SHA256 over id, time and body, with each valid secret."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime

from standardwebhooks import Webhook

SECRET_BYTES = 32  # the specification asks for 24 to 64
PREFIX = "whsec_"


def new_secret() -> str:
    """Return a random secret, as the libraries of the specification read it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def headers(*, webhook_id: str, body: str, secrets: Sequence[str], now: datetime) -> dict[str, str]:
    """Return the headers of one attempt. `now` must be in UTC; the receiver refuses old times.

    Each secret adds one signature. A receiver accepts the request if it knows one of them.
    """
    signatures = [Webhook(secret).sign(webhook_id, now, body) for secret in secrets]
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
