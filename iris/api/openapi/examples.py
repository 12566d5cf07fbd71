"""The examples in the schema: the documented requests and responses of `tests/golden/`, which a server does not have.

`manage.py schema` copies them into `examples.json`, with a value in place of each placeholder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from iris.api.openapi.routes import Route

STORED = Path(__file__).with_name("examples.json")
VALUES: dict[str, Any] = {
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJleGFtcGxlIjp0cnVlfQ.c2lnbmF0dXJl",
    "int": 7,
    "url": "https://iris.example.com/media/voices/0123456789abcdef.wav",
    "otp": "482913",
    "refresh": "eyJhbGciOiJIUzI1NiJ9.eyJleGFtcGxlIjp0cnVlfQ.c2lnbmF0dXJl",
    "later": "2026-11-09T09:00:00+05:45",
    "spaced": "4 8 2 9 1 3",
    "shown": "01234567" + 56 * "*",
    "seconds": 3,
    "sid": "0123456789abcdef0123456789abcdef",
    "key": "0123456789abcdef" * 4,
    "uuid": "01234567-89ab-cdef-0123-456789abcdef",
    "webhook": "msg_0123456789abcdef0123456789abcdef",
    "secret": "whsec_ZXhhbXBsZSBzZWNyZXQgb2YgMjQgYnl0",
    "body": '{"type":"run.finished","timestamp":"2026-11-08T03:15:00.000Z","data":{"id":7}}',
    "date": "2083-07-22",
    "first": 10,
    "second": 11,
    "third": 12,
    "today": "2026-11-08",
    "yesterday": "2026-11-07",
    "moment": "2026-11-08T09:00:00+05:45",
    "moment_utc": "2026-11-08T03:15:00.000Z",
    "moment_in_words": "Nov. 8, 2026, 09:00 AM",
}
OTHER = 10  # the value of a placeholder that is the id of an object
PLACEHOLDER = re.compile(r"<(\w+)>")


class Examples:
    """The examples by the id of an operation: `{"v0_login": {"login": {"request": …, "status": 200, "body": …}}}`."""

    def __init__(self, stored: dict[str, dict[str, Any]]) -> None:
        self.stored = stored

    @classmethod
    def load(cls) -> Examples:
        """Return the examples that belong to the release."""
        return cls(json.loads(STORED.read_text(encoding="utf-8")))

    def of_request(self, operation_id: str) -> dict[str, Any]:
        return {
            name: {"value": one["request"]}
            for name, one in self.stored.get(operation_id, {}).items()
            if "request" in one and one["status"] < 400
        }

    def of_answer(self, operation_id: str, status: int) -> dict[str, Any]:
        return {
            name: {"value": one["body"]}
            for name, one in self.stored.get(operation_id, {}).items()
            if one["status"] == status
        }


def collected(folder: Path, described: dict[tuple[str, str], str], routes: list[Route]) -> Examples:
    """Return the examples of the golden files. `described` are the ids of operations by name of the route and method."""
    stored: dict[str, dict[str, Any]] = {}
    for name, document in _documents(folder):
        request = document["request"]
        path = str(request["path"]).partition("?")[0].rstrip("/") + "/"
        route = next(route for route in routes if re.fullmatch(_pattern(route), path))
        operation_id = described[route.name, request["method"]]
        example = {"status": document["status"], "body": document["body"]}
        if request.get("body") and request.get("content_type") is None:
            example = {"request": request["body"], **example}
        stored.setdefault(operation_id, {})[name] = example
    return Examples(dict(sorted(stored.items())))


def _pattern(route: Route) -> str:
    return re.sub(r"\\?<[^>]*>", "[^/]+", route.path)


def _documents(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(folder.glob("*/*.json")):
        yield path.stem, _filled(json.loads(path.read_text(encoding="utf-8")))


def _filled(template: Any) -> Any:
    if isinstance(template, dict):
        return {key: _filled(value) for key, value in template.items()}
    if isinstance(template, list):
        return [_filled(value) for value in template]
    if not isinstance(template, str):
        return template
    if whole := PLACEHOLDER.fullmatch(template):
        return VALUES.get(whole[1], OTHER)
    return PLACEHOLDER.sub(lambda match: str(VALUES.get(match[1], OTHER)), template)
