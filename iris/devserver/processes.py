"""The child processes of `manage.py sandbox`.

Each has its own process group, so that Ctrl-C does not reach them and the parent stops them in order.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from django.conf import settings

PR_SET_PDEATHSIG = 1
STOP_SECONDS = 20  # a worker first finishes its tasks, which take IRIS_TASK_SECONDS at most


class Child:
    """One running process. `name` is for messages to the user.

    The variables of our own environment come before those of `environment`.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        files: Sequence[int] = (),
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.name = name
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            pass_fds=files,
            start_new_session=True,
            preexec_fn=_end_with_parent,  # safe: this process has no threads
            env={
                # Developers receive webhooks on their own machine.
                "IRIS_WEBHOOKS_TO_PRIVATE": "on",
                **environment,
                **os.environ,
                # So the child can import iris from any working directory, and resolves a relative IRIS_HOME as we do.
                "PYTHONPATH": os.pathsep.join(
                    filter(None, [str(settings.BASE_DIR), os.environ.get("PYTHONPATH")])
                ),
                "IRIS_HOME": str(settings.IRIS_HOME),
                "PYTHONUNBUFFERED": "1",
            },
        )
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Return None while the process runs, then its exit status, or minus the signal that killed it."""
        return self._process.poll()

    def ask_to_stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    def wait(self, seconds: float) -> None:
        """Wait until the process has ended. After `seconds`, kill it together with its own children."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


def stop_all(children: Sequence[Child]) -> None:
    """Stop all processes, the last started first: first beat, so that no new tasks are sent, then the others."""
    until = time.monotonic() + STOP_SECONDS
    for child in reversed(children):
        child.ask_to_stop()
    for child in reversed(children):
        child.wait(max(0.1, until - time.monotonic()))


def _end_with_parent() -> None:
    """On Linux, have the kernel send the child a signal if its parent is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
