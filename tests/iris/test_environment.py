"""Environment variables are parsed, and invalid values are refused with an error message."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from iris import environment
from iris.environment import (
    VARIABLES,
    carriers_from_file,
    env_bool,
    env_decimal,
    env_int,
    env_list,
    env_secret,
    env_str,
    postgresql_url,
    stored_secret,
)


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "VARIABLES", dict(VARIABLES))
    monkeypatch.delenv("IRIS_X", raising=False)
    monkeypatch.delenv("IRIS_X_FILE", raising=False)


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_variable_counts_as_not_set(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IRIS_X", value)

    assert env_str("IRIS_X", "usual", "about") == "usual"
    assert env_int("IRIS_X", 5, "about") == 5
    assert env_bool("IRIS_X", True, "about") is True
    assert env_secret("IRIS_X", "about", shown="none") is None


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (lambda: env_str("IRIS_X", "", "about"), " text ", "text"),
        (lambda: env_int("IRIS_X", 1, "about"), "17", 17),
        (lambda: env_bool("IRIS_X", False, "about"), "Yes", True),
        (lambda: env_bool("IRIS_X", True, "about"), "off", False),
        (lambda: env_decimal("IRIS_X", "1", "about"), "2.50", Decimal("2.50")),
        (lambda: env_list("IRIS_X", "", "about"), "a, b,,c ", ["a", "b", "c"]),
    ],
)
def test_valid_values_of_variables_are_parsed(
    read: Callable[[], Any], value: str, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IRIS_X", value)

    assert read() == expected


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (lambda: env_int("IRIS_X", 1, "about"), "many"),
        (lambda: env_int("IRIS_X", 1, "about"), "1.5"),
        (lambda: env_int("IRIS_X", 1, "about"), "-1"),
        (lambda: env_int("IRIS_X", 1, "about", maximum=10), "11"),
        (lambda: env_bool("IRIS_X", True, "about"), "perhaps"),
        (lambda: env_decimal("IRIS_X", "1", "about"), "NaN"),
        (lambda: env_decimal("IRIS_X", "1", "about"), "Infinity"),
        (lambda: env_decimal("IRIS_X", "1", "about"), "1,5"),
        (lambda: env_decimal("IRIS_X", "1", "about"), "1.505"),
        (lambda: env_decimal("IRIS_X", "1", "about"), "-0.01"),
    ],
)
def test_an_invalid_value_raises_an_error_that_names_the_variable(
    read: Callable[[], Any], value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IRIS_X", value)

    with pytest.raises(ImproperlyConfigured, match="^IRIS_X (must|may)"):
        read()


def test_a_secret_is_read_from_the_file_of_its_file_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    monkeypatch.setenv("IRIS_X_FILE", str(tmp_path / "secret"))

    assert env_secret("IRIS_X", "about", shown="none") == "from a file"


def test_an_unreadable_secret_file_raises_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IRIS_X_FILE", str(tmp_path / "none"))

    with pytest.raises(ImproperlyConfigured, match="^IRIS_X_FILE names"):
        env_secret("IRIS_X", "about", shown="none")


def test_the_stored_secret_is_generated_once_and_readable_only_by_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secret_key"

    first = stored_secret(path)

    assert len(first) >= 50
    assert stored_secret(path) == first
    assert path.stat().st_mode & 0o077 == 0
    assert list(path.parent.iterdir()) == [path]


def test_a_database_url_is_converted_to_django_settings() -> None:
    assert postgresql_url(
        "IRIS_DATABASE_URL", "postgresql://iris:p%40ss@db.example.com:6432/calls?sslmode=require"
    ) == {
        "NAME": "calls",
        "USER": "iris",
        "PASSWORD": "p@ss",
        "HOST": "db.example.com",
        "PORT": "6432",
        "OPTIONS": {"sslmode": "require"},
    }


def test_a_database_url_may_contain_the_folder_of_a_socket() -> None:
    database = postgresql_url("IRIS_DATABASE_URL", "postgresql://iris@/calls?host=/run/postgresql")

    assert (database["HOST"], database["PORT"], database["OPTIONS"]) == ("/run/postgresql", "", {})


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://iris@localhost/iris", "must begin with postgresql://"),
        ("sqlite:///db.sqlite3", "must begin with postgresql://"),
        ("postgresql://iris@localhost/", "names no database"),
        ("postgresql://iris@localhost:many/iris", "has a port"),
    ],
)
def test_an_invalid_database_url_raises_an_error_that_says_why(url: str, sentence: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"^IRIS_DATABASE_URL {sentence}"):
        postgresql_url("IRIS_DATABASE_URL", url)


def test_carriers_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "carriers.toml"
    path.write_text(
        """
        [carriers.line1]
        BACKEND = "telephony.carriers.sandbox.SandboxCarrier"
        CPS = 5

        [routes]
        call = ["line1", { prefix = "+97798", trunks = ["line1"] }]
        sms = []
        """
    )

    carriers, routes = carriers_from_file("IRIS_CARRIERS_FILE", path)

    assert carriers == {
        "line1": {
            "BACKEND": "telephony.carriers.sandbox.SandboxCarrier",
            "CPS": 5,
            "CHANNELS": None,
            "OPTIONS": {},
        }
    }
    assert routes == {"call": ["line1", {"prefix": "+97798", "trunks": ["line1"]}], "sms": []}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[carriers", "cannot be read"),
        ("", "has no carrier"),
        ("[carriers.line1]\nCPS = 5", "needs BACKEND"),
        ('[carriers.line1]\nBACKEND = "a.B"\n[trunks.line2]', "not trunks"),
        ("carriers = 1", "has no carrier"),
        ('routes = 1\n[carriers.line1]\nBACKEND = "a.B"', r"\[routes\]"),
    ],
)
def test_an_invalid_carriers_file_raises_an_error_that_says_why(
    content: str, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "carriers.toml"
    path.write_text(content)

    with pytest.raises(ImproperlyConfigured, match=sentence):
        carriers_from_file("IRIS_CARRIERS_FILE", path)
