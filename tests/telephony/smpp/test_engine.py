"""The whole of iris over SMPP: an SMSC in its own process, and web, worker, trunk worker and beat in theirs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from telephony.segments import segments_of
from tests.factories import make_sheet
from tests.live import wait_for
from tests.telephony.smpp.processes import DEADLINE, SmppIris, SmscProcess, smpp_iris, smsc

WINDOW = 50
LONG_ENOUGH = 240  # seconds for whatever comes to its end by itself, on a busy machine
SILENCE = 8  # seconds without a receipt after which what was not answered is sent again
NAMES = ["राम", "सीता", "गीता", "हरि", "विष्णु"]
LONG = (
    "नमस्कार, {tags_name} ज्यू। तपाईंको रु {tags_due} बाँकी छ। कृपया असार मसान्तभित्र वडा कार्यालयमा बुझाउनुहोला। "
    "थप जानकारीका लागि कार्यालय समयमा सम्पर्क गर्नुहोस्। धन्यवाद 🙏"
)


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmscProcess]:
    with smsc(tmp_path_factory.mktemp("smsc"), ids="hex-decimal", takes_back="cancel replace") as process:
        yield process


@pytest.fixture(scope="module")
def iris(far: SmscProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmppIris]:
    home: Path = tmp_path_factory.mktemp("iris")
    # Only the times are shorter than by default.
    options = f'window = {WINDOW}\nmessage_ids = "hex-decimal"\nrepeat_after_seconds = {SILENCE}'
    environment = {"IRIS_LEASE_SECONDS": "5", "IRIS_REPORT_TIMEOUT_SECONDS": "600"}
    with smpp_iris(home, far.port, options=options, **environment) as running:
        yield running


def campaign_of(iris: SmppIris, name: str, numbers: Sequence[int]) -> int:
    created = iris.demo.post(
        "/api/system/campaigns/", json={"name": name, "services": "SMS", "individual_number": list(numbers)}
    )
    assert created.status_code == 201, created.text
    campaign: int = created.json()["data"]["details"][0]["id"]
    return campaign


def begin(iris: SmppIris, campaign: int, **body: object) -> None:
    answer = iris.demo.post(f"/api/system/campaigns/{campaign}/begin/", json=body)
    assert answer.status_code == 200, answer.text


def wait_for_taken(far: SmscProcess, count: int) -> None:
    wait_for(lambda: len(far.entries) > count, seconds=60)


def arriving_since(far: SmscProcess, start: int) -> Counter[str]:
    """How many SMS each number gets, now or when it is switched on, of those that the SMSC took after its `start`."""
    return Counter(entry["to"] for entry in far.arriving() if entry["n"] > start)


def test_two_thousand_long_nepali_messages_arrive_byte_for_byte_and_cost_what_they_should(
    iris: SmppIris, far: SmscProcess
) -> None:
    people = [(9_841_200_000 + row, NAMES[row % 5], 100 * row) for row in range(2000)]
    sheet = make_sheet(["numbers", "name", "due"], *people)
    created = iris.demo.post(
        "/api/system/campaigns/",
        data={"name": "Dues", "services": "SMS"},
        files={"send_to_number_file": sheet},
    )
    assert created.status_code == 201, created.text
    campaign = created.json()["data"]["details"][0]["id"]
    iris.manage("topup", "demo@example.com", "20000")
    before = iris.balance()
    begin(iris, campaign, message=LONG)
    iris.wait_until(campaign, "Completed", seconds=LONG_ENOUGH)

    texts = {
        f"977{number}": LONG.replace("{tags_name}", name).replace("{tags_due}", str(due))
        for number, name, due in people
    }
    assert far.octets() == {number: [text.encode("utf-16-be")] for number, text in texts.items()}
    numbers = iris.numbers(campaign)
    assert Counter(number["status"] for number in numbers) == {"completed": 2000}
    costs = {f"977{number['number']}": number["credit_consumed"] for number in numbers}
    assert costs == {number: segments_of(text) for number, text in texts.items()}
    assert before - iris.balance() == sum(costs.values())
    assert "difference 0" in iris.manage("check_ledger")


def test_an_smsc_that_is_killed_and_comes_back_gets_everything_once(iris: SmppIris, far: SmscProcess) -> None:
    # The first of them are taken and never answered: only their receipts tell.
    unanswered = [9_841_309_921 + 10_000 * n for n in range(5)]
    # Of these, nothing tells: the phones are off, and what was taken is taken back.
    off = [9_841_309_925 + 10_000 * n for n in range(5)] + [9_841_309_924]
    numbers = [*unanswered, *off, *range(9_841_300_000, 9_841_301_989)]
    campaign = campaign_of(iris, "Killed", numbers)
    start, before = len(far.entries), iris.balance()
    far.tell(answer_delay=0.05)
    begin(iris, campaign, message="Namaste")
    for taken in (400, 1000):
        wait_for_taken(far, start + taken)
        far.kill()
        if taken == 400:  # the second time it is back before anybody has noticed
            wait_for(lambda: connection_of(iris).startswith("not bound"), seconds=30)
        far.start()
    switch_on_when_only_they_are_left(far, iris, off, start=start)
    end_exactly(iris, far, campaign, numbers, start=start, before=before)
    assert far.shown() == {f"977{number}": 1 for number in off}


def test_long_messages_of_a_killed_smsc_arrive_whole_and_once(iris: SmppIris, far: SmscProcess) -> None:
    off = [9_841_609_925, 9_841_619_925, 9_841_629_924]
    numbers = [*off, *range(9_841_600_000, 9_841_600_397)]
    campaign = campaign_of(iris, "Long", numbers)
    start, before, shown = len(far.entries), iris.balance(), far.shown()
    far.tell(answer_delay=0.05)
    text = LONG.replace("{tags_name} ", "").replace("{tags_due}", "५०")
    begin(iris, campaign, message=text)
    wait_for_taken(far, start + 300)
    far.kill()
    far.start()
    switch_on_when_only_they_are_left(far, iris, off, start=start)
    iris.wait_until(campaign, "Completed", seconds=LONG_ENOUGH)
    whole = far.octets()
    assert {f"977{number}": [text.encode("utf-16-be")] for number in numbers}.items() <= whole.items()
    assert far.shown() - shown == {f"977{number}": segments_of(text) for number in off}
    end_paid(iris, campaign, numbers, before=before, credits=segments_of(text))


def switch_on_when_only_they_are_left(
    far: SmscProcess, iris: SmppIris, numbers: Sequence[int], *, start: int
) -> None:
    """All that are off have been sent to, and answered for; nobody else is waited for."""
    listed = ", ".join(f"'+977{number}'" for number in numbers)
    left = f"""SELECT count(*) FILTER (WHERE status = 30), count(*) FROM telephony_delivery
                WHERE status < 100 AND "to" IN ({listed})"""
    others = f'SELECT count(*) FROM telephony_delivery WHERE status < 100 AND "to" NOT IN ({listed})'
    wait_for(lambda: iris.rows(left) == [(len(numbers), len(numbers))], seconds=LONG_ENOUGH)
    wait_for(lambda: iris.rows(others) == [(0,)], seconds=LONG_ENOUGH)
    assert set(far.shown()).isdisjoint(f"977{number}" for number in numbers)
    far.tell(switch_on=True)


def connection_of(iris: SmppIris) -> str:
    """What the trunk's worker says of its connection."""
    return str(iris.rows("SELECT session FROM telephony_trunk WHERE alias = 'smsc'")[0][0])


def test_a_trunk_worker_that_is_killed_loses_nobody_and_sends_nothing_twice(
    iris: SmppIris, far: SmscProcess
) -> None:
    numbers = range(9_841_400_000, 9_841_401_000)
    campaign = campaign_of(iris, "Worker", numbers)
    start, before = len(far.entries), iris.balance()
    far.tell(answer_delay=0.05)
    begin(iris, campaign, message="Namaste")
    wait_for_taken(far, start + 300)
    iris.kill_trunk()
    far.tell(answer_delay=0)
    iris.start_trunk()
    end_exactly(iris, far, campaign, numbers, start=start, before=before)


def end_exactly(
    iris: SmppIris,
    far: SmscProcess,
    campaign: int,
    numbers: Sequence[int],
    *,
    start: int,
    before: Decimal,
) -> None:
    """By the journal of the SMSC, which outlives it, everybody gets one SMS; and each has completed, and is paid."""
    iris.wait_until(campaign, "Completed", seconds=LONG_ENOUGH)
    assert arriving_since(far, start) == {f"977{number}": 1 for number in numbers}
    end_paid(iris, campaign, numbers, before=before, credits=1)


def end_paid(iris: SmppIris, campaign: int, numbers: Sequence[int], *, before: Decimal, credits: int) -> None:
    assert Counter(number["status"] for number in iris.numbers(campaign)) == {"completed": len(numbers)}
    assert before - iris.balance() == len(numbers) * credits
    assert "difference 0" in iris.manage("check_ledger")


def test_who_answers_stop_gets_nothing_more(iris: SmppIris, far: SmscProcess) -> None:
    campaign = campaign_of(iris, "Stop", [9_841_500_001, 9_841_500_002])
    begin(iris, campaign, message="Namaste")
    iris.wait_until(campaign, "Completed", seconds=LONG_ENOUGH)
    far.send("9779841500001", "रोक्नुहोस्".encode("utf-16-be"))
    wait_for(lambda: far.journalled("inbound"), seconds=DEADLINE)
    assert far.journalled("inbound")[0]["acknowledged"]
    start, before = len(far.entries), iris.balance()
    begin(iris, campaign, message="Namaste")
    iris.wait_until(campaign, "Completed", seconds=LONG_ENOUGH)
    assert {number["number"]: number["status"] for number in iris.numbers(campaign)} == {
        9_841_500_001: "failed",
        9_841_500_002: "completed",
    }
    assert arriving_since(far, start) == {"9779841500002": 1}
    assert before - iris.balance() == 1


def test_a_paced_trunk_that_is_throttled_loses_nobody_and_says_good_bye(tmp_path: Path) -> None:
    with smsc(tmp_path, room=30) as far, smpp_iris(tmp_path / "iris", far.port, cps=100) as iris:
        numbers = range(9_841_700_000, 9_841_700_070)
        campaign = campaign_of(iris, "Throttled", numbers)
        before = iris.balance()
        begin(iris, campaign, message="Namaste")
        wait_for(lambda: far.journalled("throttled"), seconds=60)
        wait_for(lambda: "slowed to about" in connection_of(iris), seconds=60)
        far.tell(room=None)
        end_exactly(iris, far, campaign, numbers, start=0, before=before)
        # What was throttled was queued again, and what was claimed ahead with it: nothing had to be asked for.
        assert iris.rows("SELECT count(*) FROM telephony_repetition") == [(0,)]
        iris.trunk.terminate()
        assert iris.trunk.wait(30) == 0
        wait_for(lambda: far.journalled("unbound"), seconds=DEADLINE)
        assert connection_of(iris) == "stopped"
