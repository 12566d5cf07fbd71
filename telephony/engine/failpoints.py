"""Kill a process at a named place, so that tests can check how the next process recovers."""

from __future__ import annotations

import os
import signal

from django.conf import settings


def failpoint(name: str) -> None:
    """Kill this process, without any clean-up, if the failpoints folder has a file with this name. Removes the file."""
    folder = settings.IRIS_FAILPOINTS
    if not folder:
        return
    try:
        os.unlink(os.path.join(folder, name))
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
