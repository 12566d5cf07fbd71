"""Measure what one request costs a web process. tests/test_worst_inputs.py starts this program.

The program forks for each request, so each is measured alone: its processor time, including that of its child processes,
and its peak memory. Arguments: the name of the database, and a port of 127.0.0.1 that counts as a public host.
"""

from __future__ import annotations

import os
import pickle
import resource
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from tests.cpu import slowness

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Call:
    """Describe a request to be measured."""

    method: str
    path: str
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cost:
    """Hold the cost of a request: `cpu` in seconds of the reference machine, `peak` and `length` in bytes.

    `start` is the beginning of the response body, `length` the length of all of it.
    """

    status: int
    cpu: float
    peak: int
    length: int
    start: bytes


class MeasuringProcess:
    """Send requests to the measuring process and read their costs."""

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
    # Packages of the development requirements, which libraries import where they find them. Production has none of them.
    sys.modules.update(dict.fromkeys(("docutils", "jinja2", "rich")))  # type: ignore[arg-type]
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
    # The first request of a process also pays for one-time work, such as reading the numbering plans.
    Client().get("/api/v1/nothing", HTTP_HOST="127.0.0.1")
    from telephony import numbering

    numbering.to_e164("+9779841234567")
    numbering.to_e164("+442071234567")
    while True:
        try:
            call = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        sys.stdout.buffer.write(_measure(call))
        sys.stdout.buffer.flush()


def _measure(call: Call) -> bytes:
    reading, writing = os.pipe()
    before = slowness()
    child = os.fork()
    if child == 0:
        result: Any = None
        try:
            result = _perform(call)
        finally:
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(result, pipe)
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        status, length, start, peak = pickle.load(pipe)
    _, _, used = os.wait4(child, 0)
    # When other processes use the machine, one second of processor time does less work.
    cpu = (used.ru_utime + used.ru_stime) / max(before, slowness())
    return pickle.dumps(Cost(status, cpu, peak, length, start))


def _perform(call: Call) -> tuple[int, int, bytes, int]:
    from django.test import Client

    client = Client(raise_request_exception=False)
    response: Any = client.generic(
        call.method,
        call.path,
        call.body,
        content_type=call.content_type,
        headers={"Host": "127.0.0.1", **call.headers},
    )
    length, start = 0, b""
    for part in response.streaming_content if response.streaming else [response.content]:
        length += len(part)
        start += part[: 400 - len(start)]
    return response.status_code, length, start, _peak_memory()


def _peak_memory() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    # The parent unpickles `tests.costs.Cost`. In `__main__` the class would have another name.
    from tests import costs

    costs.main(sys.argv[1], int(sys.argv[2]))
