"""Every error has a stable code in both dialects, and the list of codes is that of the source code."""

from __future__ import annotations

import json

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import Client

from iris.api.openapi.errors import error_codes
from iris.management.error_sources import found_in


def test_the_list_of_codes_is_that_of_the_source_code() -> None:
    call_command("errorcodes", check=True)
    assert list(error_codes().values()) == found_in(settings.BASE_DIR)


def test_every_code_has_a_sentence_or_a_meaning() -> None:
    assert [one.code for one in error_codes().values() if not one.sentences and not one.about] == []


@pytest.mark.django_db
@pytest.mark.parametrize("prefix", ["/api/system", "/api/v1"])
def test_errors_have_a_code_in_both_dialects(prefix: str) -> None:
    client = Client(raise_request_exception=False)
    assert client.get(f"{prefix}/nothing/").headers["X-Error-Code"] == "not_found"
    path = "campaigns" if prefix == "/api/system" else "campaign"
    assert client.get(f"{prefix}/{path}/").headers["X-Error-Code"] == "not_authenticated"


@pytest.mark.django_db
def test_a_login_with_a_wrong_password_has_its_own_code() -> None:
    body = json.dumps({"email": "sita@example.com", "password": "wrong"})
    response = Client().post("/api/accounts/login/", body, content_type="application/json")
    assert (response.status_code, response.headers["X-Error-Code"]) == (401, "wrong_credentials")
