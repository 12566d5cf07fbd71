"""The WSGI application: `gunicorn --config python:iris.webserver.config iris.wsgi`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.core.wsgi import get_wsgi_application

from iris.api.parsers import ignore_charset
from iris.logs import share_log_format
from iris.timeouts import limit_process_waits

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iris.settings")


def answer_liveness(application: WSGIApplication) -> WSGIApplication:
    """Wrap the WSGI application: respond to `/health/live` before Django, for any Host header and without any checks.

    The worker reserves a thread for this path (iris.webserver).
    """

    def live_application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO", "").rstrip("/") != "/health/live":
            return application(environ, start_response)
        body = b'{"status": "ok"}'
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response("200 OK", [*headers, ("Cache-Control", "no-store")])
        return [body]

    return live_application


application = answer_liveness(ignore_charset(get_wsgi_application()))
limit_process_waits()
share_log_format("gunicorn.error")
