"""The response to a repeated request for a new API key, in both dialects."""

from datetime import timedelta

from iris.api.idempotency import RetryRule

CREATED_KEY = RetryRule(
    kept_for=timedelta(0),
    not_kept="Its answer had an API key, which is never stored. If you did not receive it, generate another one with a"
    " new Idempotency-Key.",
)
