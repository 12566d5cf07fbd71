"""Compare responses with the OpenAPI document, more strictly than clients: keys that it does not know are errors."""

from __future__ import annotations

import json
from functools import cache, lru_cache
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs
from django.urls import Resolver404, resolve

from iris.api.openapi.document import descriptions, document
from iris.api.openapi.errors import error_codes
from iris.api.openapi.routes import routes

JSON = "application/json"


def closed(value: Any) -> Any:
    """Return the document with objects that have no other keys than the listed ones."""
    if isinstance(value, list):
        return [closed(one) for one in value]
    if not isinstance(value, dict):
        return value
    found = {key: closed(one) for key, one in value.items()}
    if found.get("type") == "object" and "properties" in found:
        found.setdefault("additionalProperties", False)
    return found


@lru_cache(maxsize=1)
def strict_document() -> dict[str, Any]:
    """Return the document with closed responses. Bodies of requests stay open, as iris ignores unknown fields."""
    shown = json.loads(json.dumps(document()))
    named = {
        name
        for path in shown["paths"].values()
        for operation in path.values()
        for content in operation.get("requestBody", {}).get("content", {}).values()
        for name in _named_in(content["schema"])
    }
    for name, schema in shown["components"]["schemas"].items():
        if name not in named:
            shown["components"]["schemas"][name] = closed(schema)
    for path in shown["paths"].values():
        for operation in path.values():
            operation["responses"] = closed(operation["responses"])
    return dict(shown)


@lru_cache(maxsize=1)
def _operations() -> dict[tuple[str, str], dict[str, Any]]:
    """Return the operations of the strict document by name of the route and method."""
    paths = strict_document()["paths"]
    return {
        (route.name, method.upper()): paths[route.template][method]
        for route in routes()
        for method in route.actions
    }


@cache
def _validator(name: str, method: str, status: str) -> Any:
    """Return the validator of a JSON response, or None if the document does not have this response."""
    responses = _operations()[name, method]["responses"]
    found = responses.get(status)
    if found is None:
        return None
    if "$ref" in found:
        found = strict_document()["components"]["responses"][found["$ref"].rpartition("/")[2]]
    schema = {**found["content"][JSON]["schema"], "components": strict_document()["components"]}
    return jsonschema_rs.Draft202012Validator(schema)


def assert_described(method: str, path: str, response: Any, *, body: str) -> None:
    """Check a JSON response of the API: its status and its body are in the document, and so is the code of an error.

    A 405 answers a method that the document does not have, and a 500 a bug.
    """
    try:
        name = resolve(urlsplit(path).path).url_name
    except Resolver404:
        return
    status = response.status_code
    if (name, method) not in descriptions() or status in (405, 500):
        return
    if not response.headers.get("Content-Type", "").startswith(JSON):
        return
    validator = _validator(str(name), method, str(status))
    assert validator is not None, f"{method} {path}: the schema knows no response with the status {status}"
    errors = [f"{list(one.instance_path)}: {one.message}" for one in validator.iter_errors(json.loads(body))]
    assert not errors, f"{method} {path}: {errors[:5]}"
    if status >= 400:
        code = response.headers.get("X-Error-Code")
        assert code in error_codes(), f"{method} {path}: docs/errors.md has no code {code}"


def _named_in(schema: Any) -> set[str]:
    listed = schema.get("anyOf", [schema])
    return {one["$ref"].rpartition("/")[2] for one in listed if "$ref" in one}
