"""Compare responses with golden files, which were written by hand from the documents of the API.

The v0 response <name> is tests/golden/v0/<name>.json; v1 responses are called v1/<name>.

A file describes one documented call::

    {
      "request": {"method": "POST", "path": "/api/accounts/login/", "body": {"email": "sita@example.com", …}},
      "status": 200,
      "body": {"status": 200, "success": true, …, "access": "<jwt>"}
    }

`status` is the HTTP status. `"content_type": "multipart/form-data"` in the request means a form. docs/api-v0.md and
docs/api-v1.md show these files, so no tool rewrites them: if a response differs, either the file or the API is wrong.

Values that differ between calls are placeholders, alone (`"id": "<int>"`) or within a text (`"/numbers/<id>/"`):

* `<jwt>`, `<int>` and the other names in PATTERNS match any value of that kind;
* any other name stands for the value that the test passes (`assert_matches_golden("…", response, id=campaign.pk)`).
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
    "secret": r"whsec_[A-Za-z0-9+/]{43}=",
    "webhook": r"msg_[0-9a-f]{32}",
    "uuid": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "date": r"\d{4}-\d\d-\d\d",
    "moment": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+05:45",
    "moment_utc": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
    "moment_in_words": r"[A-Z][a-z]+\.? \d{1,2}, \d{4}, \d\d:\d\d [AP]M",
}
PLACEHOLDER = re.compile(r"<(\w+)>")


def load(name: str) -> dict[str, Any]:
    """Return the whole golden file."""
    folder = FOLDER.parent if "/" in name else FOLDER
    document: dict[str, Any] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return document


def golden(name: str) -> Any:
    """Return the body of a golden file, for a test that makes its own comparison."""
    return load(name)["body"]


def assert_matches_golden(name: str, response: Any, **placeholders: Any) -> None:
    """Compare the HTTP status, content type and body of a response with its golden file."""
    document = load(name)
    assert response["Content-Type"].startswith("application/json")
    answer = json.loads(response.getvalue())
    assert response.status_code == document["status"], answer
    _compare(document["body"], answer, placeholders, name)


def assert_answers_as_documented(client: APIClient, name: str, **placeholders: Any) -> None:
    """Send the request of a golden file, and compare the response with the file."""
    request = fill(load(name)["request"], placeholders)
    form = request.get("content_type") == "multipart/form-data"
    send = getattr(client, request["method"].lower())
    response = send(request["path"], request.get("body"), format="multipart" if form else "json")
    assert_matches_golden(name, response, **placeholders)


def fill(template: Any, placeholders: Mapping[str, Any]) -> Any:
    """Fill the placeholders of a template. A text that is only a placeholder becomes the value itself."""
    if isinstance(template, dict):
        return {key: fill(value, placeholders) for key, value in template.items()}
    if isinstance(template, list):
        return [fill(value, placeholders) for value in template]
    if not isinstance(template, str):
        return template
    whole = PLACEHOLDER.fullmatch(template)
    if whole and whole[1] in placeholders:
        return placeholders[whole[1]]
    return PLACEHOLDER.sub(lambda match: str(placeholders.get(match[1], match[0])), template)


def _compare(expected: Any, answer: Any, placeholders: Mapping[str, Any], path: str) -> None:
    expected = fill(expected, placeholders)
    if isinstance(expected, dict):
        assert isinstance(answer, dict), f"{path}: {answer!r} is not an object"
        assert list(answer) == list(expected), f"{path}: keys {list(answer)}, documented {list(expected)}"
        for key, value in expected.items():
            _compare(value, answer[key], {}, f"{path}.{key}")
    elif isinstance(expected, list):
        assert isinstance(answer, list), f"{path}: {answer!r} is not a list"
        assert len(answer) == len(expected), f"{path}: {len(answer)} items, documented {len(expected)}"
        for index, value in enumerate(expected):
            _compare(value, answer[index], {}, f"{path}[{index}]")
    elif isinstance(expected, str) and PLACEHOLDER.search(expected):
        assert _matches(expected, answer), f"{path}: {answer!r} does not match {expected}"
    else:
        # Python considers 1, True and 1.0 equal; clients do not.
        assert (type(answer), answer) == (type(expected), expected), (
            f"{path}: {answer!r}, documented {expected!r}"
        )


def _matches(template: str, answer: Any) -> bool:
    unknown = set(PLACEHOLDER.findall(template)) - PATTERNS.keys()
    assert not unknown, f"No value was given for the placeholders {unknown}"
    if template == "<int>":
        return type(answer) is int
    parts = PLACEHOLDER.split(template)  # alternating: text, placeholder name, text, …
    pattern = "".join(PATTERNS[part] if index % 2 else re.escape(part) for index, part in enumerate(parts))
    return isinstance(answer, str) and re.fullmatch(pattern, answer) is not None
