"""The embedded PostgreSQL starts in any folder and for any user, and stops after its last user, however it ended."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from iris.devserver.embedded import keeper, server
from tests.iris.devserver.joining import JOIN, WAIT, is_running, keeper_of, postmaster, query, stops, user
from tests.iris.processes import ROOT, environment, run_python
from tests.live import switch_off_fsync, wait_for


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create an empty database cluster for all tests that are not about its creation, which takes a second."""
    folder = tmp_path_factory.mktemp("cluster")
    keeper.Server(folder, server.programs()).prepare()
    switch_off_fsync(folder / "data")
    return folder / "data"


@pytest.fixture
def home(cluster: Path, tmp_path: Path) -> Path:
    """Return an IRIS_HOME with an empty database cluster, in which no server runs."""
    folder = server.folder_of(tmp_path)
    folder.mkdir()
    # `-a` keeps the owner: when root runs the tests, PostgreSQL runs as another user.
    subprocess.run(["cp", "-a", str(cluster), str(folder / "data")], check=True)
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [
        "short",
        "with spaces, commas & 'quotes' \" \\ $HOME",
        "देवनागरी",
        "deep/" + "/".join(["folder" * 5] * 5),
    ],
)
def test_the_server_starts_for_any_path_of_iris_home(name: str, tmp_path: Path) -> None:
    home = tmp_path / name

    with user(home):
        assert query(home, "SHOW shared_buffers") == [("256MB",)]
        socket = keeper.socket_folder(server.folder_of(home)) / ".s.PGSQL.5432"
        assert socket.is_socket()
        assert len(os.fsencode(socket)) < 100
        running = postmaster(home)

    wait_for(stops(running), seconds=10)
    assert not socket.exists()


def test_two_paths_to_the_same_folder_share_one_server(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "home")
    (tmp_path / "home").mkdir()

    with user(tmp_path / "home"), user(tmp_path / "link"):
        assert server.folder_of(tmp_path / "home") == server.folder_of(tmp_path / "link")


def test_starting_and_stopping_the_server_prints_nothing(tmp_path: Path) -> None:
    quiet = run_python(JOIN, tmp_path, XDG_RUNTIME_DIR=str(tmp_path / "not there"))

    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")


def test_the_server_stops_after_its_last_user_and_keeps_the_data(home: Path) -> None:
    with user(home):
        running = postmaster(home)
        with user(home):
            assert postmaster(home) == running
        query(home, "CREATE TABLE kept AS SELECT 7 AS number")
        assert is_running(running)
    wait_for(stops(running), seconds=10)

    with user(home):
        assert postmaster(home) != running
        assert query(home, "SELECT number FROM kept") == [(7,)]


def test_concurrent_processes_start_one_server(tmp_path: Path) -> None:
    command = [sys.executable, "-c", JOIN + "print(sockets)"]
    processes = [
        subprocess.Popen(command, cwd=ROOT, env=environment(tmp_path), stdout=subprocess.PIPE, text=True)
        for _ in range(6)
    ]

    outputs = {process.communicate(timeout=60)[0] for process in processes}

    assert [process.returncode for process in processes] == [0] * 6
    assert len(outputs) == 1


def test_joining_while_the_server_stops_always_succeeds(home: Path) -> None:
    """Processes leave while others join, so that many of them join while the server stops or has just stopped."""
    use = f"""{JOIN}
import psycopg
for _ in range(8):
    folder = server.folder_of(Path(os.environ["IRIS_HOME"]))
    with psycopg.connect(host=server.join(folder, "iris"), user="postgres", dbname="iris") as connection:
        connection.execute("SELECT 1")
    server.leave(folder)
    time.sleep(0.11)
"""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", use],
            cwd=ROOT,
            env=environment(home),
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]

    errors = [process.communicate(timeout=120)[1] for process in processes]

    assert errors == ["", ""]


def test_the_server_outlives_the_process_that_started_it_while_others_use_it(home: Path) -> None:
    with user(home) as starter, user(home):
        running = postmaster(home)
        starter.kill()
        starter.wait(60)
        time.sleep(0.5)

        assert query(home, "SELECT 1") == [(1,)]
        assert is_running(running)
    wait_for(stops(running), seconds=10)


def test_the_server_stops_when_its_only_user_is_killed(home: Path) -> None:
    with user(home) as killed:
        running = postmaster(home)
        killed.kill()

        wait_for(stops(running), seconds=10)


def test_the_end_of_a_forked_child_does_not_stop_the_server(home: Path) -> None:
    fork = """
child = os.fork()
if not child:
    sys.exit()
os.waitpid(child, 0)
"""
    with user(home, JOIN + fork + WAIT):
        time.sleep(0.5)

        assert query(home, "SELECT 1") == [(1,)]


def test_the_server_runs_as_long_as_a_forked_child(home: Path) -> None:
    fork = """
if os.fork():
    print("joined", flush=True)
    os._exit(0)
sys.stdin.read()
"""
    with user(home, JOIN + fork) as parent:
        running = postmaster(home)
        parent.wait(60)
        time.sleep(0.5)

        assert query(home, "SELECT 1") == [(1,)]
    wait_for(stops(running), seconds=10)


def test_a_new_keeper_takes_over_the_server_of_a_killed_keeper(home: Path) -> None:
    with user(home):
        running = postmaster(home)
        os.kill(keeper_of(home), signal.SIGKILL)
        with user(home):
            assert postmaster(home) == running
            wait_for(lambda: is_running(keeper_of(home)), seconds=10)
    wait_for(stops(running), seconds=10)


@pytest.mark.parametrize("who", ["postmaster", "keeper and postmaster"])
def test_the_server_starts_again_after_it_was_killed(who: str, home: Path) -> None:
    with user(home):
        query(home, "CREATE TABLE kept AS SELECT 7 AS number")
        if "keeper" in who:
            os.kill(keeper_of(home), signal.SIGKILL)
        os.kill(postmaster(home), signal.SIGKILL)
        with user(home):
            assert query(home, "SELECT number FROM kept") == [(7,)]


def test_a_process_reconnects_to_a_new_server_after_the_old_one_was_killed(home: Path) -> None:
    lose_it = """
import os, signal
import django; django.setup()
from django.conf import settings
from django.db import connection
connection.cursor().execute("SELECT 1")
connection.close()
pid_file = settings.IRIS_HOME / "postgres" / "data" / "postmaster.pid"
os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)
connection.cursor().execute("SELECT 1")
print("goes on")
"""
    done = run_python(lose_it, home, DJANGO_SETTINGS_MODULE="iris.settings")

    assert done.stdout == "goes on\n", done.stderr


def test_a_stale_postmaster_pid_of_another_process_is_ignored(home: Path) -> None:
    """After a restart of the machine or of a container, the pid in postmaster.pid may belong to any process."""
    with user(home):
        pid_file = server.folder_of(home) / "data" / "postmaster.pid"
        content = pid_file.read_text()
        running = postmaster(home)
    wait_for(stops(running), seconds=10)
    wait_for(lambda: not pid_file.exists(), seconds=10)
    pid_file.write_text(content.replace(str(running), str(os.getpid()), 1))

    with user(home):
        assert query(home, "SELECT 1") == [(1,)]


def test_an_incomplete_cluster_is_created_again(tmp_path: Path) -> None:
    unfinished = server.folder_of(tmp_path) / "data.new"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")

    with user(tmp_path):
        assert query(tmp_path, "SELECT 1") == [(1,)]


def test_data_of_another_postgresql_version_are_refused_with_an_explanation(home: Path) -> None:
    with user(home):
        running = postmaster(home)
    wait_for(stops(running), seconds=10)
    (server.folder_of(home) / "data" / "PG_VERSION").write_text("16\n")

    refused = run_python(JOIN, home)

    assert "was made by PostgreSQL 16, and this is 18" in refused.stderr


def test_an_unwritable_iris_home_is_refused_with_an_explanation(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    refused = run_python(JOIN, tmp_path / "file")

    assert "IRIS_HOME must be a folder that iris may write to" in refused.stderr


def test_the_server_runs_as_an_unprivileged_user(tmp_path: Path) -> None:
    """The other tests run as the current user. If that is root, this test covers an unprivileged user."""
    if os.geteuid() != 0:
        pytest.skip("The other tests run as a plain user.")
    setpriv = shutil.which("setpriv")
    assert setpriv is not None
    home = Path(f"/tmp/iris-plain-{os.getpid()}")
    home.mkdir()
    os.chown(home, keeper.NOBODY, keeper.NOBODY)
    become = [
        setpriv,
        f"--reuid={keeper.NOBODY}",
        f"--regid={keeper.NOBODY}",
        "--clear-groups",
        "--inh-caps=-all",
    ]
    command = [sys.executable, "-I", "-S", keeper.__file__, str(home), str(server.programs())]
    try:
        readable = [
            *become,
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import subprocess; open({keeper.__file__!r})",
        ]
        if subprocess.run(readable, cwd="/", capture_output=True, check=False).returncode != 0:
            pytest.skip("A plain user may not read this Python or this checkout.")
        done = subprocess.run(
            [*become, *command], cwd="/", capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")  # the server started, found no user, and stopped
        assert (home / "data").stat().st_uid == keeper.NOBODY
    finally:
        shutil.rmtree(home)


def test_as_root_the_server_can_read_a_private_checkout_and_has_no_other_capability(
    tmp_path: Path,
) -> None:
    """For example a checkout below /root. PostgreSQL does not run as root, and other users cannot enter that folder."""
    if os.geteuid() != 0:
        pytest.skip("For root only.")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    installed = server.programs().parent
    wheel = installed.parent
    shutil.copytree(installed, closed / wheel.name / installed.name)
    shutil.copytree(
        wheel.with_name(f"{wheel.name}.libs"), closed / f"{wheel.name}.libs"
    )  # the libraries that the wheel links to
    programs = closed / wheel.name / installed.name / "bin"
    join = f"""
from pathlib import Path
from iris.devserver.embedded import server
server.programs = lambda: Path({str(programs)!r})
"""

    with user(closed / "home", join + JOIN + WAIT):
        status = Path(f"/proc/{postmaster(closed / 'home')}/status").read_text()

    assert re.search(rf"^Uid:\s+{keeper.NOBODY}\s+{keeper.NOBODY}", status, re.MULTILINE)
    capabilities = re.search(r"^CapEff:\s+([0-9a-f]+)$", status, re.MULTILINE)
    assert capabilities is not None
    assert int(capabilities[1], 16) in {
        1 << 1,
        1 << 2,
    }  # CAP_DAC_OVERRIDE or CAP_DAC_READ_SEARCH, and no other
