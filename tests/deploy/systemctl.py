"""A substitute for systemd, for tests: `systemctl` starts units as processes, and `systemd-run` runs a command.

    python systemctl.py ROOT systemctl enable --now iris-web iris-worker@worker1 …
    python systemctl.py ROOT systemd-run --property=EnvironmentFile=… COMMAND …

Below ROOT are the folders of the machine: its units are in ROOT/etc/systemd/system. ROOT/services has the process id and the
log of each service. Understands only what docs/operations.md uses.
"""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path
from typing import Any

READY_SECONDS = 300


def main(root: Path, program: str, arguments: list[str]) -> int:
    if program == "systemd-run":
        options = list(takewhile(lambda each: each.startswith("--"), arguments))
        command = arguments[len(options) :]
        lines = [each.removeprefix("--property=") for each in options]
        return subprocess.run(command, **_settings(lines)).returncode
    for name in [each for each in arguments[1:] if not each.startswith("-")]:
        if name == "redis-server":
            _start(root, name, [name, str(root / "etc/redis/redis.conf")])
        elif name == "nginx":
            log = str(root / "services/nginx-errors.log")
            _start(root, name, [name, "-e", log, "-c", str(root / "etc/nginx/nginx.conf"), "-p", str(root)])
        else:
            _start_unit(root, name)
    return 0


def _start_unit(root: Path, name: str) -> None:
    """Start a unit of iris, and wait until it is ready if it says so (Type=notify)."""
    units = root / "etc/systemd/system"
    if name.endswith(".timer"):
        assert (units / name).exists()
        assert (units / name.replace(".timer", ".service")).exists()
        return
    template, _, instance = name.partition("@")
    unit = units / (f"{template}@.service" if instance else f"{template}.service")
    lines = unit.read_text().replace("%i", instance).replace("%%", "%").splitlines()
    (command,) = [line.removeprefix("ExecStart=") for line in lines if line.startswith("ExecStart=")]
    settings = _settings(lines)
    if "Type=notify" not in lines:
        _start(root, name, shlex.split(command), **settings)
        return
    address = f"\0{root}/{name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
        notices.bind(address)
        notices.settimeout(READY_SECONDS)
        settings["env"]["NOTIFY_SOCKET"] = address.replace("\0", "@")
        _start(root, name, shlex.split(command), **settings)
        while b"READY=1" not in notices.recv(4096).split(b"\n"):
            pass


def _settings(lines: Iterable[str]) -> dict[str, Any]:
    """Return the options of a process: its folder, and the environment of its file."""
    given = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    variables = Path(given["EnvironmentFile"]).read_text().splitlines()
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("IRIS_", "DJANGO_", "PYTEST_"))
    }
    theirs = dict(line.split("=", 1) for line in variables if line and not line.startswith("#"))
    return {"cwd": given["WorkingDirectory"], "env": {**ours, **theirs}}


def _start(root: Path, name: str, command: list[str], **options: Any) -> None:
    with open(root / "services" / f"{name}.log", "ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **options
        )
    (root / "services" / f"{name}.pid").write_text(str(process.pid))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
