"""What one request costs a web process, measured in a process of its own: a program that tests/test_worst_inputs.py starts.

It forks for each request, so that each is measured alone: processor time with that of the processes it starts, and the
peak of its own memory. Arguments: the name of the database, and a port of 127.0.0.1 that counts as a public host.
"""

from __future__ import annotations

import os
import pickle
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

ROOT = Path(__file__).resolve().parent.parent
LOOP_SECONDS = (
    0.045  # of processor time for the loop of `slowness` on the machine that the limits are meant for
)


@dataclass(frozen=True, slots=True)
class Call:
    """A request to be measured."""

    method: str
    path: str
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cost:
    """`cpu` is in seconds of a quiet machine; `peak` is in bytes."""

    status: int
    cpu: float
    peak: int
    answered: int
    start: bytes


class Measured:
    """The other process, as its parent sees it."""

    def __init__(self, *, database: str, public_port: int) -> None:
        self.public_port = public_port
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.costs", database, str(public_port)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        )

    def cost(self, call: Call) -> Cost:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        pickle.dump(call, self._process.stdin)
        self._process.stdin.flush()
        return cast(Cost, pickle.load(self._process.stdout))

    def close(self) -> None:
        self._process.communicate()


def main(database: str, public_port: int) -> None:
    import django

    django.setup()
    from django.db import connections
    from django.test import Client

    from iris.outbound import addresses, requests
    from telephony.speech import fetching

    connections.databases["default"]["NAME"] = database
    connections["default"].settings_dict["NAME"] = database
    requests.is_public = lambda ip: ip == "127.0.0.1"  # type: ignore[attr-defined]
    addresses.PORTS = frozenset({80, 443, public_port})
    fetching.TIMEOUT_SECONDS = 1.0
    # What the first request of a process costs, such as reading the numbering plans, is none of the ones measured.
    Client().get("/api/v1/nothing", HTTP_HOST="127.0.0.1")
    from telephony import numbering

    numbering.to_e164("+9779841234567")
    numbering.to_e164("+442071234567")
    while True:
        try:
            call = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        sys.stdout.buffer.write(_measured(call))
        sys.stdout.buffer.flush()


def _measured(call: Call) -> bytes:
    reading, writing = os.pipe()
    before = slowness()
    child = os.fork()
    if child == 0:
        answer: Any = None
        try:
            answer = _answered(call)
        finally:
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(answer, pipe)
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        status, answered, start, peak = pickle.load(pipe)
    _, _, used = os.wait4(child, 0)
    # Beside others, a processor does less in each of its seconds.
    cpu = (used.ru_utime + used.ru_stime) / max(before, slowness())
    return pickle.dumps(Cost(status, cpu, peak, answered, start))


def _answered(call: Call) -> tuple[int, int, bytes, int]:
    from django.test import Client

    client = Client(raise_request_exception=False)
    response: Any = client.generic(
        call.method,
        call.path,
        call.body,
        content_type=call.content_type,
        headers={"Host": "127.0.0.1", **call.headers},
    )
    answered, start = 0, b""
    for part in response.streaming_content if response.streaming else [response.content]:
        answered += len(part)
        start += part[: 400 - len(start)]
    return response.status_code, answered, start, _peak()


def _peak() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def slowness() -> float:
    """How many times as long this processor takes now as the one that the limits are meant for; at least 1."""
    start = time.process_time()
    for _ in range(2_000_000):
        pass
    return max(1.0, (time.process_time() - start) / LOOP_SECONDS)


if __name__ == "__main__":
    # Pickled by the name that its parent knows.
    from tests import costs

    costs.main(sys.argv[1], int(sys.argv[2]))
