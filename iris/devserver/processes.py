"""The child processes of `manage.py sandbox`: each in a process group of its own, so that Ctrl-C reaches them
through us, in order.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from django.conf import settings

PR_SET_PDEATHSIG = 1
STOP_SECONDS = 20  # a worker ends its tasks first, which take IRIS_TASK_SECONDS at most


class Child:
    """One running process. `name` is what people call it."""

    def __init__(self, name: str, command: Sequence[str], *, files: Sequence[int] = ()) -> None:
        self.name = name
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            pass_fds=files,
            start_new_session=True,
            preexec_fn=_end_with_parent,  # safe: this process has no threads
            env={
                **os.environ,
                # Found whatever folder we were started in; and a relative IRIS_HOME is the one that we use.
                "PYTHONPATH": os.pathsep.join(
                    filter(None, [str(settings.BASE_DIR), os.environ.get("PYTHONPATH")])
                ),
                "IRIS_HOME": str(settings.IRIS_HOME),
                "PYTHONUNBUFFERED": "1",
            },
        )
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """None while it runs, then its exit status, or minus the signal that ended it."""
        return self._process.poll()

    def ask_to_stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    def wait(self, seconds: float) -> None:
        """Waits until it has ended, and ends what has not within the time, its own children included."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


def stop_all(children: Sequence[Child]) -> None:
    """Ends all, the last started first: nothing new is nudged, then nothing new is asked for, and running
    tasks end well.
    """
    until = time.monotonic() + STOP_SECONDS
    for child in reversed(children):
        child.ask_to_stop()
    for child in reversed(children):
        child.wait(max(0.1, until - time.monotonic()))


def _end_with_parent() -> None:
    """Where the system can (Linux), a child is told to end when we are killed without a chance to tell it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
