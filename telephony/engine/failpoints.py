"""Places where a test can have a process killed, to see what the next one makes of it."""

from __future__ import annotations

import os
import signal

from django.conf import settings


def failpoint(name: str) -> None:
    """Dies here, without a chance to clean up, if the file `name` lies in the failpoints folder: once per file."""
    folder = settings.IRIS_FAILPOINTS
    if not folder:
        return
    try:
        os.unlink(os.path.join(folder, name))
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
