"""Requests that are invented from the OpenAPI document get only responses that it has, and never a 5xx of a bug."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given
from rest_framework_simplejwt.tokens import AccessToken
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from campaigns.models import Service
from iris.api.openapi.errors import error_codes
from iris.wsgi import application
from telephony.carriers.sandbox import inbox
from tests.campaigns.surveys.surveying import make_survey
from tests.described import strict_document
from tests.factories import make_account, make_campaign, make_phone_number, owner_of
from tests.route_ids import ids_for
from tests.scale import IS_FIELD, at_scale
from tests.v0 import undone

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# Requests for each operation: valid ones, ones that violate the document, and ones for unknown ids. These are more than 500
# requests in all, and with `make field` more than 10,000.
VALID, INVALID, UNKNOWN = at_scale((2, 1, 1), (42, 20, 12))
SCHEMA = schemathesis.openapi.from_dict(strict_document())
SCHEMA.app = application
AREAS = [tag["name"] for tag in strict_document()["tags"]]

pytestmark = [pytest.mark.field, pytest.mark.django_db]


def operations_of(area: str) -> Iterator[Any]:
    for result in SCHEMA.get_all_operations():
        assert isinstance(result, Ok), result
        operation = result.ok()
        if area in (operation.tags or ()):
            yield operation


class World:
    """An account with an object of each kind."""

    def __init__(self) -> None:
        self.account = make_account(email="sita@example.com", credits=1000)
        campaign = make_campaign(owner=self.account, message="Namaste", service=Service.SMS)
        names = {
            name
            for path in strict_document()["paths"]
            for name in re.findall(r"{(\w+)}", path)
            if name != "number"
        }
        others = {
            "phone_id": make_phone_number(owner=self.account).pk,
            "survey_id": make_survey(owner=self.account).survey.pk,
        }
        self.ids: dict[str, Any] = {
            **ids_for(sorted(names, key=_contacts_last), campaign, **others),
            "number": "9841000001",
        }
        token = AccessToken.for_user(owner_of(self.account))
        self.headers = {"Authorization": f"Bearer {token}"}

    def ids_in(self, operation: Any) -> dict[str, Any]:
        return {name: self.ids[name] for name in re.findall(r"{(\w+)}", operation.path)}

    def send(self, case: Any) -> None:
        case.headers["X-Account"] = str(self.account.pk)
        with undone():
            response = case.call(headers=self.headers)
        case.validate_response(response, checks=CHECKS)
        if response.status_code >= 400:
            (code,) = response.headers["x-error-code"]
            assert code in error_codes()


@pytest.fixture(autouse=True)
def _one_connection() -> Iterator[None]:
    """Keep the connection of the test's transaction open, which Django would close at the beginning of each request."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture(autouse=True)
def _nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests with `wait` for messages that never come would each take up to 20 s."""
    monkeypatch.setattr(inbox, "MAX_WAIT_SECONDS", 0)


@pytest.mark.parametrize("area", AREAS)
def test_every_response_is_in_the_document(area: str) -> None:
    world = World()
    for operation in operations_of(area):
        ids = world.ids_in(operation)
        valid = operation.as_strategy(GenerationMode.POSITIVE, path_parameters=ids or None)
        invalid = operation.as_strategy(GenerationMode.NEGATIVE, path_parameters=ids or None)
        try_out(world, valid, VALID)
        try_out(world, invalid, INVALID)
        if ids:
            try_out(world, operation.as_strategy(GenerationMode.POSITIVE), UNKNOWN)


def try_out(world: World, requests: Any, count: int) -> None:
    @hypothesis.settings(
        max_examples=count,
        database=None,
        derandomize=not IS_FIELD,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=requests)
    def one(case: Any) -> None:
        world.send(case)

    one()


def _contacts_last(name: str) -> tuple[bool, str]:
    return name == "list_contact_id", name  # a contact exists once there is a list
