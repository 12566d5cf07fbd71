"""A folder that stands for a bare Debian, in which the commands of docs/operations.md run.

Programs that need root, packages or the internet are replaced by small substitutes. PostgreSQL, Redis, nginx, openssl and
curl are real, and so is everything of iris.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg

from iris.devserver.embedded import keeper, server
from tests.deploy import systemctl
from tests.iris.processes import ROOT
from tests.live import wait_for
from tests.ports import free_port

FOLDERS = ("/etc/", "/srv/iris", "/var/lib/iris", "/usr/local/bin/")
SUBSTITUTES = {
    "apt-get": "exit 0",
    "useradd": "exit 0",
    "sudo": 'shift 2; exec "$@"',  # sudo -u USER COMMAND
    "python3": 'if [ "$1 $2" = "-m venv" ]; then exec {python} {here} venv "$3"; else exec {python} "$@"; fi',
    "git": 'exec {python} {here} clone "$5"',  # git clone --branch TAG ADDRESS FOLDER
    "psql": "exec {python} {here} psql",
    "nginx": 'exec {nginx} -e {root}/services/nginx-errors.log -c {root}/etc/nginx/nginx.conf -p {root} "$@"',
    "systemctl": 'exec {python} {systemctl} {root} systemctl "$@"',
    "systemd-run": 'exec {python} {systemctl} {root} systemd-run "$@"',
    # The users of the machine do not exist here.
    "install": """
for each; do
    shift
    case $each in -o | -g) skip=1 ;; *) [ "${{skip:-}}" ] || set -- "$@" "$each"; skip= ;; esac
done
exec {install} "$@"
""",
}
VENV = {
    "python": 'exec {python} "$@"',
    "celery": 'exec {python} -m celery "$@"',
    "gunicorn": 'exec {python} -m gunicorn "$@"',
    "pip": "exit 0",
}


def newest_postgresql() -> Path:
    """Return the programs of Debian's newest PostgreSQL, or of the embedded one."""
    installed = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "postgres").exists()]
    return max(installed, key=lambda path: int(path.parent.name), default=server.programs())


class Debian:
    def __init__(self, root: Path, nginx: str) -> None:
        self.root = root
        self.https = free_port()
        self.redis = free_port()
        self.replacements = {
            **{folder: f"{root}{folder}" for folder in FOLDERS},
            "localhost:6379": f"127.0.0.1:{self.redis}",
            "127.0.0.1:8000": f"127.0.0.1:{free_port()}",
            "listen 80;": f"listen 127.0.0.1:{free_port()};",
            "listen 443 ssl;": f"listen 127.0.0.1:{self.https} ssl;",
        }
        for folder in ("bin", "services", "etc/redis", "etc/nginx/conf.d", "etc/ssl", "etc/systemd/system"):
            (root / folder).mkdir(parents=True)
        for folder in ("usr/local/bin", "srv", "var/lib"):
            (root / folder).mkdir(parents=True)
        names = {
            "python": sys.executable,
            "here": __file__,
            "systemctl": systemctl.__file__,
            "root": str(root),
            "nginx": nginx,
            "install": shutil.which("install") or "install",
        }
        for name, script in SUBSTITUTES.items():
            _write_script(root / "bin" / name, script.format(**names))
        self._configure()
        self._start_postgresql(newest_postgresql())
        self.environment = {
            **{
                name: value for name, value in os.environ.items() if not name.startswith(("IRIS_", "DJANGO_"))
            },
            "PATH": f"{root}/bin:{root}/usr/local/bin:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "CURL_HOME": str(root),
            "DEBIAN_ROOT": str(root),
            "DEBIAN_POSTGRESQL": str(self.sockets),
        }

    def _configure(self) -> None:
        """Write what Debian's packages bring along, and where curl finds iris.example.com."""
        (self.root / ".curlrc").write_text(f"connect-to = iris.example.com:443:127.0.0.1:{self.https}\n")
        (self.root / "etc/redis/redis.conf").write_text(
            f"port {self.redis}\nbind 127.0.0.1\ndir {self.root}\n"
        )
        temporary = "".join(
            f"{kind}_temp_path {self.root}/services/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (self.root / "etc/nginx/nginx.conf").write_text(
            f"daemon off;\nmaster_process off;\npid {self.root}/services/nginx-own.pid;\nevents {{}}\n"
            f"http {{\naccess_log {self.root}/services/access.log;\n{temporary}include {self.root}/etc/nginx/conf.d/*;\n}}\n"
        )

    def _start_postgresql(self, programs: Path) -> None:
        """Start PostgreSQL with a cluster as on a bare Debian, whose locale is C and whose encoding is SQL_ASCII."""
        folder = self.root / "postgresql"
        folder.mkdir()
        run = keeper.Server(folder, programs)
        run.user, run.group = run._owner()
        if os.geteuid() == 0:
            os.chown(folder, run.user, run.group)
        self.sockets = keeper.socket_folder(folder)
        if self.sockets != run.data:
            run._make_private(self.sockets)
        made = [
            "initdb",
            f"--pgdata={run.data}",
            "--username=postgres",
            "--auth=trust",
            "--locale=C",
            "--no-sync",
        ]
        subprocess.run(run._as_owner(*made), check=True, capture_output=True, cwd="/")
        own = [
            f"-D{run.data}",
            "-clisten_addresses=",
            f"-cunix_socket_directories={self.sockets}",
            "-cfsync=off",
        ]
        with open(self.root / "services/postgresql.log", "ab") as log:
            self.postgresql = subprocess.Popen(
                run._as_owner("postgres", *own), cwd="/", stdout=log, stderr=log
            )
        self.replacements["/run/postgresql"] = str(self.sockets)
        wait_for(lambda: self.postgresql.poll() is not None or _answers(self.sockets), seconds=30)
        assert self.postgresql.poll() is None, (self.root / "services/postgresql.log").read_text()

    def local(self, text: str) -> str:
        for before, after in self.replacements.items():
            text = text.replace(before, after)
        left = re.findall(
            r"(?<![\w./}])/(?:etc|srv|root|usr/local|var/lib)\b\S*", text.replace(str(self.root), "ROOT")
        )
        assert left == [], "a command would change this machine"
        return text

    def run(self, commands: str) -> subprocess.CompletedProcess[str]:
        """Run commands of the document in a shell, like an operator who stops at the first error."""
        for name in ("nginx.conf", *(f"systemd/{unit.name}" for unit in (ROOT / "deploy/systemd").iterdir())):
            copy = self.root / "deploy" / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(self.local((ROOT / "deploy" / name).read_text()))
        script = self.root / "commands.sh"
        script.write_text(f"set -eu\n{self.local(commands)}")
        return subprocess.run(
            ["bash", str(script)],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=1200,
        )

    def logs(self) -> str:
        return "\n".join(
            f"== {log.name}\n{log.read_text()[-2000:]}" for log in (self.root / "services").glob("*.log")
        )

    def pids(self) -> dict[str, int]:
        return {file.stem: int(file.read_text()) for file in (self.root / "services").glob("*.pid")}

    def stop(self) -> None:
        """Stop all services: iris with SIGTERM, and kill what remains after a minute."""
        pids = {pid for name, pid in self.pids().items() if name != "nginx-own"}
        for pid in pids:
            _signal_group(pid, signal.SIGTERM)
        try:
            wait_for(lambda: not any(map(_runs, pids)), seconds=10)
        except AssertionError:
            for pid in pids:
                _signal_group(pid, signal.SIGKILL)
        self.postgresql.send_signal(signal.SIGINT)
        self.postgresql.wait(60)


def _answers(sockets: Path) -> bool:
    try:
        psycopg.connect(host=str(sockets), user="postgres", dbname="postgres").close()
    except psycopg.OperationalError:
        return False
    return True


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _write_script(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


# What the substitutes do ------------------------------------------------------------------------------------


def clone(target: Path) -> None:
    """Show the release at `target`, with the files of deploy/ for this folder."""
    target.mkdir(parents=True)
    for entry in ROOT.iterdir():
        if entry.name not in {"deploy", "var"} and not entry.name.startswith("."):
            (target / entry.name).symlink_to(entry)
    (target / "deploy").symlink_to(Path(os.environ["DEBIAN_ROOT"]) / "deploy")


def venv(target: Path) -> None:
    """Show the virtual environment of the tests at `target`."""
    for name, script in VENV.items():
        _write_script(target / "bin" / name, script.format(python=sys.executable))


def psql(script: str) -> None:
    """Execute SQL as the superuser, one statement at a time."""
    settings: dict[str, Any] = {
        "host": os.environ["DEBIAN_POSTGRESQL"],
        "user": "postgres",
        "dbname": "postgres",
    }
    with psycopg.connect(**settings, autocommit=True) as connection:
        for statement in re.sub(r"--.*", "", script).split(";"):
            if statement.strip():
                connection.execute(statement.encode())


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    if what == "psql":
        psql(sys.stdin.read())
    else:
        {"clone": clone, "venv": venv}[what](Path(arguments[0]))
