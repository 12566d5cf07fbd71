"""An upgrade from the previous release in the documented order, during a campaign and under requests through nginx.

First the new code migrates, then the workers are replaced one at a time, then beat, then the web servers.
"""

from __future__ import annotations

import itertools
import subprocess
import tarfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from io import BytesIO
from pathlib import Path

import httpx
import pytest

from tests.conftest import skip
from tests.installation import EMAIL, PASSWORD, Installation, installation
from tests.lint_settings import PREVIOUS_COMMIT
from tests.live import ROOT, wait_for
from tests.proxy import Proxy, proxy
from tests.scale import IS_FIELD, at_scale

PEOPLE = at_scale(2_000, 50_000)
# SMS a second until all processes are new. The campaign must last longer than the upgrade.
PACE = at_scale(5, 100)
CLIENTS = 4
WORKERS = ("worker1", "worker2")
MESSAGE = "The office is closed tomorrow."
CARRIERS = """
[carriers.sandbox]
BACKEND = "telephony.carriers.sandbox.SandboxCarrier"
CPS = {pace}

[routes]
call = ["sandbox"]
sms = ["sandbox"]
"""


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the code of the previous release."""
    archive = subprocess.run(
        ["git", "archive", "--format=tar", PREVIOUS_COMMIT], cwd=ROOT, capture_output=True
    )
    if archive.returncode:
        skip("The previous release is not in this copy of the repository.")
    folder = tmp_path_factory.mktemp("previous")
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    return folder


class Stream:
    """Clients that send requests through nginx until they are told to end. `faults` has every unexpected response."""

    def __init__(self, url: str, headers: httpx.Headers, campaign: int) -> None:
        self.url, self.headers, self.campaign = url, headers, campaign
        self.faults: list[str] = []
        self.done: Counter[str] = Counter()
        self.longest = 0.0
        self._ended = threading.Event()
        self._serial = itertools.count()
        self._threads = [threading.Thread(target=self._send) for _ in range(CLIENTS)]

    def _send(self) -> None:
        with httpx.Client(base_url=self.url, headers=self.headers, timeout=60) as client:
            for kind in itertools.cycle(("details", "otp", "list", "create")):
                if self._ended.wait(0.05):
                    return
                began = time.monotonic()
                try:
                    answer = self._request(client, kind, next(self._serial))
                except httpx.TransportError as error:
                    self.faults.append(f"{kind}: {error!r}")
                    continue
                self.longest = max(self.longest, time.monotonic() - began)
                if answer.status_code == (201 if kind == "create" else 200):
                    self.done[kind] += 1
                else:
                    self.faults.append(f"{kind}: {answer.status_code} {answer.text[:300]}")

    def _request(self, client: httpx.Client, kind: str, serial: int) -> httpx.Response:
        if kind == "details":
            return client.get(f"/api/system/campaigns/{self.campaign}/details/")
        if kind == "list":
            return client.get("/api/system/campaigns/")
        if kind == "create":
            body = {
                "name": f"Created {serial}",
                "services": "SMS",
                "individual_number": [9_861_000_000 + serial],
            }
            return client.post("/api/system/campaigns/", json=body)
        number = (
            f"986{serial // 9000:03}{serial % 9000:04}"  # never an ending to which the sandbox gives a fate
        )
        return client.post(
            "/api/system/send/otp/",
            json={"number": number, "message": "Your code is {otp}", "sms_send_options": "text"},
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._ended.set()
            for thread in self._threads:
                thread.join()


def begin_campaign(client: httpx.Client) -> int:
    numbers = [f"984{place // 9000:03}{place % 9000:04}" for place in range(PEOPLE)]
    created = client.post(
        "/api/system/campaigns/",
        data={"name": "Rolling", "services": "SMS"},
        files={"send_to_number_file": ("numbers.csv", "\n".join(["number", *numbers]).encode())},
    )
    assert created.status_code == 201, created.text
    campaign: int = created.json()["data"]["details"][0]["id"]
    # A worker may import the sheet, and until it has finished, a 409 says so.
    body = {"message": MESSAGE}
    begun = f"/api/system/campaigns/{campaign}/begin/"
    wait_for(
        lambda: client.post(begun, json=body).status_code == 200,
        seconds=60,
        max_pause=0.5,
    )
    return campaign


def replace_worker(iris: Installation, name: str) -> None:
    """Stop a worker, start a new one, and wait until it takes tasks (`telephony.engine.workers`)."""
    iris.stop_process(name)
    iris.start_worker(name)
    took_tasks = (
        f"SELECT count(*) FROM telephony_turn WHERE name LIKE 'worker:%:{iris.processes[name].pid}:%'"
    )
    wait_for(lambda: iris.number(took_tasks) > 0, seconds=30)


def upgrade(iris: Installation, nginx: Proxy) -> None:
    """Follow "Upgrade" in docs/operations.md."""
    iris.manage("migrate", "--verbosity=0")
    for name in WORKERS:
        replace_worker(iris, name)
    iris.stop_process("beat")
    iris.start_beat()
    iris.start_web("web-next")
    nginx.forward_to(iris.ports["web-next"])
    iris.stop_process("web")
    iris.start_web("web")
    nginx.forward_to(iris.ports["web"])
    iris.stop_process("web-next")


@pytest.mark.field
@pytest.mark.skipif(not IS_FIELD, reason="starts ten processes of two releases, which takes a minute")
def test_rolling_upgrade_fails_no_request_and_sends_each_sms_once(
    previous: Path, tmp_path: Path, require_program: Callable[[str], str]
) -> None:
    program = require_program("nginx")
    require_program("redis-server")
    carriers = tmp_path / "carriers.toml"
    carriers.write_text(CARRIERS.format(pace=PACE))
    with installation(tmp_path / "iris", IRIS_CARRIERS_FILE=str(carriers)) as iris:
        iris.manage("migrate", "--verbosity=0", code=previous)
        iris.manage(
            "createaccount", EMAIL, "--password", PASSWORD, "--credits", str(10 * PEOPLE), code=previous
        )
        iris.start_web("web", code=previous)
        for name in WORKERS:
            iris.start_worker(name, code=previous)
        iris.start_beat(code=previous)
        with (
            proxy(program, tmp_path / "nginx", port=iris.ports["web"]) as nginx,
            closing(iris.log_in(nginx.url)) as client,
        ):
            campaign = begin_campaign(client)
            stream = Stream(nginx.url, client.headers, campaign)
            with stream.running():
                wait_for(lambda: iris.number(SENT) > 0, seconds=60)
                upgrade(iris, nginx)
                at_the_end = iris.number(SENT)
            iris.manage("trunk", "set-pace", "sandbox", "2000")
            wait_for(lambda: iris.number(LIVE) == 0, seconds=600)
            print(
                f"{stream.done.total()} requests, the longest {stream.longest:.1f} s; {at_the_end} of {PEOPLE} sent"
            )
            assert stream.faults == []
            assert nginx.errors() == []
        assert at_the_end < PEOPLE, "the campaign ended before the upgrade did"
        assert iris.number(DISTINCT) == PEOPLE, "nobody is lost"
        assert iris.number(SENT) == PEOPLE, "nobody is reached twice"
        assert iris.number(COMPLETED) == PEOPLE
        assert iris.number(OTPS) == stream.done["otp"]
        assert iris.number(CREATED) == stream.done["create"]
        assert "difference 0" in iris.manage("check_ledger")
        assert unexpected_lines(iris) == []


SENT = f"SELECT count(*) FROM telephony_sandboxmessage WHERE text = '{MESSAGE}'"
DISTINCT = f"""SELECT count(DISTINCT "to") FROM telephony_sandboxmessage WHERE text = '{MESSAGE}'"""
COMPLETED = "SELECT count(*) FROM telephony_delivery WHERE purpose = 'campaign' AND status = 100"
LIVE = "SELECT count(*) FROM campaigns_run WHERE finished_at IS NULL"
OTPS = "SELECT count(*) FROM telephony_sandboxmessage WHERE text LIKE 'Your code is %'"
CREATED = "SELECT count(*) FROM campaigns_campaign WHERE name LIKE 'Created %'"


# A statement of an old process may be the victim of a deadlock with a migration. Old workers do not know new tasks. Both are
# nudges: the next tick, a second later, does their work.
EXPECTED = ("raised unexpected: OperationalError('deadlock detected')", "Received unregistered task of type")


def unexpected_lines(iris: Installation) -> list[str]:
    """Return the lines of the processes' logs that report other errors."""
    return [
        f"{log.name}: {line}"
        for log in iris.home.glob("*.log")
        for line in log.read_text().splitlines()
        if (" ERROR " in line or " CRITICAL " in line) and not any(each in line for each in EXPECTED)
    ]
