"""Run Kannel (Debian: kannel) as an SMPP client with its spool on disk, and let it send SMS to an SMSC."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

import httpx
import psutil

from benchmarks.worlds import MESSAGE
from tests.live import wait_for
from tests.ports import free_port
from tests.telephony.smpp.processes import SmscProcess

PROGRAMS = ("bearerbox", "smsbox")
CLIENTS = 4  # connections over which Kannel gets the SMS
QUIET_SECONDS = 10
ERRORS_ONLY = "4"  # what each program prints to its standard error; its log file has a level of its own

CONFIGURATION = """
group = core
admin-port = {admin}
admin-password = secret
smsbox-port = {smsbox}
box-allow-ip = "127.0.0.1"
log-file = "{folder}/bearerbox.log"
log-level = 4
store-type = spool
store-location = "{folder}/spool"
dlr-storage = internal
sms-incoming-queue-limit = -1
sms-outgoing-queue-limit = 1000000

group = smsc
smsc = smpp
smsc-id = far
host = 127.0.0.1
port = {smsc}
transceiver-mode = true
smsc-username = kannel
smsc-password = secret
system-type = ""
max-pending-submits = {window}
wait-ack = 60

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}
log-file = "{folder}/smsbox.log"
log-level = 4

group = sendsms-user
username = bench
password = secret
default-sender = 31001
max-messages = 10
concatenation = true
"""


def missing() -> str:
    """Return which programs of Kannel are not installed, as a sentence; "" if all are."""
    names = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"not measured: {' and '.join(names)} of Kannel are not installed" if names else ""


class Kannel:
    def __init__(self, folder: Path, *, smsc: SmscProcess, window: int) -> None:
        self.admin, self.sendsms = free_port(), free_port()
        self._folder = folder
        self._journal = smsc.journal
        (folder / "spool").mkdir(parents=True)
        self._configuration = folder / "kannel.conf"
        self._configuration.write_text(
            CONFIGURATION.format(
                admin=self.admin,
                smsbox=free_port(),
                sendsms=self.sendsms,
                folder=folder,
                smsc=smsc.port,
                window=window,
            )
        )
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        self._start("bearerbox")
        wait_for(lambda: "online" in self.status(), seconds=20)
        self._start("smsbox")
        wait_for(lambda: "smsbox" in self.status(), seconds=20)

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()

    def status(self) -> str:
        with suppress(httpx.HTTPError):
            return httpx.get(f"http://127.0.0.1:{self.admin}/status.txt?password=secret", timeout=20).text
        return ""

    def cpu(self) -> float:
        """Return the CPU seconds of all of its processes."""
        seconds = 0.0
        for process in self.processes:
            times = psutil.Process(process.pid).cpu_times()
            seconds += times.user + times.system
        return seconds

    def send(self, numbers: Sequence[str]) -> tuple[float, int]:
        """Send the benchmark's message to these numbers and request receipts.

        Return the seconds until Kannel acknowledged the last receipt, and the number of receipts. Kannel drops a receipt
        that arrives before it has recorded the SMS, but acknowledges it like the others, so it counts too. A receipt that
        does not come within QUIET_SECONDS after the others is not waited for.
        """
        acknowledged = AcknowledgedReceipts(self._journal)
        begun = time.perf_counter()
        # One request for each SMS: with several recipients in one request, Kannel gives all of them one file in its spool.
        with ThreadPoolExecutor(CLIENTS) as clients:
            for done in [clients.submit(self._send, numbers[client::CLIENTS]) for client in range(CLIENTS)]:
                done.result()
        last, count = time.perf_counter(), 0
        while count < len(numbers) and time.perf_counter() < last + QUIET_SECONDS:
            time.sleep(0.1)
            if (now := acknowledged.count()) > count:
                last, count = time.perf_counter(), now
        return last - begun, count

    def _send(self, numbers: Sequence[str]) -> None:
        client = HTTPConnection("127.0.0.1", self.sendsms, timeout=120)
        query = {
            "username": "bench", "password": "secret", "coding": 2, "charset": "UTF-8", "text": MESSAGE, "dlr-mask": 3,
        }  # fmt: skip
        address = f"/cgi-bin/sendsms?{urlencode(query)}&to="
        for number in numbers:
            client.request("GET", address + number)
            response = client.getresponse()
            answer = response.read()
            assert response.status == 202, answer
        client.close()

    def _start(self, program: str) -> None:
        with open(self._folder / f"{program}.out", "ab") as out:
            self.processes.append(
                subprocess.Popen(
                    [shutil.which(program) or program, "-v", ERRORS_ONLY, str(self._configuration)],
                    stdout=out,
                    stderr=out,
                )
            )


class AcknowledgedReceipts:
    """Counts the receipts that the client of an SMSC has acknowledged, from the growing end of the SMSC's journal."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._read = journal.stat().st_size if journal.exists() else 0
        self._count = 0

    def count(self) -> int:
        with self._journal.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        self._count += whole.count(b'{"done":')
        return self._count


@contextmanager
def running_kannel(folder: Path, *, smsc: SmscProcess, window: int) -> Iterator[Kannel]:
    kannel = Kannel(folder, smsc=smsc, window=window)
    try:
        kannel.start()
        yield kannel
    finally:
        kannel.stop()
