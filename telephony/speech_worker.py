"""The speech process: `python -m telephony.speech_worker PARENT_PID`, started by `speech.speech_pool`.

All code that an untrusted text can keep busy runs here: the text normalization rules and the speech engines. The process
has limits, so an endless rule or a crashing engine stops nothing else. It has no database and ends with its parent.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from typing import BinaryIO

PR_SET_PDEATHSIG = 1  # from linux/prctl.h
# The apps that Django needs to load `telephony`; others would only use memory.
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "accounts", "telephony"]


def main() -> None:
    requests, responses = _take_over_pipes()
    _die_with_parent(int(sys.argv[1]))
    # Ctrl-C and stop signals also reach the parent. The parent needs this process until the parent itself has ended, so
    # this process ignores the signals.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _set_up_django()
    from telephony.speech import speech_server  # importable only after django.setup()

    speech_server.serve(requests, responses)


def _take_over_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Return standard input and output, and detach both from libraries that print or read."""
    requests, responses = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return os.fdopen(requests, "rb"), os.fdopen(responses, "wb", buffering=0)


def _die_with_parent(parent: int) -> None:
    """Have Linux kill this process when its parent dies in the middle of a text.

    On other systems, the process ends when its input ends.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died before prctl took effect
            sys.exit()


def _set_up_django() -> None:
    import django
    from django.conf import settings

    settings.DATABASES = {}
    settings.INSTALLED_APPS = INSTALLED_APPS
    django.setup()


if __name__ == "__main__":
    main()
