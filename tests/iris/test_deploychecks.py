"""`manage.py check --deploy` names what is unsafe or reaches nobody."""

from pathlib import Path

import pytest
from django.db import connection
from pytest_django import Settings

from iris import deploychecks
from telephony.carriers.sandbox.carrier import SandboxCarrier

SANDBOX = f"{SandboxCarrier.__module__}.{SandboxCarrier.__name__}"


@pytest.fixture
def safe(settings: Settings, tmp_path: Path) -> Settings:
    settings.IRIS_HOME = tmp_path
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.IRIS_SANDBOX_INBOX = False
    settings.IRIS_PUBLIC_URL = "https://iris.example.com"
    settings.SECURE_HSTS_SECONDS = 3600
    settings.CARRIERS = {
        "sandbox": {"BACKEND": "telephony.carriers.sandbox.SandboxCarrier"},
        "line1": {"BACKEND": "telephony.carriers.sip.SipCarrier"},
    }
    settings.ROUTES = {"call": ["line1", "sandbox"], "sms": []}
    return settings


def ids() -> list[str | None]:
    return [problem.id for problem in deploychecks.deployment_is_safe(None)]


def test_a_safe_deployment_has_no_problem(safe: Settings) -> None:
    assert ids() == []


def test_w003_an_open_inbox(safe: Settings) -> None:
    safe.IRIS_SANDBOX_INBOX = True
    assert ids() == ["iris.W003"]


@pytest.mark.parametrize("route", [["sandbox"], [{"prefix": "+977", "trunks": ["sandbox"]}]])
def test_w004_a_channel_that_reaches_nobody(safe: Settings, route: list[object]) -> None:
    safe.ROUTES = {"call": ["line1"], "sms": route}
    assert ids() == ["iris.W004"]


def test_w005_no_hsts(safe: Settings) -> None:
    safe.SECURE_HSTS_SECONDS = 0
    assert ids() == ["iris.W005"]


def test_w006_folders(safe: Settings, tmp_path: Path) -> None:
    safe.IRIS_HOME = tmp_path / "nowhere"
    (tmp_path / "file").touch()
    safe.MEDIA_ROOT = tmp_path / "file"

    assert ids() == ["iris.W006", "iris.W006"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("log_min_messages", "error"),
        ("log_min_error_statement", "error"),
        ("log_min_error_statement", "log"),
        ("log_min_error_statement", "fatal"),
        ("log_error_verbosity", "default"),
    ],
)
def test_w007_a_database_that_logs_statements(setting: str, value: str) -> None:
    assert deploychecks.database_fits(None) == []
    with connection.cursor() as cursor:
        cursor.execute(f"SET {setting} = '{value}'")
        try:
            assert [problem.id for problem in deploychecks.database_fits(None)] == ["iris.W007"]
        finally:
            cursor.execute(f"RESET {setting}")


def test_sandbox_carriers_are_known_by_their_backend() -> None:
    assert SANDBOX.startswith(deploychecks.SANDBOX.rstrip("."))
