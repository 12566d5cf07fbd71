"""docker-compose.yml: its services, started with their own commands, take a campaign to its end.

PostgreSQL and Redis are real; only Docker is missing.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.deploy.composing import COMPOSE, DOCKERFILE, Composition
from tests.iris.processes import ROOT, run
from tests.live import wait_for

SERVICES = COMPOSE["services"]
OF_IRIS = [name for name, service in SERVICES.items() if "build" in service]
STEADY = [name for name in SERVICES if name not in {"migrate", "nightly"}]


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_has_no_privileges_and_limits(name: str) -> None:
    service = SERVICES[name]

    assert service["init"] is True
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}
    assert service["tmpfs"]


@pytest.mark.parametrize("name", STEADY)
def test_each_service_that_keeps_running_has_a_healthcheck(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_is_in_the_environment(name: str) -> None:
    environment = SERVICES[name].get("environment", {})
    secret = {key for key in environment if re.search("PASSWORD|SECRET|DATABASE_URL", key)}

    assert all(key.endswith("_FILE") for key in secret)
    paths = {environment[key] for key in secret}
    assert paths <= {f"/run/secrets/{secret}" for secret in SERVICES[name].get("secrets", [])}
    assert set(SERVICES[name].get("secrets", [])) <= set(COMPOSE["secrets"])


def test_services_start_after_the_migration_and_this_after_the_database() -> None:
    for name in OF_IRIS:
        if name == "migrate":
            assert {each["condition"] for each in SERVICES[name]["depends_on"].values()} == {
                "service_healthy"
            }
        else:
            assert SERVICES[name]["depends_on"] == {
                "migrate": {"condition": "service_completed_successfully"}
            }


def test_the_nightly_service_runs_the_commands_of_the_nightly_unit() -> None:
    script = SERVICES["nightly"]["command"][-1]
    listed = re.findall(r"for each in (.*); do", script)[0].split()
    unit = (ROOT / "deploy" / "systemd" / "iris-nightly.service").read_text()

    assert listed == re.findall(r"^ExecStart=\S+ manage.py (\w+)$", unit, re.MULTILINE)


def test_the_image_contains_the_packages_of_iris_and_runs_as_a_user() -> None:
    copied = set(re.findall(r"^COPY (\w+) \1$", DOCKERFILE, re.MULTILINE))
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}

    assert copied == {*packages, "locale"}
    assert len(re.findall(r"^FROM ", DOCKERFILE, re.MULTILINE)) == 2
    assert re.findall(r"^USER (\w+)$", DOCKERFILE, re.MULTILINE) == ["iris"]


@pytest.mark.skipif(not Path("/bin/sh").exists(), reason="There is no shell.")
def test_the_scripts_of_images_are_accepted_by_a_shell() -> None:
    for script in (ROOT / "deploy" / "build-images.sh", ROOT / "deploy" / "images" / "postgres-entrypoint"):
        assert os.access(script, os.X_OK)
        assert os.system(f"sh -n {script}") == 0


# The services as processes ----------------------------------------------------------------------------------


@pytest.fixture
def services(tmp_path: Path, require_program: Callable[[str], str]) -> Iterator[Composition]:
    running = Composition(tmp_path)
    try:
        running.start_postgres()
        running.start_redis(require_program("redis-server"))
        yield running
    finally:
        running.stop()


CARRIERS = """
[carriers.sandbox]
BACKEND = "telephony.carriers.sandbox.SandboxCarrier"
OPTIONS = {}

[carriers.line1]
BACKEND = "telephony.carriers.smpp.SmppCarrier"
OPTIONS = { host = "127.0.0.1", port = 9, system_id = "a", password = "b", source = "31001", tls = false }

[routes]
call = ["sandbox"]
sms = ["sandbox"]
"""
RECIPIENTS = 300
FEW = {"IRIS_WORKER_CONCURRENCY": "2"}  # this machine is not as large as a server
WORKERS = ["worker-1", "worker-2", "worker-3"]


def test_the_services_take_a_campaign_to_its_end_and_notice_what_is_stuck(services: Composition) -> None:
    carriers = services.folder / "carriers.toml"
    carriers.write_text(CARRIERS)
    migrated = run(
        services.command("migrate")[1:],
        services.folder,
        **{k: v for k, v in services.environment("migrate", "migrate").items() if k.startswith("IRIS_")},
    )
    assert migrated.returncode == 0, migrated.stderr
    services.start_iris("web")
    services.start_iris("beat")
    for name in WORKERS:
        services.start_iris("worker", name, **FEW)
    services.start_iris("trunk-line1", IRIS_CARRIERS_FILE=str(carriers))

    of = {
        **{name: name for name in STEADY if name not in {"worker", "postgres"}},
        **dict.fromkeys(WORKERS, "worker"),
    }
    for name, service in of.items():
        wait_for(partial(services.is_healthy, service, name), seconds=60)
    services.assert_running()

    _run_a_campaign(services)
    names = [
        name
        for (name,) in _rows(services, "SELECT name FROM telephony_turn WHERE starts_with(name, 'worker:2:')")
    ]
    assert len(names) == 3, "each of the three workers took part"

    _notices_what_is_stuck(services)


def _run_a_campaign(services: Composition) -> None:
    created = run(
        ["manage.py", "createaccount", "a@example.com", "--credits", "5000", "--password-env", "PASSWORD"],
        services.folder,
        PASSWORD="a-long-password-9",
        **{k: v for k, v in services.environment("web", "web").items() if k.startswith("IRIS_")},
    )
    assert created.returncode == 0, created.stderr
    headers = {"Host": "iris.example.com", "X-Forwarded-Proto": "https"}
    with httpx.Client(
        base_url=f"http://127.0.0.1:{services.ports['web']}", headers=headers, timeout=60
    ) as web:
        login = web.post(
            "/api/accounts/login/", json={"email": "a@example.com", "password": "a-long-password-9"}
        )
        web.headers["Authorization"] = f"Bearer {login.json()['data']['token']['access']}"
        numbers = [9801000001 + number for number in range(RECIPIENTS)]
        new = {"name": "First", "services": "SMS", "individual_number": numbers}
        campaign = web.post("/api/system/campaigns/", json=new).json()["data"]["details"][0]["id"]
        begun = web.post(f"/api/system/campaigns/{campaign}/begin/", json={"message": "Hello."})
        assert begun.status_code == 200, begun.text

        def status() -> str:
            details = web.get(f"/api/system/campaigns/{campaign}/details/").json()
            return str(details["data"]["details"][0]["status"])

        wait_for(lambda: status() == "Completed", seconds=60, max_pause=0.5)
        wait_for(lambda: web.get("/health").json()["status"] == "ok", seconds=30, max_pause=0.5)
    assert _rows(services, 'SELECT count(*), count(DISTINCT "to") FROM telephony_sandboxmessage') == [
        (RECIPIENTS, RECIPIENTS)
    ]


def _rows(services: Composition, sql: str) -> list[tuple[object, ...]]:
    with services.connect() as connection:
        return connection.execute(sql.encode()).fetchall()


def _notices_what_is_stuck(services: Composition) -> None:
    watched = {"worker-1": "worker", "trunk-line1": "trunk-line1", "beat": "beat"}
    for name in (*watched, "redis"):
        services.pause(name)
    an_old_time = time.time() - 120
    for name, service in watched.items():
        os.utime(services.alive_file(name), (an_old_time, an_old_time))
        assert not services.is_healthy(service, name)
    assert services.is_healthy("worker", "worker-2")
    services.resume("redis")
    for name in watched:
        services.resume(name)
    for name, service in watched.items():
        wait_for(partial(services.is_healthy, service, name), seconds=60)

    # Without Redis, workers are not stuck, and a restart would not help them.
    services.processes["redis"].kill()
    services.processes["redis"].wait()
    assert not services.is_healthy("redis")
    os.utime(services.alive_file("worker-2"), (an_old_time, an_old_time))
    wait_for(lambda: services.is_healthy("worker", "worker-2"), seconds=60)

    services.processes["web"].kill()
    services.processes["web"].wait()
    os.killpg(services.processes["web"].pid, 9)
    assert not services.is_healthy("web")
