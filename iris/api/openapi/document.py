"""Build the whole OpenAPI document."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib import import_module
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.plumbing import normalize_result_object, sanitize_result_object
from rest_framework.schemas.generators import BaseSchemaGenerator

import iris
from iris.api.idempotency import MAX_KEY_CHARACTERS
from iris.api.openapi.examples import Examples
from iris.api.openapi.inspector import Described, Inspector
from iris.api.openapi.operations import Area, Operation
from iris.api.openapi.refusals import responses
from iris.api.openapi.routes import Route, routes
from iris.api.openapi.shapes import INT, NAMED, Schema
from iris.api.pagination import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE

MODULES = (
    *(f"{app}.api.v0.schema" for app in ("accounts", "campaigns", "telephony", "otp", "webhooks")),
    *(f"{app}.api.v1.schema" for app in ("accounts", "campaigns", "telephony", "otp")),
    "telephony.api.sandbox_schema",
)
ABOUT = """iris loads phone numbers, calls or texts each of them through a carrier, and accounts for every credit.

It has two dialects: **v0**, the API under `/api/accounts/` and `/api/system/`, and **v1**, the API under `/api/v1/`.
Tests of your own read what a test key has sent, and act as the recipients, under `/sandbox/`.

* Every path works with and without a slash at its end. iris never redirects.
* Every body can be JSON or a form (`application/x-www-form-urlencoded`, `multipart/form-data`). Files need
  `multipart/form-data`; objects in a form are JSON text. `null` and empty text mean the same as an omitted field.
* Upper and lower case do not matter in values from a fixed list, such as `SMS`. Numbers can be sent as text.
* Every error has a stable code in the header `X-Error-Code`, which `/api/docs/errors/` explains.
* Clients should ignore keys of responses that they do not know: later releases add keys.
"""
_ID = Schema(type="integer", minimum=1)
PARAMETERS: dict[str, Any] = {
    "page": {"name": "page", "in": "query", "schema": _ID, "description": "The number of the page."},
    "v0_page_size": {
        "name": "page_size",
        "in": "query",
        "schema": Schema(type="integer", minimum=1, maximum=MAX_PAGE_SIZE, default=DEFAULT_PAGE_SIZE),
        "description": "How many items a page has. Larger numbers are reduced to the maximum.",
    },
    "v1_page_size": {
        "name": "page_size",
        "in": "query",
        "schema": _ID,
        "description": "How many items a page has, if `page` is sent.",
    },
    "limit": {
        "name": "limit",
        "in": "query",
        "schema": _ID,
        "description": "How many items the response has. Each list has a maximum, to which larger numbers are reduced.",
    },
    "offset": {
        "name": "offset",
        "in": "query",
        "schema": Schema(type="integer", minimum=0),
        "description": "How many items to skip.",
    },
    "account": {
        "name": "X-Account",
        "in": "header",
        "schema": INT,
        "description": "The id of another account for which this request acts.",
    },
    "idempotency_key": {
        "name": "Idempotency-Key",
        "in": "header",
        "schema": Schema(type="string", minLength=1, maxLength=MAX_KEY_CHARACTERS),
        "description": "A random text. A repeated request with the same key gets the first response for 24 hours, and "
        "nothing happens twice.",
    },
}
SECURITY = {
    "accessToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The access token of a login. Some clients of v1 write `Token` instead of `Bearer`.",
    },
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key instead of an access token. The console makes one on its page API keys.",
    },
    "accessCookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "access",
        "description": "The cookie that a login of v1 sets in a browser.",
    },
}


class Generator(SchemaGenerator):
    """Describes each route once, with the slash at its end."""

    def __init__(self, examples: Examples) -> None:
        super().__init__()
        self.schemas: dict[str, Schema] = {}
        self.examples = examples
        self.described = descriptions()

    def _initialise_endpoints(self) -> None:
        self.routes = {(id(route.callback), route.template): route for route in routes()}
        self.endpoints: Any = [
            (route.template, route.template, method.upper(), route)
            for route in self.routes.values()
            for method in route.actions
        ]

    def create_view(self, callback: Any, method: str, request: Any = None) -> Any:
        route: Route = callback
        view = BaseSchemaGenerator.create_view(self, route.callback, method, None)
        described = self.described.get((route.name, method))
        self._set_schema_to_view(view, Inspector(route, described, self.schemas, self.examples))
        return view


def areas() -> list[Area]:
    """Return the areas that the apps describe."""
    return [area for name in MODULES for area in import_module(name).AREAS]


def descriptions() -> dict[tuple[str, str], Described]:
    """Return the area, the id and the description of each operation, by (name of the route, method)."""
    found: dict[tuple[str, str], tuple[str, str, Operation]] = {}
    for area in areas():
        for key, operation_id, operation in area.each():
            assert key not in found, f"The schema describes {' '.join(key)} twice."
            found[key] = (area.name, operation_id, operation)
    return found


def build(examples: Examples) -> dict[str, Any]:
    """Return the document with these examples. Warnings are added to drf-spectacular's GENERATOR_STATS."""
    generator = Generator(examples)
    paths = generator.parse(None, public=True)
    components = {
        "schemas": generator.schemas,
        "responses": responses(),
        "parameters": PARAMETERS,
        "securitySchemes": SECURITY,
    }
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "iris",
            "version": iris.__version__,
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "This server"}],
        "tags": [{"name": area.name, "description": area.about} for area in areas()],
        "paths": paths,
        "components": components,
    }
    _add_named(document)
    _drop_unused(document, "responses")
    _drop_unused(document, "parameters")
    return dict(sanitize_result_object(normalize_result_object(document)))


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """Return the document that this release serves. The first call takes about a second of CPU time."""
    return build(Examples.load())


def _add_named(document: dict[str, Any]) -> None:
    """Add the named shapes to which the document refers, directly or through other named shapes."""
    schemas = document["components"]["schemas"]
    while missing := {
        name for name in _references(document, "schemas") if name not in schemas and name in NAMED
    }:
        schemas.update({name: NAMED[name] for name in missing})
    document["components"]["schemas"] = dict(sorted(schemas.items()))


def _drop_unused(document: dict[str, Any], kind: str) -> None:
    used = _references(document, kind)
    defined = document["components"][kind]
    document["components"][kind] = {name: one for name, one in defined.items() if name in used}


def _references(value: Any, kind: str) -> set[str]:
    if isinstance(value, dict):
        found = {name for one in value.values() for name in _references(one, kind)}
        match = re.fullmatch(rf"#/components/{kind}/(\w+)", str(value.get("$ref", "")))
        return found | {match[1]} if match else found
    if isinstance(value, list):
        return {name for one in value for name in _references(one, kind)}
    return set()
