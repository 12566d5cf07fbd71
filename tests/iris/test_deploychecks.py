"""`manage.py check --deploy` reports unsafe settings, and channels whose calls or SMS reach no phone."""

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


def test_a_safe_deployment_passes_all_checks(safe: Settings) -> None:
    assert ids() == []


def test_an_open_sandbox_inbox_is_w003(safe: Settings) -> None:
    safe.IRIS_SANDBOX_INBOX = True
    assert ids() == ["iris.W003"]


@pytest.mark.parametrize("route", [["sandbox"], [{"prefix": "+977", "trunks": ["sandbox"]}]])
def test_a_channel_with_only_the_sandbox_carrier_is_w004(safe: Settings, route: list[object]) -> None:
    safe.ROUTES = {"call": ["line1"], "sms": route}
    assert ids() == ["iris.W004"]


def test_missing_hsts_is_w005(safe: Settings) -> None:
    safe.SECURE_HSTS_SECONDS = 0
    assert ids() == ["iris.W005"]


def test_a_missing_or_unwritable_folder_is_w006(safe: Settings, tmp_path: Path) -> None:
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
def test_a_database_that_logs_statements_is_w007(setting: str, value: str) -> None:
    assert deploychecks.database_fits(None) == []
    with connection.cursor() as cursor:
        cursor.execute(f"SET {setting} = '{value}'")
        try:
            assert [problem.id for problem in deploychecks.database_fits(None)] == ["iris.W007"]
        finally:
            cursor.execute(f"RESET {setting}")


def test_the_check_knows_the_current_path_of_the_sandbox_carrier() -> None:
    assert SANDBOX.startswith(deploychecks.SANDBOX.rstrip("."))
