"""Fixtures and hooks for all tests: optional programs, clean caches, an API client, the embedded PostgreSQL."""

import gc
import importlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import hypothesis
import pytest
from django.conf import settings as django_settings
from django.core.cache import cache
from django.db import connection, connections
from pytest_django import DjangoDbBlocker
from rest_framework.test import APIClient

from iris.devserver.embedded import server
from telephony.engine import restore_hold, restore_witness
from telephony.speech import audio, voices
from tests import quick_flush
from tests.live import TEMPLATE, copy_migrated_database

# Collecting the tests creates millions of objects that stay. Looking for garbage among them would take as long again.
gc.disable()

# A busy machine generates inputs slowly, which is no fault of the code.
hypothesis.settings.register_profile(
    "iris", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("iris")


def pytest_xdist_auto_num_workers() -> int:
    """Return the number of processors plus three: many tests spend their time waiting for other processes."""
    return (os.cpu_count() or 1) + 3


# Files with long tests, the longest first. If a long file started last, one worker would run it while all others idle.
LONG_FILES = (
    "test_chaos.py",
    "test_chaos_scenarios.py",
    "test_journey.py",
    "test_sandbox.py",
    "test_live.py",
    "test_kills.py",
    "test_operations_walk.py",
    "test_compose.py",
    "test_engine.py",
    "test_embedded.py",
    "test_engine_processes.py",
    "test_previous_release.py",
    "test_restore.py",
    "test_browser.py",
    "test_drain.py",
    "test_guides.py",
    "test_campaign.py",
    "test_failover_live.py",
    "test_end_to_end.py",
    "test_registration.py",
    "test_endless_speech_live.py",
    "test_over_sip.py",
    "test_reach.py",
    "test_worst_inputs.py",
    "test_webserver.py",
    "test_speech_processes.py",
    "test_api_bad_input.py",
    "test_every_route.py",
    "test_worst_sheets.py",
    "test_permissions.py",
    "test_dispatch_pace.py",
    "test_runs.py",
    "test_poolers.py",
    "test_surveys.py",
    "test_repeated_requests_at_once.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def require_program(name: str) -> str:
    """Return the path of a program that a test needs.

    If the program is missing, skip the test, or fail it if IRIS_REQUIRE_SERVICES=1.
    """
    path = shutil.which(name)
    if path is None:
        skip(f"{name} is not installed.")
    return path


def require_module(name: str) -> ModuleType:
    """Return a module that a test needs and that `make test` does not install.

    If the module is missing, skip the test, or fail it if IRIS_REQUIRE_SERVICES=1.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        skip(f"{name.partition('.')[0]} is not installed (requirements/browser.txt).")


def skip(sentence: str) -> NoReturn:
    """Skip a test that needs something that is missing here, or fail it if IRIS_REQUIRE_SERVICES=1."""
    if os.environ.get("IRIS_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{sentence} IRIS_REQUIRE_SERVICES=1 asks for it.", pytrace=False)
    pytest.skip(sentence)


@pytest.fixture(name="require_program")
def _require_program() -> Callable[[str], str]:
    return require_program


@pytest.fixture(autouse=True)
def _clear_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture(autouse=True)
def _forget_restore_witness() -> Iterator[None]:
    """Clear the stored state of the database, because the rollback after a test looks like a restored backup."""
    restore_witness.forget()
    yield
    restore_witness.forget()
    shutil.rmtree(Path(django_settings.IRIS_HOME) / restore_witness.FOLDER, ignore_errors=True)


@pytest.fixture(autouse=True)
def _clear_voice_caches() -> Iterator[None]:
    audio._read_fragment.cache_clear()
    yield
    voices.clear_cache()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None) -> None:
    """Let the database of each process of the tests be a copy of one that was migrated once.

    Without the embedded server, each process migrates its own.
    """
    if django_settings.IRIS_DATABASE_URL is None:
        copy_migrated_database(Path(django_settings.IRIS_HOME))
        connection.settings_dict["TEST"]["TEMPLATE"] = TEMPLATE


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Let ids begin at 1,000,000, so that generated ids never equal those of a documented example.

    Tests that need real transactions empty all tables, so the audit log can be emptied here (and nowhere else).
    """
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        restore_hold.adopt("default")  # a copy of a database looks like a restored backup
        cursor.execute("ALTER TABLE accounts_auditentry DISABLE TRIGGER never_emptied")
        cursor.execute(
            """SELECT setval(pg_get_serial_sequence(quote_ident(table_name), 'id'), 1000000)
                 FROM information_schema.columns
                WHERE table_schema = 'public' AND column_name = 'id' AND is_identity = 'YES'"""
        )
    quick_flush.install()


@pytest.fixture
def api() -> APIClient:
    """Return an API client that has not logged in. `api.force_authenticate(user)` logs it in."""
    return APIClient()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the embedded PostgreSQL and remove its files, in the process that started the tests."""
    if os.environ.get("IRIS_TESTS_RUNNING") != str(os.getpid()):
        return
    connections.close_all()
    home = Path(django_settings.IRIS_HOME)
    server.leave(server.folder_of(home), wait=True)
    shutil.rmtree(home, ignore_errors=True)
