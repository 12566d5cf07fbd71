"""The speech process: `python -m telephony.speech_worker PARENT`, started and asked by `voices.speech_processes`.

All that a stranger's text can keep busy happens here: rules and engines. The process has limits, so neither a rule that
never ends nor an engine that crashes stops anybody else; it has no database; and it ends with its parent.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from typing import BinaryIO

PR_SET_PDEATHSIG = 1  # of linux/prctl.h
# Django needs these to load `telephony` at all; the others would take memory for nothing.
APPS = ["django.contrib.contenttypes", "django.contrib.auth", "accounts", "telephony"]


def main() -> None:
    requests, answers = _channels()
    _end_with(int(sys.argv[1]))
    # Of Ctrl-C, and of a stop, the parent makes what it wants: it needs the speech until it ends itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _set_up_django()
    from telephony.speech import speech_server  # not before Django is there

    speech_server.serve(requests, answers)


def _channels() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output, from now on out of reach of libraries that print or read."""
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return os.fdopen(requests, "rb"), os.fdopen(answers, "wb", buffering=0)


def _end_with(parent: int) -> None:
    """Linux ends this process when its parent is killed in the middle of a text; else the end of its input does."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it was killed before
            sys.exit()


def _set_up_django() -> None:
    import django
    from django.conf import settings

    settings.DATABASES = {}
    settings.INSTALLED_APPS = APPS
    django.setup()


if __name__ == "__main__":
    main()
