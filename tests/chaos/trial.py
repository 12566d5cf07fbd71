"""One campaign of SMS through the far end while something fails: the trial, its requests, and its judgement."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.chaos.drills import ENDED, LIVE_RUNS
from tests.chaos.far_end import INVALID, SPECIAL, FarEnd
from tests.chaos.system import EMAIL, PASSWORD, System
from tests.live import wait_for

CARRIERS = """
[carriers.far]
BACKEND = "tests.chaos.carrier.FarEndCarrier"
{pace}
OPTIONS = {{ port = {port} }}

[routes]
call = ["far"]
sms = ["far"]
"""
BOOKED_AT_A_WRONG_TIME = """SELECT count(*) FROM accounts_creditentry
                             WHERE abs(extract(epoch FROM now() - created_at)) > 7200"""
LATE = "The campaign had not ended in time."
TEXT = "Water comes at six."


@dataclass
class Verdict:
    """What a trial has shown. It is exact if nobody got an SMS twice, nobody got none, and every credit is explained."""

    scenario: str
    recipients: int
    seconds: float = 0.0
    happened: Counter[str] = field(default_factory=Counter)  # what failed, and how often
    measured: dict[str, str] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    longest_request: float = 0.0
    sent: int = 0
    twice: int = 0
    lost: int = 0
    unfinished: int = 0
    wrong: int = 0  # recipients whose status is not what the far end saw
    miscounted: int = 0  # credits captured beyond, or short of, one price for each SMS
    ledger: str = ""
    faults: list[str] = field(default_factory=list)

    @property
    def exact(self) -> bool:
        wrong = self.twice or self.lost or self.unfinished or self.wrong or self.miscounted or self.faults
        return not wrong and "difference 0" in self.ledger

    def __str__(self) -> str:
        happened = (
            ", ".join(f"{what} {number:,}" for what, number in self.happened.items()) or "nothing failed"
        )
        requests = ", ".join(f"{what} {number:,}" for what, number in sorted(self.requests.items())) or "none"
        lines = [
            f"{self.scenario}: {'exact' if self.exact else 'NOT EXACT'} · {self.recipients:,} recipients in"
            f" {self.seconds:.0f} s · {happened}",
            f"sent {self.sent:,} · twice {self.twice} · lost {self.lost} · unfinished {self.unfinished}"
            f" · wrong status {self.wrong} · wrong charge {self.miscounted} · {self.ledger}",
            f"requests: {requests}, the longest {self.longest_request:.1f} s",
            *(f"{name}: {figure}" for name, figure in self.measured.items()),
            *self.faults,
        ]
        return "\n".join(lines)


class Trial:
    """A running system, its far end, and the campaign that is judged at the end."""

    def __init__(
        self,
        name: str,
        *,
        recipients: int,
        seed: int,
        home: Path,
        pace: int | None,
        seconds: float,
        variables: Mapping[str, str] | None = None,
        configuration: Mapping[str, str] | None = None,
        note: Callable[[int], object] = lambda ended: None,
    ) -> None:
        """`pace` is the trunk's CPS; None is no limit. `seconds` is the time that the trial may take.

        `note` is called with the number of ended deliveries now and then.
        """
        self.rng = random.Random(seed)
        self.far_end = FarEnd()
        self.end = time.monotonic() + seconds
        self.numbers = numbers(recipients, self.rng)
        self.verdict = Verdict(name, len(self.numbers))
        self._note = note
        carriers = CARRIERS.format(port=self.far_end.port, pace=f"CPS = {pace}" if pace else "")
        self.system = System(home, carriers=carriers, variables=variables, configuration=configuration)
        self.visitor: Visitor | None = None
        self.minutes = 0.0
        self.at_end: list[Callable[[], object]] = []  # what `close` calls first

    def start(self) -> None:
        self.system.start()
        credits = str(20 * len(self.numbers) + 1000)
        self.system.manage("createaccount", EMAIL, "--password", PASSWORD, "--credits", credits)

    def visit(self) -> None:
        """Send requests until `judge`."""
        self.visitor = Visitor(self)
        self.visitor.start()

    def begin(self) -> None:
        """Begin the campaign."""
        with closing(self.system.caller()) as caller:
            begin(caller, self.numbers)

    def is_over(self) -> bool:
        """Return whether the campaign has ended. After the time of the trial, note a fault and return True."""
        self._note(self.system.query(ENDED))
        if self.system.query(LIVE_RUNS) == 0:
            return True
        if time.monotonic() < self.end:
            return False
        if LATE not in self.verdict.faults:
            self.verdict.faults.append(LATE)
        return True

    def pause(self, shortest: float, longest: float | None = None) -> None:
        time.sleep(self.rng.uniform(shortest, longest or shortest))

    def wait_for_progress(self) -> None:
        """Wait until a further delivery has ended, or the campaign."""
        before = self.system.query(ENDED)
        while not self.is_over() and self.system.query(ENDED) <= before:
            time.sleep(0.1)

    def happens(self, what: str) -> None:
        self.verdict.happened[what] += 1

    def judge(self, begun: float) -> Verdict:
        """Wait for the end of the campaign, and compare the far end, the tables and the ledger."""
        while not self.is_over():
            time.sleep(0.2)
        if self.visitor is not None:
            self.visitor.stop()
        verdict, far_end, system = self.verdict, self.far_end, self.system
        verdict.seconds = time.monotonic() - begun
        expected = {f"+977{number}" for number in self.numbers if not str(number).endswith(INVALID)}
        verdict.sent, verdict.twice = sum(far_end.received.values()), far_end.twice
        verdict.lost = len(expected - far_end.received.keys())
        verdict.unfinished = system.query("SELECT count(*) FROM telephony_delivery WHERE status < 100")
        verdict.wrong = system.query(
            f"""SELECT count(*) FROM campaigns_recipient
                 WHERE status IS DISTINCT FROM CASE WHEN right("to", 4) = '{INVALID}' THEN 103 ELSE 100 END"""
        )
        # Each SMS that was sent costs the same, and the holds have paid for exactly these.
        verdict.miscounted = system.query(
            """SELECT wrong + ceil(abs(captured - credits))::bigint FROM
                 (SELECT coalesce(sum(captured), 0) AS captured FROM accounts_credithold) holds,
                 (SELECT coalesce(sum(credits), 0) AS credits, count(*) FILTER (
                             WHERE credits <> CASE WHEN status = 100 THEN price ELSE 0 END) AS wrong
                    FROM (SELECT credits, status, max(credits) OVER (PARTITION BY purpose) AS price
                            FROM telephony_delivery) priced) deliveries"""
        )
        if booked := system.query(BOOKED_AT_A_WRONG_TIME):
            verdict.faults.append(f"{booked} entries of the ledger were booked at a wrong time.")
        verdict.ledger = system.manage("check_ledger", check=False)
        return verdict

    def close(self) -> None:
        if self.visitor is not None:
            self.visitor.stop()
        for action in self.at_end:
            action()
        self.system.stop()
        self.far_end.close()


class Visitor(threading.Thread):
    """Read and create campaigns beside the trial. Each request must be answered, or be told to come again."""

    def __init__(self, trial: Trial) -> None:
        super().__init__(daemon=True)
        self._trial = trial
        self._ends = threading.Event()
        self._caller = trial.system.caller()  # logs in now, while nothing fails

    def stop(self) -> None:
        self._ends.set()
        if self.is_alive():
            self.join(120)

    def run(self) -> None:
        with closing(self._caller) as caller:
            while not self._ends.wait(0.5):
                self.ask(lambda: caller.get("/api/system/campaigns/"))
                self.ask(
                    lambda: caller.post("/api/v1/campaign/create/", json={"name": "x", "services": "SMS"})
                )

    def ask(self, request: Callable[[], httpx.Response]) -> None:
        verdict, begun = self._trial.verdict, time.monotonic()
        try:
            answer = request()
        except httpx.TransportError as error:
            verdict.faults.append(f"A request got no answer: {error!r}")
            return
        verdict.longest_request = max(verdict.longest_request, time.monotonic() - begun)
        if answer.status_code == 503 and "Retry-After" in answer.headers:
            verdict.requests["told to come again"] += 1
        elif answer.status_code == 401 and "clock" in verdict.scenario:
            verdict.requests["login not valid at this time"] += 1
        elif answer.status_code < 400:
            verdict.requests["answered"] += 1
        else:
            verdict.faults.append(
                f"{answer.request.url.path} answered {answer.status_code}: {answer.text[:200]}"
            )


def begin(caller: httpx.Client, numbers: list[int]) -> int:
    """Create and begin a campaign of SMS. Return its id."""
    sheet = "numbers\n" + "\n".join(map(str, numbers))
    created = caller.post(
        "/api/system/campaigns/",
        data={"name": "Chaos", "services": "SMS"},
        files={"send_to_number_file": ("numbers.csv", sheet.encode())},
    )
    assert created.status_code == 201, created.text
    campaign: int = created.json()["data"]["details"][0]["id"]
    wait_for(lambda: _begins(caller, campaign), seconds=900, max_pause=1)  # a worker imports a large sheet
    return campaign


def _begins(caller: httpx.Client, campaign: int) -> bool:
    begun = caller.post(f"/api/system/campaigns/{campaign}/begin/", json={"message": TEXT})
    assert begun.status_code in {200, 409, 503}, begun.text
    return begun.status_code == 200


def numbers(count: int, rng: random.Random, *, first: int = 0) -> list[int]:
    """Return distinct mobile numbers, from the place `first` on. One in fifty has a special outcome."""
    found = []
    for place in range(first, first + count):
        if rng.random() < 0.02:
            found.append(97_0000_0000 + place // 40 % 10_000 * 10_000 + int(SPECIAL[place % 4]))
        else:
            found.append(98_0000_0000 + place // 9900 * 10_000 + place % 9900)
    return sorted(set(found))
