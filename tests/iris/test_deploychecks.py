"""`manage.py check --deploy` reports unsafe settings, and channels whose calls or SMS reach no phone."""

import re
import time
from pathlib import Path

import pytest
from django.db import OperationalError, connection
from pytest_django import Settings

from iris import checks, deploychecks, pendingchecks
from telephony.carriers.sandbox.carrier import SandboxCarrier

SANDBOX = f"{SandboxCarrier.__module__}.{SandboxCarrier.__name__}"


@pytest.fixture(autouse=True)
def _server_of_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not complain that PostgreSQL does not wait for the disk here."""
    monkeypatch.setattr(deploychecks, "MUST_BE_ON", [])


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


def test_an_open_sandbox_inbox_is_w009(safe: Settings) -> None:
    safe.IRIS_SANDBOX_INBOX = True
    assert ids() == ["iris.W009"]


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


def database_ids() -> list[str | None]:
    return [problem.id for problem in deploychecks.database_fits(None)]


@pytest.mark.django_db(transaction=True)
def test_an_old_postgresql_is_e007(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploychecks, "OLDEST_POSTGRESQL", 99)
    (problem,) = deploychecks.database_fits(None)
    assert problem.id == "iris.E007"
    assert "iris needs 99 or newer" in problem.msg


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("ahead", "words"), [(-30.0, "30.0 s behind"), (30.0, "30.0 s ahead of")])
def test_a_clock_that_differs_from_that_of_postgresql_is_w014(
    ahead: float, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_time = time.time
    monkeypatch.setattr("iris.deploychecks.time.time", lambda: true_time() + ahead)
    (problem,) = deploychecks.database_fits(None)
    assert problem.id == "iris.W014"
    assert words in problem.msg


@pytest.mark.django_db(transaction=True)
def test_few_connections_left_are_w015(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploychecks, "MAX_CONNECTION_SHARE", 0.0)
    assert database_ids() == ["iris.W015"]


@pytest.mark.django_db(transaction=True)
def test_a_database_that_may_forget_what_it_has_committed_is_w016(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploychecks, "MUST_BE_ON", ["synchronous_commit"])
    with connection.cursor() as cursor:
        for value in ("off", "on"):
            cursor.execute(f"SET synchronous_commit = {value}")
            assert database_ids() == (["iris.W016"] if value == "off" else [])
        cursor.execute("RESET synchronous_commit")


@pytest.mark.django_db
def test_a_database_that_cannot_be_reached_is_w008(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(deploychecks, "_database", refuse)
    assert database_ids() == ["iris.W008"]


def test_each_check_has_an_id_of_its_own() -> None:
    declared = [
        line.partition(":")[0]
        for module in (checks, deploychecks, pendingchecks)
        for line in (module.__doc__ or "").splitlines()
        if line.startswith("iris.")
    ]
    assert len(declared) == len(set(declared))
    for module in (checks, deploychecks, pendingchecks):
        used = set(re.findall(r"iris\.[WE][0-9]{3}", Path(module.__file__ or "").read_text()))
        assert used <= set(declared)


def test_the_check_knows_the_current_path_of_the_sandbox_carrier() -> None:
    assert SANDBOX.startswith(deploychecks.SANDBOX.rstrip("."))
