"""Golden answers: tests/golden/v0/<name>.json is what the API answers, written by hand from its documents. Those of v1
are called v1/<name>.

A file is one documented call::

    {
      "request": {"method": "POST", "path": "/api/accounts/login/", "body": {"email": "sita@example.com", …}},
      "status": 200,
      "body": {"status": 200, "success": true, …, "access": "<jwt>"}
    }

`status` is the HTTP status; `"content_type": "multipart/form-data"` in the request means a form.
docs/api-v0.md and docs/api-v1.md show these files, so nothing rewrites them: where the API answers something
else, one of the two is wrong.

What differs from call to call is a placeholder, alone (`"id": "<int>"`) or within a text
(`"/numbers/<id>/"`):

* `<jwt>`, `<int>` and the other names in PATTERNS stand for anything of that kind;
* any other name stands for the value that the test gives (`assert_matches_golden("…", response, id=campaign.pk)`).
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rest_framework.test import APIClient

FOLDER = Path(__file__).parent / "golden" / "v0"

PATTERNS = {
    "jwt": r"[\w-]+\.[\w-]+\.[\w-]+",
    "int": r"-?\d+",
    "url": r"https?://[^\s\"]+",
    "otp": r"\d+",
    "sid": r"[0-9a-f]{32}",
    "key": r"[0-9a-f]{64}",
    "uuid": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "date": r"\d{4}-\d\d-\d\d",
    "moment": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+05:45",
    "moment_utc": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
    "moment_in_words": r"[A-Z][a-z]+\.? \d{1,2}, \d{4}, \d\d:\d\d [AP]M",
}
PLACEHOLDER = re.compile(r"<(\w+)>")


def load(name: str) -> dict[str, Any]:
    """The whole file."""
    folder = FOLDER.parent if "/" in name else FOLDER
    document: dict[str, Any] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return document


def golden(name: str) -> Any:
    """The body of a golden answer, for a test that compares it by itself."""
    return load(name)["body"]


def assert_matches_golden(name: str, response: Any, **placeholders: Any) -> None:
    """Compare HTTP status, type and the whole body of an answer with its file."""
    document = load(name)
    assert response["Content-Type"].startswith("application/json")
    answer = json.loads(response.getvalue())
    assert response.status_code == document["status"], answer
    _compare(document["body"], answer, placeholders, name)


def assert_answers_as_documented(client: APIClient, name: str, **placeholders: Any) -> None:
    """Send the request that the file documents, and compare the answer with the file."""
    request = fill(load(name)["request"], placeholders)
    form = request.get("content_type") == "multipart/form-data"
    send = getattr(client, request["method"].lower())
    response = send(request["path"], request.get("body"), format="multipart" if form else "json")
    assert_matches_golden(name, response, **placeholders)


def fill(template: Any, placeholders: Mapping[str, Any]) -> Any:
    """The template with the values that were given. A text that is all placeholder becomes the value."""
    if isinstance(template, dict):
        return {key: fill(value, placeholders) for key, value in template.items()}
    if isinstance(template, list):
        return [fill(value, placeholders) for value in template]
    if not isinstance(template, str):
        return template
    alone = PLACEHOLDER.fullmatch(template)
    if alone and alone[1] in placeholders:
        return placeholders[alone[1]]
    return PLACEHOLDER.sub(lambda found: str(placeholders.get(found[1], found[0])), template)


def _compare(expected: Any, answer: Any, placeholders: Mapping[str, Any], path: str) -> None:
    expected = fill(expected, placeholders)
    if isinstance(expected, dict):
        assert isinstance(answer, dict), f"{path}: {answer!r} is no object"
        assert list(answer) == list(expected), f"{path}: keys {list(answer)}, documented {list(expected)}"
        for key, value in expected.items():
            _compare(value, answer[key], {}, f"{path}.{key}")
    elif isinstance(expected, list):
        assert isinstance(answer, list), f"{path}: {answer!r} is no list"
        assert len(answer) == len(expected), f"{path}: {len(answer)} items, documented {len(expected)}"
        for index, value in enumerate(expected):
            _compare(value, answer[index], {}, f"{path}[{index}]")
    elif isinstance(expected, str) and PLACEHOLDER.search(expected):
        assert _is_like(expected, answer), f"{path}: {answer!r} is not like {expected}"
    else:
        # 1 == True and 1 == 1.0 for Python, but not for the clients.
        assert (type(answer), answer) == (type(expected), expected), (
            f"{path}: {answer!r}, documented {expected!r}"
        )


def _is_like(template: str, answer: Any) -> bool:
    unknown = set(PLACEHOLDER.findall(template)) - PATTERNS.keys()
    assert not unknown, f"No value was given for the placeholders {unknown}"
    if template == "<int>":
        return type(answer) is int
    parts = PLACEHOLDER.split(template)  # text, name, text, name, …, text
    pattern = "".join(PATTERNS[part] if index % 2 else re.escape(part) for index, part in enumerate(parts))
    return isinstance(answer, str) and re.fullmatch(pattern, answer) is not None
