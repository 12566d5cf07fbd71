"""The response to a repeated OTP request, in both dialects."""

from iris.api.idempotency import RetryRule
from otp.services import USEFUL

# The response contains the password, so the stored response is erased when the password is no longer sent.
SENT_OTP = RetryRule(
    kept_for=USEFUL,
    not_kept="Its answer had a one-time password, which is kept for five minutes only. To send a new password, use a new"
    " Idempotency-Key.",
)
