"""Voice trials: clients can listen to a short text, without a call. Trials are free, so other limits apply.

A trial has a maximum length, an account has a daily quota of new speech, and the recording is kept for one day.
"""

from __future__ import annotations

import math

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from accounts import counters
from accounts.counters import Rule
from accounts.models import Account
from iris.errors import InvalidInput, Throttled
from telephony import speech
from telephony.models import Audio

DAY_SECONDS = 24 * 60 * 60
# Pessimistic estimate of a text's duration, used until the text has been spoken. Digits take longest.
SECONDS_PER_CHARACTER = 0.5


class QuotaUsed(Throttled):
    """The account has used its daily quota of voice trials."""

    default_code = "quota_used"


class TrialTooLong(InvalidInput):
    """The text is too long for a voice trial."""

    default_code = "too_long"


def speak(*, account: Account, text: str, voice: str | None = None, speed: float = 1.0) -> Audio:
    """Return the recording of a text for a voice trial. Speech that already exists does not count against the quota.

    Raises TrialTooLong, QuotaUsed, and the errors of `speech.speak`.
    """
    check_length(text)
    # Reserve the quota before speaking, so that concurrent trials cannot exceed it together.
    expected = math.ceil(len(text) * SECONDS_PER_CHARACTER)
    if refused := counters.consume([_quota(account, expected)]):
        wait = counters.longest_wait(refused)
        raise QuotaUsed(
            f"This account has used its daily quota of voice trials. Try again in {wait:.0f} seconds.",
            wait=wait,
        )
    used, started = 0, timezone.now()
    try:
        audio = speech.speak(text=text, voice=voice, speed=speed)
        spoken_for_trial = Q(is_trial=True) | Q(created_at__gte=started)
        if Audio.objects.filter(spoken_for_trial, pk=audio.pk).update(is_trial=True, used_at=timezone.now()):
            used = math.ceil(audio.seconds) if audio.created_at >= started else 0
    finally:
        # Return the unused part of the estimate. The difference is negative if the speech was longer than
        # estimated.
        counters.give_back([_quota(account, expected - used)])
    return audio


def check_length(text: str) -> None:
    """Raise TrialTooLong if the text is too long for a voice trial."""
    if len(text) > settings.IRIS_TRIAL_CHARACTERS:
        raise TrialTooLong(
            f"The text is too long for a voice trial: at most {settings.IRIS_TRIAL_CHARACTERS:,} characters are allowed. "
            "Shorten it."
        )


def beginning_of(text: str) -> str:
    """Return as many whole words from the beginning of a text as a voice trial allows."""
    if len(text) <= settings.IRIS_TRIAL_CHARACTERS:
        return text
    cut = text[: settings.IRIS_TRIAL_CHARACTERS]
    words = cut if text[len(cut)].isspace() else cut.rpartition(" ")[0]
    return words.strip() or cut


def _quota(account: Account, seconds: int) -> Rule:
    key = counters.key_of("trials", account.pk)
    return Rule(key, max(settings.IRIS_TRIAL_SECONDS_PER_DAY, seconds), DAY_SECONDS, amount=seconds)
