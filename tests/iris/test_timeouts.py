"""Web requests do not wait for ever, because other requests need their thread."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import OperationalError, connection

from iris import timeouts
from iris.api.exceptions import explain
from tests.factories import make_account, make_campaign
from tests.iris.processes import run_python
from tests.v0 import Caller


@pytest.fixture
def short_timeouts(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give our connection the timeouts of a web process, but much shorter."""
    monkeypatch.setattr(timeouts, "LOCK_SECONDS", 0.2)
    monkeypatch.setattr(timeouts, "STATEMENT_SECONDS", 5)
    timeouts.limit_waits(connection)
    yield
    connection.close()


@pytest.mark.usefixtures("short_timeouts")
def test_a_request_that_waits_for_a_locked_row_is_a_503() -> None:
    campaign = make_campaign(owner=make_account(email="sita@example.com"))
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT FROM campaigns_campaign WHERE id = %s FOR UPDATE", [campaign.pk])
        path = f"/api/system/campaigns/{campaign.pk}/update/"

        answer = Caller(campaign.owner).fails("PUT", path, {"name": "New"}, status=503)

        assert "Try again in a few seconds" in answer["message"]
        other.rollback()
        Caller(campaign.owner).put(path, {"name": "New"})
    finally:
        other.close()


@pytest.mark.usefixtures("short_timeouts")
def test_a_request_with_a_slow_statement_is_a_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "STATEMENT_SECONDS", 0.1)
    timeouts.limit_waits(connection)

    with pytest.raises(OperationalError) as raised, connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(60)")

    explained = explain(raised.value)
    assert explained is not None
    assert (explained.status, explained.headers) == (503, {"Retry-After": "5"})


def test_only_web_processes_have_lock_and_statement_timeouts() -> None:
    show = (
        "from django.db import connection; cursor = connection.cursor();"
        " cursor.execute(\"SELECT current_setting('lock_timeout'), current_setting('statement_timeout')\");"
        " print(*cursor.fetchone())"
    )
    home = Path(settings.IRIS_HOME)
    web = run_python(f"import iris.wsgi; {show}", home)
    setup = "import django; django.setup()"
    command = run_python(f"{setup}; {show}", home, DJANGO_SETTINGS_MODULE="iris.settings")

    assert (web.stdout.strip(), command.stdout.strip()) == ("10s 30s", "0 0"), (web.stderr, command.stderr)
