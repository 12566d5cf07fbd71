"""Test the periodic tasks of beat."""

from django.conf import settings


def test_the_heartbeat_expires_no_later_than_the_ticks() -> None:
    """If beat's clock is behind, workers drop its ticks as expired. /health must not report ok then."""
    expires = {name: entry["options"]["expires"] for name, entry in settings.CELERY_BEAT_SCHEDULE.items()}

    assert expires["heartbeat"] <= min(expires.values())
