"""The periodic tasks that Celery beat sends to the workers, and how often."""

from datetime import timedelta
from typing import Any

BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    # A tick that no worker accepts in time expires, because the next tick does the same work. So no backlog builds up.
    # Expiry uses the worker's clock: if beat's clock is behind, all ticks expire. The heartbeat expires no later than the
    # ticks, so /health reports this.
    "campaigns": {
        "task": "campaigns.tasks.tick",
        "schedule": timedelta(seconds=1),
        "options": {"expires": 3},
    },
    "telephony": {
        "task": "telephony.tasks.tick",
        "schedule": timedelta(seconds=1),
        "options": {"expires": 3},
    },
    "webhooks": {
        "task": "webhooks.tasks.tick",
        "schedule": timedelta(seconds=1),
        "options": {"expires": 3},
    },
    "old-webhooks": {
        "task": "webhooks.tasks.prune",
        "schedule": timedelta(minutes=10),
        "options": {"expires": 600},
    },
    "accounts": {
        "task": "accounts.tasks.prune",
        "schedule": timedelta(minutes=10),
        "options": {"expires": 600},
    },
    "mail": {
        "task": "accounts.tasks.send_mail",
        "schedule": timedelta(seconds=3),
        "options": {"expires": 3},
    },
    "low-credits": {
        "task": "accounts.tasks.warn_of_low_credits",
        "schedule": timedelta(seconds=30),
        "options": {"expires": 30},
    },
    "statements": {
        "task": "campaigns.tasks.close_days",
        "schedule": timedelta(minutes=30),
        "options": {"expires": 1800},
    },
    "outcomes": {
        "task": "telephony.tasks.count_outcomes",
        "schedule": timedelta(seconds=30),
        "options": {"expires": 30},
    },
    "reports": {
        "task": "campaigns.tasks.look_for_reports",
        "schedule": timedelta(seconds=2),
        "options": {"expires": 3},
    },
    "expired-reports": {
        "task": "campaigns.tasks.remove_reports",
        "schedule": timedelta(minutes=10),
        "options": {"expires": 600},
    },
    "people": {
        "task": "accounts.tasks.look_for_person_requests",
        "schedule": timedelta(seconds=5),
        "options": {"expires": 10},
    },
    "retention": {
        "task": "accounts.tasks.erase_expired",
        "schedule": timedelta(minutes=10),
        "options": {"expires": 600},
    },
    "kept-answers": {
        "task": "iris.tasks.prune_answers",
        "schedule": timedelta(minutes=1),
        "options": {"expires": 60},
    },
    "heartbeat": {
        "task": "iris.tasks.heartbeat",
        "schedule": timedelta(seconds=2),
        "options": {"expires": 3},
    },
}
