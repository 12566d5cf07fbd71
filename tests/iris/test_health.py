"""GET /health reports the parts that do not respond."""

import subprocess
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

import iris
from iris import health
from iris.models import Heartbeat
from tests.iris.processes import run_python
from tests.live import wait_for
from tests.ports import free_port

# The checks run in their own threads, which only see committed rows.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _broker(settings: Settings, tmp_path: Path) -> None:
    settings.IRIS_BROKER_URL = None
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"folder": str(tmp_path / "broker")}


@pytest.mark.parametrize("path", ["/health", "/health/"])
def test_health_is_ok_when_all_parts_respond(path: str, client: Client) -> None:
    health.record_heartbeat()

    response = client.get(path)

    assert response.status_code == 200
    assert response.json() == {
        "status": "ok",
        "database": "ok",
        "broker": "ok",
        "worker": "ok",
        "media": "ok",
        "version": iris.__version__,
    }


def test_health_names_a_worker_that_was_never_seen(client: Client) -> None:
    response = client.get("/health")

    assert response.status_code == 503
    assert response.json()["status"] == "unhealthy"
    assert response.json()["worker"] == "not seen for 15 s"
    assert response.json()["database"] == response.json()["broker"] == "ok"


@pytest.mark.parametrize(("seconds", "status"), [(10, 200), (20, 503)])
def test_a_worker_counts_as_gone_after_15_seconds(seconds: int, status: int, client: Client) -> None:
    Heartbeat.objects.create(name="worker", seen_at=timezone.now() - timedelta(seconds=seconds))

    assert client.get("/health").status_code == status


def test_the_worker_of_an_earlier_sandbox_does_not_count(client: Client) -> None:
    health.record_heartbeat()

    health.forget_heartbeats()

    assert client.get("/health").json()["worker"] != "ok"


def test_a_heartbeat_has_one_row_per_part(client: Client) -> None:
    health.record_heartbeat()
    first = Heartbeat.objects.get().seen_at
    health.record_heartbeat()

    assert Heartbeat.objects.get().seen_at > first


def test_health_reports_a_broker_that_does_not_respond(
    client: Client, settings: Settings, tmp_path: Path
) -> None:
    health.record_heartbeat()
    (tmp_path / "file").touch()
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"folder": str(tmp_path / "file" / "broker")}

    response = client.get("/health")

    assert response.status_code == 503
    assert response.json()["broker"] == "does not answer"
    assert response.json()["worker"] == "ok"


def test_health_checks_redis_if_it_is_the_broker(
    client: Client, settings: Settings, require_program: Callable[[str], str], tmp_path: Path
) -> None:
    health.record_heartbeat()
    port = str(free_port())
    settings.IRIS_BROKER_URL = f"redis://127.0.0.1:{port}/0"
    redis = subprocess.Popen(
        [require_program("redis-server"), "--port", port, "--save", "", "--dir", str(tmp_path)]
    )
    try:
        wait_for(lambda: client.get("/health").json()["broker"] == "ok", seconds=10)
    finally:
        redis.terminate()
        redis.wait(60)

    assert client.get("/health").json()["broker"] == "does not answer"


def test_health_reports_a_database_that_hangs(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def hang() -> dict[str, str]:
        release.wait(120)
        return {}

    monkeypatch.setattr(health, "LIMIT_SECONDS", 0.1)
    monkeypatch.setattr(health, "_check_database", hang)
    before = set(threading.enumerate())  # those of earlier tests may end at any time
    try:
        answers = [client.get("/health") for _ in range(5)]

        assert [answer.status_code for answer in answers] == [503] * 5
        assert answers[0].json()["database"] == "does not answer"
        assert len(set(threading.enumerate()) - before) == 1, "no second check starts while one hangs"
    finally:
        release.set()
        health._Check.hanging["database"].join(60)


def test_a_failing_check_is_reported_by_health(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> dict[str, str]:
        raise RuntimeError("a surprise")

    monkeypatch.setattr(health, "_check_database", fail)

    response = client.get("/health")

    assert response.status_code == 503
    assert response.json()["database"] == "fails: see the log"


def test_health_accepts_only_get_and_head(client: Client) -> None:
    assert client.post("/health").status_code == 405


def test_liveness_needs_neither_database_nor_a_known_host() -> None:
    """A load balancer requests it by IP address, from a process that cannot reach its database."""
    script = (
        "from django.test.client import RequestFactory; from iris.wsgi import application\n"
        "statuses = []\n"
        "for path in ('/health/live', '/health/live/', '/health/live?x', '/health'):\n"
        "    environ = RequestFactory(HTTP_HOST='10.0.0.7:8000').get(path).environ\n"
        "    body = application(environ, lambda status, headers: statuses.append(status))\n"
        "print(statuses)"
    )
    done = run_python(
        script,
        Path(settings.IRIS_HOME),
        IRIS_DATABASE_URL=f"postgresql://iris@127.0.0.1:{free_port()}/iris",
        IRIS_SECRET_KEY=60 * "k",
    )

    assert done.stdout.strip() == str(3 * ["200 OK"] + ["400 Bad Request"]), done.stderr
