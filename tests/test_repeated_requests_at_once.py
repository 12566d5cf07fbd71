"""Send one request many times at once with one `Idempotency-Key`: threads in this process, and a whole iris."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from django.db import connection

from accounts.ledger import check_ledger
from campaigns.models import Campaign, Recipient, Run
from iris.models import KeptAnswer
from otp.models import Otp
from tests.factories import client_of, make_account, make_campaign
from tests.live import LiveIris, live_iris, wait_for
from tests.scale import at_scale

AT_ONCE = 8  # threads; each has a connection to PostgreSQL
REQUESTS = at_scale(40, 1000)
CLIENTS = 24
NEW = {"name": "Water", "services": "SMS", "individual_number": [9841000001, 9841000002]}
OTP = {"number": "9841000001", "message": "Your code is {otp}", "sms_send_options": "text"}


@pytest.mark.django_db(transaction=True)
class TestThreads:
    def send(self, path: str, body: dict[str, Any], owner: Any) -> list[Any]:
        start = Barrier(AT_ONCE)
        clients = [client_of(owner) for _ in range(AT_ONCE)]

        def run(client: Any) -> Any:
            try:
                connection.ensure_connection()
                start.wait(60)
                return client.post(path, body, format="json", HTTP_IDEMPOTENCY_KEY="k-1")
            finally:
                connection.close()

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(run, clients))

    @pytest.mark.parametrize("what", ["create", "begin", "add", "otp"])
    def test_one_of_many_requests_is_carried_out(self, what: str) -> None:
        owner = make_account(credits=100)
        campaign = make_campaign(owner=owner, message="Namaste")
        requests: dict[str, tuple[str, dict[str, Any]]] = {
            "create": ("/api/system/campaigns/", NEW),
            "begin": (f"/api/system/campaigns/{campaign.pk}/begin/", {}),
            "add": (f"/api/v1/campaign/{campaign.pk}/add-contact/", {"number": 9841000009}),
            "otp": ("/api/system/send/otp/", OTP),
        }
        path, body = requests[what]
        before = (
            Campaign.objects.count(),
            Run.objects.count(),
            Recipient.objects.count(),
            Otp.objects.count(),
        )
        answers = self.send(path, body, owner)
        answers += self.send(path, body, owner)  # all of these find the answer

        carried_out = {answer.content for answer in answers if answer.status_code in (200, 201)}
        assert len(carried_out) == 1
        others = {answer.status_code for answer in answers} - {200, 201}
        assert others <= {409}
        assert {answer.status_code for answer in answers[AT_ONCE:]} <= {200, 201}
        after = (
            Campaign.objects.count(),
            Run.objects.count(),
            Recipient.objects.count(),
            Otp.objects.count(),
        )
        added = tuple(new - old for new, old in zip(after, before, strict=True))
        assert (
            added
            == {
                "create": (1, 0, 2, 0),
                "begin": (0, 1, 0, 0),
                "add": (0, 0, 1, 0),
                "otp": (0, 0, 0, 1),
            }[what]
        )
        assert KeptAnswer.objects.count() == 1
        assert check_ledger().differences == ()


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveIris]:
    """Run iris with two web processes, whose requests only PostgreSQL can tell apart."""
    home: Path = tmp_path_factory.mktemp("iris")
    with live_iris(
        home, GUNICORN_CMD_ARGS="--workers=2", IRIS_OTP_THROTTLE="1000000/minute", IRIS_SANDBOX_SPEED="100"
    ) as running:
        yield running


def ask(iris: LiveIris, path: str, body: dict[str, Any], key: str, *, times: int = 1) -> list[httpx.Response]:
    """Send a request many times at once."""

    def send(_: int) -> httpx.Response:
        return iris.demo.post(path, json=body, headers={"Idempotency-Key": key}, timeout=120)

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(send, range(times)))


def web_processes(iris: LiveIris) -> list[psutil.Process]:
    """Return the processes that serve requests, without their parent."""
    (web,) = [
        one for one in psutil.Process(iris.process.pid).children() if "gunicorn" in " ".join(one.cmdline())
    ]
    return web.children()


def sessions_that_wait(iris: LiveIris) -> int:
    return int(
        iris.rows(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )[0][0]
    )


def created(iris: LiveIris, **fields: Any) -> int:
    answer = iris.demo.post("/api/system/campaigns/", json={**NEW, **fields})
    campaign: int = answer.json()["data"]["details"][0]["id"]
    return campaign


@pytest.mark.field
class TestProcesses:
    def only(self, answers: list[httpx.Response]) -> None:
        """Check that all answers are the same, apart from those that came while the first was carried out."""
        assert {answer.status_code for answer in answers} <= {200, 201, 409}
        done = [answer for answer in answers if answer.status_code != 409]
        assert len({answer.content for answer in done}) == 1
        assert sum("idempotent-replayed" not in answer.headers for answer in done) == 1
        assert all(answer.headers["retry-after"] == "2" for answer in answers if answer.status_code == 409)

    def test_a_campaign_is_created_and_begun_once_and_nobody_texted_twice(self, iris: LiveIris) -> None:
        new = {**NEW, "name": "Once"}
        self.only(ask(iris, "/api/system/campaigns/", new, "create", times=REQUESTS))
        ((campaign, count),) = iris.rows(
            "SELECT min(id), count(*) FROM campaigns_campaign WHERE name = 'Once'"
        )
        assert count == 1
        path = f"/api/system/campaigns/{campaign}/begin/"
        self.only(ask(iris, path, {"message": "Begun once"}, "begin", times=REQUESTS))
        iris.wait_until(campaign, "Completed")
        # A retry after the run has ended would begin the campaign again.
        self.only(ask(iris, path, {"message": "Begun once"}, "begin", times=10) + [first(iris, path)])
        sent = Counter(message["to"] for message in iris.inbox() if message["text"] == "Begun once")
        assert sent == {"+9779841000001": 1, "+9779841000002": 1}

    def test_an_otp_is_sent_once(self, iris: LiveIris) -> None:
        self.only(ask(iris, "/api/v1/auths/send/otp/", OTP, "otp", times=REQUESTS))
        assert iris.rows("SELECT count(*) FROM otp_otp") == [(1,)]

    def test_begin_whose_process_is_killed_is_begun_once_by_its_retry(self, iris: LiveIris) -> None:
        """The row of the account is locked, so the begin waits in its transaction until its process is dead."""
        campaign = created(iris, name="Killed")
        path, body = f"/api/system/campaigns/{campaign}/begin/", {"message": "Begun after a kill"}
        with database(iris) as held:
            held.execute("SELECT FROM accounts_account WHERE name = 'demo@example.com' FOR UPDATE")
            with ThreadPoolExecutor(1) as pool:
                lost = pool.submit(ask, iris, path, body, "killed")
                wait_for(lambda: sessions_that_wait(iris) > 0, seconds=10)
                under_way = ask(iris, path, body, "killed")[0]
                for process in web_processes(iris):
                    process.send_signal(signal.SIGKILL)
                with pytest.raises(httpx.TransportError):
                    lost.result()
            held.rollback()
        assert (under_way.status_code, under_way.headers["retry-after"]) == (409, "2")
        wait_for(lambda: sessions_that_wait(iris) == 0, seconds=10)
        answers = retry_until(iris, path, body, "killed", lambda answer: answer.status_code == 200)
        again = ask(iris, path, body, "killed")[0]
        assert again.content == answers[-1].content
        assert iris.rows(f"SELECT count(*) FROM campaigns_run WHERE campaign_id = {campaign}") == [(1,)]
        iris.wait_until(campaign, "Completed")


def first(iris: LiveIris, path: str) -> httpx.Response:
    """Return the stored answer as the one that was not replayed, for `only`."""
    answer = ask(iris, path, {"message": "Begun once"}, "begin")[0]
    assert answer.headers.pop("idempotent-replayed") == "true"
    return answer


def database(iris: LiveIris) -> psycopg.Connection[Any]:
    from iris.devserver.embedded import keeper, server

    sockets = keeper.socket_folder(server.folder_of(iris.home))
    return psycopg.connect(f"postgresql://postgres@/iris?host={sockets}")


def retry_until(
    iris: LiveIris, path: str, body: dict[str, Any], key: str, done: Callable[[httpx.Response], bool]
) -> list[httpx.Response]:
    """Retry as a client does: also when there is no web process for a moment."""
    answers: list[httpx.Response] = []

    def attempt() -> bool:
        try:
            answers.extend(ask(iris, path, body, key))
        except httpx.TransportError:
            return False
        return done(answers[-1])

    wait_for(attempt, seconds=20)
    return answers
