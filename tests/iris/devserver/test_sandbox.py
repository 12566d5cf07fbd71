"""`manage.py sandbox` is ready within seconds and leaves no processes behind."""

import os
import pty
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.iris.processes import ROOT, manage
from tests.live import LiveIris, wait_for
from tests.scale import at_scale


def processes_of(home: Path) -> dict[int, str]:
    """Return the processes with this IRIS_HOME or its database, as `{pid: command}`."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            variables = (folder / "environ").read_bytes()
        except OSError:
            continue
        if f"IRIS_HOME={home}".encode() in variables.split(b"\0") or str(home) in command:
            found[int(folder.name)] = command
    return found


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveIris]:
    iris = LiveIris(tmp_path_factory.mktemp("sandbox") / "home")
    iris.copies_database = False
    try:
        yield iris
    finally:
        if iris.is_running():
            iris.stop()
        assert processes_of(iris.home) == {}


@pytest.fixture
def live(sandbox: LiveIris) -> LiveIris:
    """The shared sandbox of this file, restarted if a previous test stopped it."""
    if not sandbox.is_running():
        sandbox.start()
    return sandbox


def child(live: LiveIris, word: str) -> int:
    return next(pid for pid, command in sorted(processes_of(live.home).items()) if word in command)


def test_the_demo_account_has_credits_and_numbers(live: LiveIris) -> None:
    owned = live.demo.get("/api/system/owned/phone_numbers").json()["data"]["owned_numbers"]
    for_sale = live.demo.get("/api/system/phone_numbers").json()["data"]["number_lists"]

    assert (len(owned), len(for_sale)) == (2, 20)
    assert all(re.fullmatch("[0-9a-f]{32}", number["phone_number_sid"]) for number in owned + for_sale)


def test_a_second_sandbox_in_the_same_iris_home_is_refused_with_an_explanation(live: LiveIris) -> None:
    refused = manage(live.home, "sandbox", IRIS_PORT="1")

    assert refused.returncode == 1
    assert f"A sandbox is already running in {live.home}" in refused.stderr


def test_other_commands_work_while_the_sandbox_runs(live: LiveIris) -> None:
    done = manage(live.home, "check_ledger")

    assert done.returncode == 0, done.stderr
    assert httpx.get(f"{live.url}/health").status_code == 200


def test_a_stopped_sandbox_leaves_nothing_behind_and_a_restarted_one_has_its_data(live: LiveIris) -> None:
    output = live.log.read_text()
    assert re.search(r"iris is ready \(([\d.]+) s\)", output)
    assert live.url in output
    assert "demo@example.com / demo-password" in output
    assert httpx.get(f"{live.url}/health").json()["status"] == "ok"
    sid = live.demo.get("/api/system/phone_numbers").json()["data"]["number_lists"][0]["phone_number_sid"]
    assert live.demo.post("/api/system/phone_numbers/", json={"phone_sid": sid}).status_code == 200

    live.stop()
    assert live.process.returncode == 0
    assert processes_of(live.home) == {}
    assert "Traceback" not in live.log.read_text()

    live.start()
    owned = live.demo.get("/api/system/owned/phone_numbers").json()["data"]["owned_numbers"]
    assert sid in [number["phone_number_sid"] for number in owned]
    assert len(owned) == 3


def test_killing_the_sandbox_ends_all_its_processes_and_it_can_start_again(live: LiveIris) -> None:
    live.process.kill()
    live.process.wait()
    wait_for(lambda: processes_of(live.home) == {}, seconds=60)

    live.start()

    assert httpx.get(f"{live.url}/health").status_code == 200


# Each of these ends a whole sandbox.
CHILDREN = [(" worker ", "worker"), *at_scale([], [("gunicorn", "web"), (" beat ", "beat")])]


@pytest.mark.field
@pytest.mark.parametrize(("word", "name"), CHILDREN)
def test_the_sandbox_stops_and_names_the_child_process_that_died(
    word: str, name: str, live: LiveIris
) -> None:
    os.kill(child(live, word), signal.SIGKILL)

    assert live.process.wait(60) == 1
    assert f"The {name} process ended (killed by SIGKILL), so iris stops." in live.log.read_text()
    wait_for(lambda: processes_of(live.home) == {}, seconds=10)


def test_ctrl_c_stops_the_sandbox(sandbox: LiveIris) -> None:
    """In a terminal, Ctrl-C is sent to all processes of the foreground process group."""
    if sandbox.is_running():
        sandbox.stop()
    terminal, inside = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "sandbox"],
        cwd=ROOT,
        env=sandbox.environment,
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
        preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # makes it the controlling terminal
    )
    os.close(inside)
    output = b""
    while b"iris is ready" not in output:
        output += os.read(terminal, 10_000)
    os.write(terminal, b"\x03")

    assert process.wait(60) == 0
    os.close(terminal)
    assert processes_of(sandbox.home) == {}
    assert b"Traceback" not in output


def test_a_port_in_use_is_reported_without_a_traceback(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])

        refused = manage(tmp_path, "sandbox", IRIS_PORT=port)

    assert refused.returncode == 1
    assert f"Port {port} is in use" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert processes_of(tmp_path) == {}
