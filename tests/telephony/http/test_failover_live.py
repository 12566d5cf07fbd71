"""A whole iris survives the death of the first trunk of its route: web, worker, beat and both carriers are processes."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Any, Self

import pytest

from benchmarks.worlds import begin, make_campaign
from tests.live import LiveIris, live_iris, wait_for
from tests.scale import IS_FIELD
from tests.telephony.http.faults import TOKEN
from tests.telephony.http.processes import FarEnd, far_end

COUNT = 5000
PACE = 150
CONNECTIONS = 20

CARRIERS = """
[carriers.first]
BACKEND = "telephony.carriers.sparrow.SparrowCarrier"
CPS = {pace}
OPTIONS = {{ token = "{token}", sender = "InfoSMS", base_url = "{first}", connections = {connections}, read_seconds = 2 }}

[carriers.second]
BACKEND = "telephony.carriers.sparrow.SparrowCarrier"
CPS = {pace}
OPTIONS = {{ token = "{token}", sender = "InfoSMS", base_url = "{second}", connections = {connections} }}

[routes]
call = []
sms = ["first", "second"]
"""


class Watch:
    """What the operator and the account see while the campaign runs, once in half a second."""

    def __init__(self, iris: LiveIris, campaign: int) -> None:
        self.iris, self.campaign = iris, campaign
        self.is_paused = False
        self.causes: set[float] = set()
        self.claimed_by_second: set[float] = set()
        self.reasons: set[tuple[str | None, str]] = set()
        self.has_reasons = True
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_on)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look_on(self) -> None:
        while not self._ended.wait(0.5):
            self._look()

    def _look(self) -> None:
        shown = metrics(self.iris)
        if shown['iris_trunk_state{state="paused",trunk="first"}'] == 1:
            self.is_paused = True
            self.causes.add(shown['iris_trunk_paused{cause="errors",trunk="first"}'])
            self.claimed_by_second.add(shown['iris_trunk_claimed_total{trunk="second"}'])
        if self.has_reasons:
            answer = self.iris.demo.get(f"/api/system/campaigns/{self.campaign}/why/")
            self.has_reasons = answer.status_code == 200  # servers without this address answer with 404
            if self.has_reasons:
                found: list[dict[str, Any]] = answer.json()["data"]["reasons"]
                self.reasons |= {(one.get("trunk"), one["code"]) for one in found}


def metrics(iris: LiveIris) -> dict[str, float]:
    """Return the samples of /metrics, as Prometheus would read them."""
    lines = iris.demo.get("/metrics").text.splitlines()
    pairs = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
    return {name: float(value) for name, value in pairs}


@pytest.mark.field
@pytest.mark.skipif(not IS_FIELD, reason="Runs with `make field`.")
def test_campaign_goes_on_over_the_second_trunk_while_the_first_is_dead(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    with far_end(tmp_path / "first") as first, far_end(tmp_path / "second") as second:
        file = tmp_path / "carriers.toml"
        file.write_text(
            CARRIERS.format(
                pace=PACE, token=TOKEN, first=first.url, second=second.url, connections=CONNECTIONS
            )
        )
        with live_iris(
            tmp_path / "iris", IRIS_CARRIERS_FILE=str(file), IRIS_HOPPER_SIZE=str(COUNT // 4)
        ) as iris:
            iris.manage("topup", "demo@example.com", str(2 * COUNT))
            _run(iris, first, second)


def _run(iris: LiveIris, first: FarEnd, second: FarEnd) -> None:
    campaign = make_campaign(iris, COUNT)
    begin(iris, campaign)
    wait_for(lambda: len(first.received()) >= COUNT // 2, seconds=COUNT / PACE + 20)
    first.process.send_signal(signal.SIGKILL)
    with Watch(iris, campaign) as watch:
        wait_for(lambda: watch.is_paused, seconds=90, max_pause=1)
        status = iris.manage("trunk_status")
        received = _wait_for_everybody(iris, first, second)
    assert "paused, tried with one call or SMS in" in status
    assert watch.causes == {1}
    assert max(received.values()) == 1, "nobody got two"
    lost = iris.rows("SELECT count(*) FROM telephony_delivery WHERE cause = 'lost' OR status = 20")[0][0]
    # What was under way at the death of the trunk may have arrived, so nobody repeats it.
    assert lost <= CONNECTIONS
    assert len(received) >= COUNT - lost
    assert len(watch.claimed_by_second) > 1, "the metrics show how the second trunk takes over"
    mails = iris.rows("SELECT subject FROM accounts_outgoingmail WHERE subject LIKE '%first is paused%'")
    assert len(mails) <= 1
    if watch.has_reasons:
        assert "first" in {trunk for trunk, _ in watch.reasons}, "the account sees why its SMS wait"
    # The first trunk works again: a canary finds that out, and nobody has to do anything.
    first.start()
    begin(iris, make_campaign(iris, 20 * PACE, name="Next"))
    wait_for(lambda: "paused, tried" not in iris.manage("trunk_status"), seconds=120, max_pause=3)
    wait_for(
        lambda: iris.rows("SELECT count(*) FROM telephony_delivery WHERE status < 30")[0][0] == 0,
        seconds=120,
        max_pause=1,
    )


def _wait_for_everybody(iris: LiveIris, first: FarEnd, second: FarEnd) -> Counter[str]:
    wait_for(
        lambda: (
            iris.rows("SELECT count(*) FROM telephony_delivery WHERE status IN (0, 10)")[0][0] == 0
            and iris.rows("SELECT count(*) FROM telephony_delivery")[0][0] == COUNT
        ),
        seconds=COUNT / PACE + 120,
        max_pause=0.5,
    )
    return Counter([*first.received(), *second.received()])
