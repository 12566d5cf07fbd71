"""Trying a voice: a short text is spoken for its author alone. It costs nothing, so it is bounded otherwise.

A trial is short, an account has a quota of new speech a day, and what was spoken for a trial only is kept for a day.
"""

from __future__ import annotations

import math

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from accounts import counters
from accounts.counters import Rule
from accounts.models import User
from iris.errors import InvalidInput, Throttled
from telephony import speech
from telephony.models import Audio

DAY_SECONDS = 24 * 60 * 60
# What a text is expected to take at most, until it has been spoken: digits take longest.
SECONDS_PER_CHARACTER = 0.5


class QuotaUsed(Throttled):
    """The account has tried voices for as long as it may in a day."""

    default_code = "quota_used"


class TrialTooLong(InvalidInput):
    """The text is too long to try a voice with."""

    default_code = "too_long"


def speak(*, owner: User, text: str, voice: str | None = None, speed: float = 1.0) -> Audio:
    """The recording of a text that its author wants to hear. What was spoken before counts nothing.

    Raises TrialTooLong, QuotaUsed, and what `voices.speak` raises.
    """
    check_length(text)
    # Counted before it is spoken, so that many at once do not exceed the quota together.
    expected = math.ceil(len(text) * SECONDS_PER_CHARACTER)
    if refused := counters.take([_quota(owner, expected)]):
        wait = counters.longest(refused)
        raise QuotaUsed(
            f"This account has tried voices for as long as it may in a day. Wait {wait:.0f} seconds and try again.",
            wait=wait,
        )
    used, begun = 0, timezone.now()
    try:
        audio = speech.speak(text=text, voice=voice, speed=speed)
        ours = Q(is_trial=True) | Q(created_at__gte=begun)
        if Audio.objects.filter(ours, pk=audio.pk).update(is_trial=True, used_at=timezone.now()):
            used = math.ceil(audio.seconds) if audio.created_at >= begun else 0
    finally:
        # What was counted too much comes back; where it took longer than expected, that is less than nothing.
        counters.give_back([_quota(owner, expected - used)])
    return audio


def check_length(text: str) -> None:
    """Raise TrialTooLong for a text that is too long to try a voice with."""
    if len(text) > settings.IRIS_TRIAL_CHARACTERS:
        raise TrialTooLong(
            f"This is too long: a voice can be tried with {settings.IRIS_TRIAL_CHARACTERS:,} characters at most. "
            "Send a part of it."
        )


def beginning_of(text: str) -> str:
    """The beginning of a text that a voice can be tried with: whole words, as many as fit."""
    if len(text) <= settings.IRIS_TRIAL_CHARACTERS:
        return text
    cut = text[: settings.IRIS_TRIAL_CHARACTERS]
    words = cut if text[len(cut)].isspace() else cut.rpartition(" ")[0]
    return words.strip() or cut


def _quota(owner: User, seconds: int) -> Rule:
    key = counters.key_of("trials", owner.pk)
    return Rule(key, max(settings.IRIS_TRIAL_SECONDS_PER_DAY, seconds), DAY_SECONDS, amount=seconds)
