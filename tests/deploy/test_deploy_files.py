"""systemd, nginx, gunicorn and Celery accept the files of deploy/."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from django.core.management import get_commands

from tests.iris.processes import ROOT, run
from tests.iris.webserving import WebServer, web_server
from tests.live import wait_for
from tests.ports import free_port

UNITS = sorted((ROOT / "deploy" / "systemd").iterdir())
PYTHON = "/srv/iris/.venv/bin/"
SETTINGS = (ROOT / "docs" / "operations.md").read_text()


def commands(unit: Path) -> list[list[str]]:
    """Return the commands of a unit with the instance name line1, with systemd's specifiers and "%%" expanded."""
    lines = re.findall(r"^ExecStart=(.*)$", unit.read_text(), re.MULTILINE)
    return [shlex.split(line.replace("%i", "line1").replace("%%", "%")) for line in lines]


def test_each_kind_of_process_has_a_systemd_unit() -> None:
    names = {unit.name for unit in UNITS}
    assert names == {
        *("iris-web.service", "iris-worker@.service", "iris-beat.service", "iris-trunk@.service"),
        *("iris-nightly.service", "iris-nightly.timer"),
    }
    for name in names:
        assert name in SETTINGS, "docs/operations.md must document the variable"


@pytest.mark.parametrize("unit", [unit for unit in UNITS if commands(unit)], ids=lambda unit: unit.name)
def test_the_commands_of_units_are_accepted_by_their_programs(unit: Path, tmp_path: Path) -> None:
    for program, *arguments in commands(unit):
        assert program.startswith(PYTHON)
        if program == f"{PYTHON}python":
            assert arguments[0] == "manage.py"
            assert arguments[1] in get_commands()
            continue
        module = program.removeprefix(PYTHON)
        last = "--check-config" if module == "gunicorn" else "--help"
        done = run(["-m", module, *arguments, last], tmp_path)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_accepts_each_unit(unit: Path, tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed.")
    for each in UNITS:  # a timer names its service
        text = each.read_text().replace(f"{PYTHON}python", sys.executable)
        text = re.sub(rf"{PYTHON}\w+", sys.executable, text)
        (tmp_path / each.name.replace("@.", "@line1.")).write_text(text)
    done = subprocess.run(
        [program, "verify", "--man=no", str(tmp_path / unit.name.replace("@.", "@line1."))],
        capture_output=True,
        text=True,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )
    output = [line for line in done.stderr.splitlines() if "iris" in line]
    assert output == []


SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]


def sandbox(unit: Path) -> list[str]:
    """Return the directives of the unit's sandbox, which end its section."""
    text = unit.read_text()
    return text[text.index("# The sandbox.") :].split("\n\n")[0].strip().splitlines()


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_each_unit_has_the_same_sandbox_and_limits(unit: Path) -> None:
    directives = sandbox(unit)

    assert directives == sandbox(SERVICES[0])
    assert {"ProtectSystem=strict", "NoNewPrivileges=yes", "CapabilityBoundingSet=", "PrivateTmp=yes"} <= set(
        directives
    )
    assert re.search("^MemoryMax=", unit.read_text(), re.MULTILINE)
    assert re.search("^TasksMax=", unit.read_text(), re.MULTILINE)


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_systemd_rates_the_exposure_of_each_unit_as_low(unit: Path, tmp_path: Path) -> None:
    """The scale is from 0 to 10, and a unit without a sandbox has 9.6."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed.")
    copy = tmp_path / unit.name.replace("@.", "@line1.")
    copy.write_text(unit.read_text())
    rated = subprocess.run(
        [program, "security", "--offline=true", "--threshold=20", str(copy)], capture_output=True, text=True
    )
    if "unrecognized option" in rated.stderr:
        pytest.skip("This systemd-analyze does not read files.")
    assert rated.returncode == 0, rated.stdout


def test_systemd_watches_all_processes_that_report_that_they_are_not_stuck() -> None:
    watched = {unit.name for unit in SERVICES if "WatchdogSec=180\n" in unit.read_text()}

    assert watched == {"iris-worker@.service", "iris-beat.service", "iris-trunk@.service"}
    assert all("NotifyAccess=main\n" in (UNITS[0].parent / name).read_text() for name in watched)


# nginx ------------------------------------------------------------------------------------------------------


def _certificate(openssl: str, folder: Path) -> None:
    subprocess.run(
        [
            openssl,
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=iris.example.com",
        ]
        + ["-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")],
        check=True,
        capture_output=True,
    )


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebServer]:
    (tmp_path / "web").mkdir()
    with web_server(tmp_path / "web", IRIS_TRUST_PROXY="on") as server:
        yield server


@pytest.fixture
def nginx(web: WebServer, tmp_path: Path, require_program: Callable[[str], str]) -> Iterator[httpx.Client]:
    """A client of the HTTPS server of the example, in which only ports and certificate are replaced."""
    program = require_program("nginx")
    _certificate(require_program("openssl"), tmp_path)
    plain, https = free_port(), free_port()
    site = (ROOT / "deploy" / "nginx.conf").read_text()
    for before, after in {
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen 443 ssl;": f"listen 127.0.0.1:{https} ssl;",
        "server 127.0.0.1:8000;": f"server 127.0.0.1:{web.port};",
        "/etc/ssl/iris/": f"{tmp_path}/",
    }.items():
        assert before in site
        site = site.replace(before, after)
    (tmp_path / "site.conf").write_text(site)
    folders = "".join(
        f"{kind}_temp_path {tmp_path}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = tmp_path / "nginx.conf"
    main.write_text(
        f"daemon off;\nmaster_process off;\npid {tmp_path}/pid;\nerror_log {tmp_path}/error.log;\nevents {{}}\n"
        f"http {{\naccess_log {tmp_path}/access.log;\n{folders}include {tmp_path}/site.conf;\n}}\n"
    )
    command = [program, "-e", f"{tmp_path}/error.log", "-c", str(main), "-p", str(tmp_path)]
    tested = subprocess.run([*command, "-t"], capture_output=True, text=True)
    assert tested.returncode == 0, tested.stderr
    assert "warn" not in tested.stderr
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    client = httpx.Client(
        base_url=f"https://127.0.0.1:{https}",
        headers={"Host": "iris.example.com"},
        verify=_unverified(),
        timeout=60,
    )
    try:
        wait_for(lambda: process.poll() is not None or _answers(client), seconds=30)
        assert process.poll() is None, (tmp_path / "error.log").read_text()
        yield client
        redirected = httpx.get(f"http://127.0.0.1:{plain}/x", headers={"Host": "iris.example.com"})
        assert (redirected.status_code, redirected.headers["Location"]) == (301, "https://iris.example.com/x")
    finally:
        client.close()
        process.send_signal(signal.SIGQUIT)
        process.wait(20)


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _answers(client: httpx.Client) -> bool:
    try:
        client.get("/")
    except httpx.TransportError:
        return False
    return True


def test_nginx_passes_the_client_address_host_and_scheme(nginx: httpx.Client) -> None:
    lies = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http"}
    echo = nginx.get("/x", headers=lies).json()["headers"]
    assert echo["HTTP_HOST"] == "iris.example.com"
    assert echo["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"
    assert echo["HTTP_X_FORWARDED_PROTO"] == "https"
    assert echo.get("HTTP_CONNECTION", "") == "", "connections to iris are kept"


def test_large_uploads_and_error_responses_pass_nginx_unchanged(nginx: httpx.Client) -> None:
    sent = 40 * 2**20 * b"x"
    assert nginx.post("/x", content=sent).json()["length"] == len(sent)
    assert len(nginx.get("/big").content) == 160 * 65536
    refused = nginx.get(f"/api/v1/x?{'a' * 5000}")
    assert refused.status_code == 414
    assert refused.json()["message"].startswith("The address of this request is too long.")


def test_nginx_logs_no_address_that_contains_the_secret_of_a_carrier(
    nginx: httpx.Client, tmp_path: Path
) -> None:
    nginx.get("/carriers/sparrow/a-secret/")
    nginx.get("/x")
    log = tmp_path / "access.log"
    wait_for(lambda: "GET /x" in log.read_text(), seconds=10)
    assert "a-secret" not in log.read_text()


def test_nginx_serves_health_to_the_operator_only(nginx: httpx.Client) -> None:
    assert nginx.get("/health").status_code == 200  # from this machine
    site = (ROOT / "deploy" / "nginx.conf").read_text()
    block = site[site.index("location = /health ") :].partition("}")[0]
    assert re.findall(r"^\s*(allow|deny) (\S+);", block, re.MULTILINE)[-1] == ("deny", "all")
