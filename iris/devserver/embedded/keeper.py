"""Run PostgreSQL while any process uses it. `server` starts this file as a script that imports nothing from iris.

    python keeper.py FOLDER BIN [name=value …]

FOLDER contains all files of the server, BIN contains PostgreSQL's programs, and the rest is its configuration. Exit
status: 0 if PostgreSQL was stopped because no process uses it any more, or if another keeper is running; 1 with an error
message on stderr if PostgreSQL cannot run.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

VERSION = "18"
SUPERUSER = "postgres"
NOBODY = 65534  # as root: PostgreSQL refuses to run as root, and this user exists everywhere
SOCKET_PATH_LIMIT = 100  # bytes; the kernel's own limit is 108, and 104 on macOS
STOP_SECONDS = 30
LOG_LIMIT = 5 * 2**20


class CannotRun(Exception):
    """PostgreSQL cannot run here. The message says why and what to do."""


def socket_folder(folder: Path) -> Path:
    """Return the folder of the server's socket: inside `folder`, or in /tmp if that path is too long or libpq refuses it."""
    inside = folder / "data"
    if len(os.fsencode(inside / ".s.PGSQL.5432")) < SOCKET_PATH_LIMIT and "," not in str(inside):
        return inside
    return Path("/tmp", f"iris-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}")


def run(folder: Path, programs: Path, configuration: list[str]) -> None:
    keeper_lock = os.open(folder / "keeper.lock", os.O_RDWR | os.O_CREAT, 0o600)
    if not _lock(keeper_lock):
        return  # another keeper is running
    # A single write of fixed width, so that readers see the pid of the previous keeper or of this keeper, never a mixture.
    os.pwrite(keeper_lock, f"{os.getpid():10}".encode(), 0)

    server = Server(folder, programs)
    server.prepare()
    server.start(configuration)

    # The kernel releases the locks of crashed users, so this lock is only held by running ones.
    users_lock = os.open(folder / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
    while server.is_running():
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(users_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        time.sleep(0.1)
    # A process that joins now waits for users.lock until the server has stopped. Then it finds no keeper and starts one.
    server.stop()
    os.close(keeper_lock)
    os.close(users_lock)


class Server:
    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        self.programs = programs
        self.data = folder / "data"
        self.sockets = socket_folder(folder)
        self.process: subprocess.Popen[bytes] | None = None  # None: a killed keeper left the server running
        self.pid = 0

    def prepare(self) -> None:
        """Create the database cluster, unless it exists. It is created aside and moved into place when complete."""
        self.user, self.group = self._owner()
        if not self.data.exists():
            unfinished = self.folder / "data.new"
            shutil.rmtree(unfinished, ignore_errors=True)
            self._make_private(unfinished)
            made = subprocess.run(
                self._as_owner(
                    "initdb",
                    f"--pgdata={unfinished}",
                    f"--username={SUPERUSER}",
                    "--auth=trust",  # the folder of the socket is private, so only its owner can connect
                    "--encoding=UTF8",
                    "--locale=C",
                    "--locale-provider=builtin",
                    "--builtin-locale=C.UTF-8",
                    "--no-sync",
                    "--no-instructions",
                ),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                cwd="/",
            )
            if made.returncode != 0:
                raise CannotRun(f"initdb failed: {made.stderr.decode(errors='replace').strip()}")
            os.rename(unfinished, self.data)
        version = (self.data / "PG_VERSION").read_text().strip()
        if version != VERSION:
            raise CannotRun(
                f"{self.data} was made by PostgreSQL {version}, and this is {VERSION}. "
                "Dump it with the older release of iris, move the folder away, and restore the dump."
            )
        if self.sockets != self.data:
            self._make_private(self.sockets)

    def start(self, configuration: list[str]) -> None:
        if self._left_running():
            return
        for stale in [self.data / "postmaster.pid", *self.sockets.glob(".s.PGSQL.*")]:
            stale.unlink(missing_ok=True)
        log = self.folder / "log"
        with contextlib.suppress(FileNotFoundError):
            if log.stat().st_size > LOG_LIMIT:
                log.replace(log.with_name("log.1"))
        options = [f"--{entry}" for entry in configuration]
        with open(log, "ab") as output:
            self.process = subprocess.Popen(
                self._as_owner(
                    "postgres",
                    "-D",
                    str(self.data),
                    "--listen_addresses=",
                    "--unix_socket_directories=" + '"{}"'.format(str(self.sockets).replace('"', '""')),
                    "--unix_socket_permissions=0700",
                    *options,
                ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
            )
        self.pid = self.process.pid

    def is_running(self) -> bool:
        if self.process is not None:
            return self.process.poll() is None
        return _exists(self.pid)

    def stop(self) -> None:
        """Shut down in PostgreSQL's fast mode. If that hangs, kill the server, which loses no committed data."""
        for how in (signal.SIGINT, signal.SIGQUIT):
            until = time.monotonic() + STOP_SECONDS
            while time.monotonic() < until:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, how)  # repeated, because PostgreSQL ignores the signal while it starts
                for _ in range(25):
                    if not self.is_running():
                        if self.sockets != self.data:
                            shutil.rmtree(self.sockets, ignore_errors=True)
                        return
                    time.sleep(0.02)

    def _owner(self) -> tuple[int, int]:
        """Return the user and group that run PostgreSQL.

        These are ours, unless we are root. As root: the owner of the data, or else the owner of its folder, or else nobody.
        """
        if os.geteuid() != 0:
            return os.geteuid(), os.getegid()
        owner = (self.data if self.data.exists() else self.folder).stat()
        return (owner.st_uid, owner.st_gid) if owner.st_uid != 0 else (NOBODY, NOBODY)

    def _as_owner(self, program: str, *arguments: str) -> list[str]:
        command = [str(self.programs / program), *arguments]
        if os.geteuid() != 0:
            return command
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            raise CannotRun(
                "PostgreSQL does not run as root. Install setpriv (package util-linux), or start iris as "
                "another user."
            )
        become = [setpriv, f"--reuid={self.user}", f"--regid={self.group}", "--clear-groups"]
        if not all(map(self._may_enter, [self.folder, self.programs])):
            # For example, a checkout below /root. We do not change the permissions of these folders, but give
            # PostgreSQL the capability to traverse them.
            capability = _capability_to_pass()
            become += [f"--inh-caps=+{capability}", f"--ambient-caps=+{capability}"]
            # Otherwise access(2), with which PostgreSQL looks for its own programs, would ignore the capability.
            become += ["--securebits=+no_setuid_fixup"]
        return [*become, "--", *command]

    def _may_enter(self, folder: Path) -> bool:
        for each in [folder, *folder.parents]:
            entry = each.stat()
            if not entry.st_mode & (stat.S_IXUSR if entry.st_uid == self.user else stat.S_IXOTH):
                return False
        return True

    def _make_private(self, folder: Path) -> None:
        """Create a folder that only its owner can enter.

        Refuse an existing folder of another user, who could intercept connections.
        """
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            os.chown(folder, self.user, self.group)
        entry = folder.lstat()
        if (
            not stat.S_ISDIR(entry.st_mode)
            or entry.st_uid != self.user
            or stat.S_IMODE(entry.st_mode) != 0o700
        ):
            raise CannotRun(
                f"{folder} must be a folder of user {self.user} with mode 700. Remove it and start again."
            )

    def _left_running(self) -> bool:
        """Return whether a killed keeper left PostgreSQL running. Then this keeper takes over that server.

        A postmaster.pid alone is not enough: after a restart of the machine, its pid may belong to another process, and
        PostgreSQL itself would refuse to start.
        """
        try:
            self.pid = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return False
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.sockets / ".s.PGSQL.5432"))
            return True
        # It does not listen; perhaps it is shutting down. Wait, because two servers would destroy the files.
        until = time.monotonic() + STOP_SECONDS
        while _is_postgres(self.pid):
            if time.monotonic() > until:
                raise CannotRun(
                    f"Process {self.pid} is a PostgreSQL that uses {self.data} but does not answer. "
                    "End it and start again."
                )
            time.sleep(0.1)
        return False


def _lock(descriptor: int) -> bool:
    """Try to lock, repeatedly for a moment, because `server` takes this lock to check whether a keeper is running."""
    for _ in range(5):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(0.02)
    return False


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _is_postgres(pid: int) -> bool:
    try:
        return _exists(pid) and Path(f"/proc/{pid}/comm").read_text().strip() == "postgres"
    except FileNotFoundError:
        return _exists(pid) and not Path("/proc/self").exists()


def _capability_to_pass() -> str:
    """Return the weakest of our capabilities that lets a process traverse folders that are closed to it."""
    effective = 0
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            effective = int(line.split()[1], 16)
    return "dac_read_search" if effective & (1 << 2) else "dac_override"


def main() -> int:
    # Ctrl-C and the end of the terminal are for the processes that use the server. The keeper ends after the last of them.
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    try:
        run(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
    except (CannotRun, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
