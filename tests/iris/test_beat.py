"""What beat sends every second or two."""

from django.conf import settings


def test_a_clock_that_stops_the_ticks_stops_the_sign_of_life_too() -> None:
    """Where beat's clock is behind, workers throw away what has expired by theirs; /health must not say ok then."""
    expires = {name: entry["options"]["expires"] for name, entry in settings.CELERY_BEAT_SCHEDULE.items()}

    assert expires["heartbeat"] <= min(expires.values())
