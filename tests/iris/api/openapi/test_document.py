"""The OpenAPI document describes every route and agrees with the documented examples."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.http import JsonResponse

from iris.api.openapi import document as documents
from iris.api.openapi.examples import Examples
from iris.api.openapi.operations import Area, Operation
from iris.api.openapi.routes import routes
from iris.api.openapi.shapes import TEXT, schema_of
from iris.management.commands import schema as command
from tests.described import assert_described
from tests.golden import FOLDER

DOCUMENT = documents.document()
OPERATIONS = [
    pytest.param(path, method, operation, id=operation["operationId"])
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]
EXAMPLES = [
    pytest.param(operation_id, name, example, id=f"{operation_id}-{name}")
    for operation_id, by_name in Examples.load().stored.items()
    for name, example in by_name.items()
]
PATHS = {
    operation["operationId"]: (method.upper(), path)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}


def test_the_check_finds_no_difference_between_routes_and_document() -> None:
    call_command("schema", check=True)


def test_a_route_that_nobody_describes_is_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "areas", lambda: documents_without("GET v0-campaigns"))
    assert list(command.differences()) == [
        "GET v0-campaigns is served but not described. Add it to the schema.py of its app."
    ]


def test_a_description_without_a_route_is_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = Area("x", "x", {"GET v0-nothing": Operation(id="x", summary="x", answers={200: TEXT})})
    monkeypatch.setattr(documents, "areas", lambda: [*documents_without(""), extra])
    assert list(command.differences()) == [
        "GET v0-nothing is described but not served. Remove it from the schema.py of its app."
    ]


def documents_without(key: str) -> list[Area]:
    return [
        Area(
            area.name,
            area.about,
            {name: operation for name, operation in area.operations.items() if name != key},
        )
        for area in AREAS
    ]


AREAS = documents.areas()


def test_ids_of_operations_are_unique_and_fit_for_names_of_functions() -> None:
    assert len(PATHS) == len(OPERATIONS) == sum(len(route.actions) for route in routes())
    assert all(operation_id.isidentifier() for operation_id in PATHS)


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_every_operation_has_words_an_area_and_a_successful_answer(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    assert operation["summary"]
    assert operation["tags"][0] in {tag["name"] for tag in DOCUMENT["tags"]}
    assert [status for status in operation["responses"] if status < "300"]
    assert {"400", "503"} <= set(operation["responses"])


@pytest.mark.parametrize(("operation_id", "name", "example"), EXAMPLES)
def test_every_documented_example_fits_the_document(
    operation_id: str, name: str, example: dict[str, Any]
) -> None:
    method, path = PATHS[operation_id]
    response = JsonResponse(example["body"], safe=False, status=example["status"])
    response.headers["X-Error-Code"] = "invalid"
    assert_described(method, path, response, body=response.content.decode())


def test_examples_are_those_of_the_golden_files() -> None:
    stored = Examples.load().stored
    assert sum(len(by_name) for by_name in stored.values()) == len(list(FOLDER.parent.glob("*/*.json")))


def test_uploads_are_described_as_multipart_only() -> None:
    content = DOCUMENT["paths"]["/api/system/campaigns/"]["post"]["requestBody"]["content"]
    schemas = {
        media_type: DOCUMENT["components"]["schemas"][one["schema"]["$ref"].rpartition("/")[2]]
        for media_type, one in content.items()
    }
    assert schemas["multipart/form-data"]["properties"]["send_to_number_file"] == {
        "type": "string",
        "format": "binary",
    }
    assert "send_to_number_file" not in schemas["application/json"]["properties"]


def test_a_key_with_a_question_mark_can_be_missing() -> None:
    assert schema_of({"id": TEXT, "name?": [TEXT]}) == {
        "type": "object",
        "properties": {"id": {"type": "string"}, "name": {"type": "array", "items": {"type": "string"}}},
        "required": ["id"],
    }


def test_login_needs_no_authentication_and_v1_also_accepts_the_cookie() -> None:
    paths = DOCUMENT["paths"]
    assert paths["/api/accounts/login/"]["post"]["security"] == []
    assert {"accessCookie": []} in paths["/api/v1/campaign/"]["get"]["security"]
    assert {"accessCookie": []} not in paths["/api/system/campaigns/"]["get"]["security"]
