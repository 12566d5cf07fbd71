"""The shape of a log line, the same in every process."""

import logging
import time


class LineFormatter(logging.Formatter):
    """`2026-11-29T14:59:00Z WARNING campaigns.runs: …`, in UTC, as the embedded PostgreSQL's log is.

    A time zone of the process would change within one log: gunicorn and Celery write their first lines before Django
    has set its own.
    """

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ")
