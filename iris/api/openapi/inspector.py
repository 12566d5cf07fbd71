"""Translate the serializers, the filters and the description of an operation to OpenAPI."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from drf_spectacular.drainage import warn
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ComponentRegistry

from accounts.api.permissions import kind_needed_by, needed_by
from accounts.permissions import AccountKind
from iris.api import idempotency
from iris.api.openapi.operations import V0_PAGES, Body, Operation
from iris.api.openapi.refusals import dialect_of, refusals_of
from iris.api.openapi.routes import Route
from iris.api.openapi.shapes import TEXT, Schema, schema_of

JSON, MULTIPART = "application/json", "multipart/form-data"
V0_PAGE_PARAMETERS = ("page", "v0_page_size")
V1_PAGE_PARAMETERS = ("page", "v1_page_size", "limit", "offset")
FILE = {"type": "string", "format": "binary"}
Described = tuple[str, str, Operation]  # the area, the id and the operation


class Inspector(AutoSchema):
    """Describes one operation. drf-spectacular maps the standard serializer fields, and the rest is said by iris's own."""

    def __init__(
        self, route: Route, described: Described | None, components: dict[str, Schema], examples: Any
    ) -> None:
        super().__init__()
        self.route, self.described, self.components, self.examples = route, described, components, examples

    def get_operation(
        self, path: str, path_regex: str, path_prefix: str, method: str, registry: ComponentRegistry
    ) -> dict[str, Any]:
        self.registry, self.path, self.method = registry, path, method
        if self.described is None:
            warn(
                f"{method} {path} (route {self.route.name}) is not described: add it to the schema.py of its app"
            )
            return {"responses": {}}
        area, operation_id, operation = self.described
        guarded = is_guarded(self.route, method)
        body = self._request_body(operation)
        shown = {
            "operationId": operation_id,
            "summary": operation.summary,
            "description": self._description(operation),
            "tags": [area],
            "parameters": list(self._parameters(operation, guarded=guarded)),
            "requestBody": body,
            "security": security_of(self.route),
            "responses": {
                **self._answers(operation),
                **refusals_of(self.route, method, operation, guarded=guarded),
            },
        }
        return {key: value for key, value in shown.items() if value is not None}

    def _map_serializer_field(self, field: Any, direction: Any, bypass_extensions: bool = False) -> Any:
        own = getattr(field, "json_schema", None)
        if own is None:
            return super()._map_serializer_field(field, direction, bypass_extensions)
        described = {"description": str(field.help_text)} if field.help_text else {}
        return {**own, **described}

    def _description(self, operation: Operation) -> str:
        action = self.route.actions[self.method.lower()]
        sentences = [operation.about] if operation.about else []
        if not self.route.view.permission_classes:
            sentences.append("Needs no login.")
        elif (needed := needed_by(self.route.view, action)) is not None:
            sentences.append(f"Needs the permission `{needed.value}`.")
        if self.route.view.permission_classes:
            kind = kind_needed_by(self.route.view, action)
            sentences += ["A test twin cannot use it."] if kind is AccountKind.LIVE else []
        return " ".join(sentences)

    def _parameters(self, operation: Operation, *, guarded: bool) -> Iterator[dict[str, Any]]:
        for name, converter in self.route.parameters.items():
            schema = {"type": "integer", "minimum": 1} if converter == "id" else TEXT
            yield {"name": name, "in": "path", "required": True, "schema": schema}
        if operation.query is not None:
            for name, field in operation.query().fields.items():
                yield self._parameter(name, field, required=field.required)
        if operation.filters is not None:
            for name, one in operation.filters.base_filters.items():
                yield self._parameter(name, one.extra["reader"], required=False)
        for name, schema in operation.parameters.items():
            yield {"name": name, "in": "query", "schema": schema}
        shared: list[str] = []
        if operation.pages:
            shared += V0_PAGE_PARAMETERS if operation.pages == V0_PAGES else V1_PAGE_PARAMETERS
        if self.route.view.permission_classes:
            shared.append("account")
        if guarded:
            shared.append("idempotency_key")
        for name in shared:
            yield {"$ref": f"#/components/parameters/{name}"}

    def _parameter(self, name: str, field: Any, *, required: bool) -> dict[str, Any]:
        schema = dict(self._map_serializer_field(field, "request"))
        text = schema.pop("description", None)
        described = {"description": text} if text else {}
        return {"name": name, "in": "query", "required": required, "schema": schema, **described}

    def _request_body(self, operation: Operation) -> dict[str, Any] | None:
        if operation.body is None:
            return None
        bodies = operation.body if isinstance(operation.body, tuple) else (operation.body,)
        by_type: dict[str, list[Any]] = {}
        required = True
        for body in bodies:
            full = self._body_schema(body)
            required = required and bool(full.get("required"))
            contents = _by_media_type(full)
            if operation.more_files:
                contents[MULTIPART] = Schema({**full, "additionalProperties": FILE})
            for media_type, schema in contents.items():
                name = self._component_name(body)
                if name is None:
                    by_type.setdefault(media_type, []).append(schema)
                    continue
                name += "WithFiles" if media_type == MULTIPART and JSON in contents else ""
                self.components[name] = schema
                by_type.setdefault(media_type, []).append({"$ref": f"#/components/schemas/{name}"})
        examples = self.examples.of_request(self.described[1]) if self.described else {}
        content = {
            media_type: {
                "schema": listed[0] if len(listed) == 1 else {"anyOf": listed},
                **({"examples": examples} if media_type == JSON and examples else {}),
            }
            for media_type, listed in by_type.items()
        }
        return {"content": content, **({"required": True} if required else {})}

    def _body_schema(self, body: Body) -> Schema:
        if isinstance(body, Schema):
            return body
        serializer = body()
        properties: dict[str, Any] = {}
        for name, field in serializer.fields.items():
            mapped = self._map_serializer_field(field, "request")
            self._insert_field_validators(field, mapped)
            properties[name] = mapped
        required = [name for name, field in serializer.fields.items() if field.required]
        text = re.sub(r"\s+", " ", body.__dict__.get("__doc__") or "").strip()
        return Schema(
            {
                "type": "object",
                **({"description": text} if text else {}),
                "properties": properties,
                **({"required": required} if required else {}),
            }
        )

    def _component_name(self, body: Body) -> str | None:
        return (
            None
            if isinstance(body, Schema)
            else f"{dialect_of(self.route)}{body.__name__.removesuffix('Serializer')}"
        )

    def _answers(self, operation: Operation) -> dict[str, Any]:
        assert self.described is not None
        shown: dict[str, Any] = {}
        for status, answer in operation.answers.items():
            content = {} if answer is None else {JSON: answer} if isinstance(answer, Schema) else dict(answer)
            examples = self.examples.of_answer(self.described[1], status)
            by_type = {
                media_type: {
                    "schema": schema_of(schema),
                    **({"examples": examples} if media_type == JSON and examples else {}),
                }
                for media_type, schema in content.items()
            }
            described = {"description": "The request has succeeded."}
            shown[str(status)] = {**described, "content": by_type} if by_type else described
        return shown


def is_guarded(route: Route, method: str) -> bool:
    """Return whether an operation obeys the header `Idempotency-Key` (see `iris.api.idempotency`)."""
    action = route.actions[method.lower()]
    rule = getattr(getattr(route.view, action), "retries", route.view.retries)
    if not rule.obeys or not route.view.permission_classes:
        return False
    if method == "POST":
        return route.actions.get("get") != action
    return method in idempotency.REPEATS_POST and route.actions.get("post") == action


def security_of(route: Route) -> list[dict[str, list[str]]]:
    """Return the authentication that an operation accepts."""
    if not route.view.permission_classes:
        return []
    accepted = ["accessToken", "apiKey"]
    if dialect_of(route) == "V1":
        accepted.append("accessCookie")
    return [{name: []} for name in accepted]


def is_file(schema: Any) -> bool:
    return bool(schema.get("format") == "binary")


def _by_media_type(full: Schema) -> dict[str, Schema]:
    """Return the body as JSON if it needs no files, and as multipart if it can have files.

    iris reads every body as a form, too. That is said once for all operations, because generated clients have a type for
    each content type.
    """
    properties = full.get("properties", {})
    files = {name for name, one in properties.items() if is_file(one)}
    content: dict[str, Schema] = {}
    if not files & set(full.get("required", ())):
        kept = {name: one for name, one in properties.items() if name not in files}
        content[JSON] = Schema({**full, "properties": kept}) if files else full
    if files:
        content[MULTIPART] = full
    return content
