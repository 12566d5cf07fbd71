"""The response to a repeated request for a new secret."""

from datetime import timedelta

from iris.api.idempotency import RetryRule

CREATED_SECRET = RetryRule(
    kept_for=timedelta(0),
    not_kept="Its answer had the secret of a webhook, which is never stored. If you did not receive it, rotate the secret"
    " with a new Idempotency-Key.",
)
