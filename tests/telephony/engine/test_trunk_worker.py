"""Session carriers: open once, store events in sets, show their status, close properly."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from celery import current_app
from django.db import OperationalError, connection
from django.db.backends.postgresql.base import DatabaseWrapper
from django.utils import timezone

from telephony import tasks
from telephony.carriers.base import Accepted, CarrierEvent, Result, SessionCarrier, SessionRecord, Submission
from telephony.engine import delivery_reports, event_writer, lifecycle, trunk_queues, trunk_worker
from telephony.engine.nudge import EXPIRES
from telephony.models import Cause, Channel, Delivery, DeliveryStatus, Trunk
from tests.factories import make_delivery, make_trunk
from tests.live import wait_for

S = DeliveryStatus


class TestedSession(SessionCarrier):
    """A session that the test controls."""

    __test__ = False
    channels: ClassVar = frozenset(Channel)
    gather_seconds: ClassVar = 0.1
    dies_with_worker: ClassVar = True
    opened: ClassVar[list[SessionRecord]] = []
    line: ClassVar[str] = "bound"

    def open(self, record: SessionRecord) -> None:
        self.opened.append(record)

    def close(self) -> None:
        self.opened.clear()

    def status(self) -> str:
        return type(self).line

    def submit(self, batch: Sequence[Submission]) -> list[Result]:
        return [Accepted(key=one.key, ref=one.key) for one in batch]


LINE = {
    "line": {
        "BACKEND": "tests.telephony.engine.test_trunk_worker.TestedSession",
        "OPTIONS": {},
        "CPS": None,
        "CHANNELS": 5,
    }
}


@pytest.fixture
def record(settings: Any, transactional_db: None) -> Iterator[SessionRecord]:
    settings.CARRIERS = LINE
    TestedSession.line = "bound"
    trunk_worker.open_carrier("line")
    assert trunk_worker.open_carrier("line") is trunk_worker.open_carrier("line")
    (opened,) = TestedSession.opened
    yield opened
    trunk_worker.close_all()


def event(delivery: Delivery, status: DeliveryStatus, **fields: Any) -> CarrierEvent:
    return CarrierEvent(key=str(delivery.pk), status=status, at=timezone.now(), **fields)


def make_call(status: DeliveryStatus = S.SUBMITTING) -> Delivery:
    return make_delivery(
        trunk=make_trunk("line"), channel=Channel.CALL, status=status, claimed_at=timezone.now()
    )


def test_events_within_the_gather_time_are_stored_as_one_set(
    record: SessionRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets: list[int] = []
    really: Callable[..., Any] = delivery_reports.apply_events

    def counting(alias: str, items: Sequence[Any]) -> int:
        sets.append(len(items))
        return int(really(alias, items))

    monkeypatch.setattr(delivery_reports, "apply_events", counting)
    calls = [make_call() for _ in range(10)]
    for call in calls:
        record([Accepted(key=str(call.pk), ref=f"ref-{call.pk}"), event(call, S.RINGING)])
    wait_for(lambda: Delivery.objects.filter(status=S.RINGING).count() == 10, seconds=5)
    assert sum(sets) == 10
    assert len(sets) <= 2


def test_pressed_keys_are_stored_without_a_status_change(record: SessionRecord) -> None:
    call = make_call(S.ANSWERED)
    record([event(call, S.ANSWERED, digits="1")])
    wait_for(lambda: Delivery.objects.get().digits == "1", seconds=5)
    record([event(call, S.ANSWERED, digits="12"), event(call, S.ANSWERED, digits="1")])
    record([event(call, S.COMPLETED, digits="123", seconds=4.0, playback=100)])
    wait_for(lambda: Delivery.objects.get().status == S.COMPLETED, seconds=5)
    assert Delivery.objects.get().digits == "123"


def test_status_of_the_connection_is_stored_in_the_trunk(record: SessionRecord) -> None:
    wait_for(lambda: Trunk.objects.filter(alias="line", session="bound").exists(), seconds=5)
    TestedSession.line = "not bound: refused"
    record([])
    wait_for(lambda: Trunk.objects.get(alias="line").session == "not bound: refused", seconds=5)
    trunk_worker.close_all()
    assert Trunk.objects.get(alias="line").session == "stopped"


@pytest.mark.django_db(transaction=True)
def test_calls_of_a_dead_worker_are_lost_and_queued_deliveries_are_not() -> None:
    cut, queued = make_call(S.ANSWERED), make_call(S.QUEUED)
    time.sleep(0.01)
    before = timezone.now()
    ours = make_call(S.RINGING)
    assert lifecycle.lose_orphans("line", claimed_before=before) == 1
    ends = {
        pk: (status, cause) for pk, status, cause in Delivery.objects.values_list("pk", "status", "cause")
    }
    assert ends == {cut.pk: (S.FAILED, Cause.LOST), queued.pk: (S.QUEUED, ""), ours.pk: (S.RINGING, "")}


def test_worker_of_a_trunks_queue_has_one_process(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CARRIERS = LINE
    worker = SimpleNamespace(pool_cls="prefork", concurrency=4)
    monkeypatch.setattr(current_app.amqp.queues, "_consume_from", {"iris": None})
    trunk_worker.enforce_single_trunk(worker)
    assert (worker.pool_cls, worker.concurrency) == ("prefork", 4)
    monkeypatch.setattr(current_app.amqp.queues, "_consume_from", {"trunk.line": None})
    trunk_worker.enforce_single_trunk(worker)
    assert (worker.pool_cls, worker.concurrency) == ("solo", 1)
    monkeypatch.setattr(current_app.amqp.queues, "_consume_from", {"trunk.lime": None})
    with pytest.raises(SystemExit, match=r"No carrier lime is configured\. Choose one of: line"):
        trunk_worker.enforce_single_trunk(worker)


def test_a_trunk_that_keeps_no_connection_gets_no_worker_of_its_own(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CARRIERS = LINE | {"sandbox": {"BACKEND": "telephony.carriers.sandbox.SandboxCarrier"}}
    worker = SimpleNamespace(pool_cls="prefork", concurrency=4)
    monkeypatch.setattr(current_app.amqp.queues, "_consume_from", {"trunk.sandbox": None})
    with pytest.raises(SystemExit, match="sandbox keeps no connection .* celery --app iris worker"):
        trunk_worker.enforce_single_trunk(worker)


@pytest.mark.parametrize("other", ["iris", "trunk.other"])
def test_worker_of_a_trunks_queue_with_another_queue_exits(
    settings: Any, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    settings.CARRIERS = {"line": {}, "other": {}}
    monkeypatch.setattr(current_app.amqp.queues, "_consume_from", {"trunk.line": None, other: None})
    with pytest.raises(SystemExit, match=r"should serve .*, .*, but .* Start one for each"):
        trunk_worker.enforce_single_trunk(SimpleNamespace(pool_cls="prefork", concurrency=4))


@pytest.mark.usefixtures("record")
def test_worker_takes_its_lock_again_after_a_database_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another worker that took the lock meanwhile would end calls as lost that are still connected."""
    monkeypatch.setattr(event_writer, "STATUS_SECONDS", 0.1)
    wait_for(_holders_of_locks, seconds=5)
    before = _holders_of_locks()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", [before])
    wait_for(lambda: _holders_of_locks() not in ([], before), seconds=10)


def _holders_of_locks() -> list[int]:
    """Return the PostgreSQL processes that hold advisory locks of this database; here, only the session's."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT pid FROM pg_locks JOIN pg_database d ON d.oid = pg_locks.database
                WHERE locktype = 'advisory' AND granted AND datname = current_database()"""
        )
        return [row[0] for row in cursor.fetchall()]


@pytest.mark.django_db(transaction=True)
def test_calls_of_a_dead_worker_are_lost_even_if_the_database_starts_after_the_next_worker(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CARRIERS = LINE
    monkeypatch.setattr(event_writer, "STATUS_SECONDS", 0.1)
    cut = make_call(S.ANSWERED)
    Delivery.objects.update(claimed_at=timezone.now() - timedelta(minutes=1))
    refused = threading.Event()
    database_is_back = threading.Event()
    really = DatabaseWrapper.get_new_connection

    def connect(self: Any, params: Any) -> Any:
        if threading.current_thread() is not threading.main_thread() and not database_is_back.is_set():
            refused.set()
            raise OperationalError("the database is starting up")
        return really(self, params)

    monkeypatch.setattr(DatabaseWrapper, "get_new_connection", connect)
    try:
        worker = threading.Thread(target=trunk_worker.open_carrier, args=("line",))
        worker.start()
        worker.join(5)
        assert refused.wait(60)
        ours = make_call(S.RINGING)
        database_is_back.set()
        wait_for(lambda: Delivery.objects.get(pk=cut.pk).status == S.FAILED, seconds=5)
        assert Delivery.objects.get(pk=cut.pk).cause == Cause.LOST
        assert Delivery.objects.get(pk=ours.pk).status == S.RINGING
    finally:
        trunk_worker.close_all()


class BrokenSession(TestedSession):
    """A session that cannot be opened while `fault` is set."""

    fault: ClassVar[str] = ""

    def open(self, record: SessionRecord) -> None:
        if type(self).fault:
            raise RuntimeError(type(self).fault)
        super().open(record)


@pytest.fixture
def nudged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that receives the alias of each trunk whose dispatch is nudged."""
    aliases: list[str] = []
    monkeypatch.setattr(tasks.dispatch, "apply_async", lambda args, **options: aliases.append(args[0]))
    return aliases


@pytest.fixture
def _line(settings: Any) -> None:
    TestedSession.line = "bound"
    settings.CARRIERS = {
        "line": {"BACKEND": "tests.telephony.engine.test_trunk_worker.BrokenSession", "OPTIONS": {}}
    }
    settings.ROUTES = {"call": ["line"], "sms": ["line"]}


@pytest.mark.usefixtures("_line", "transactional_db")
def test_no_nudge_is_sent_to_a_queue_without_a_worker(nudged: list[str]) -> None:
    """Nudges would accumulate in the broker, one per second, until a worker starts."""
    make_delivery(trunk=make_trunk("line"))
    for session, seen in [("", None), ("bound", timedelta(minutes=1)), (trunk_queues.STOPPED, timedelta(0))]:
        Trunk.objects.update(session=session, session_at=None if seen is None else timezone.now() - seen)
        tasks.tick()
    assert nudged == []
    Trunk.objects.update(session="bound", session_at=timezone.now())
    tasks.tick()
    assert nudged == ["line"]


def test_nudges_expire_after_a_minute() -> None:
    from campaigns import tasks as of_campaigns

    for task in (
        tasks.dispatch,
        tasks.poll,
        of_campaigns.fill,
        of_campaigns.prepare,
        of_campaigns.import_sheet,
    ):
        assert task.expires == EXPIRES


@pytest.mark.usefixtures("_line", "transactional_db")
def test_session_that_cannot_be_opened_shows_its_error_and_is_retried(
    nudged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_delivery(trunk=make_trunk("line"))
    monkeypatch.setattr(BrokenSession, "fault", "the library is missing")
    monkeypatch.setattr(trunk_worker, "_own_trunks", lambda: ["line"])
    trunk_worker.open_own()
    try:
        wait_for(lambda: Trunk.objects.get().session == "cannot be opened: the library is missing", seconds=5)
        tasks.tick()  # the worker is alive, so it is nudged, and each dispatch tries to open the session
        assert nudged == ["line"]
        monkeypatch.setattr(BrokenSession, "fault", "")
        tasks.dispatch("line")
        wait_for(lambda: Trunk.objects.get().session == "bound", seconds=5)
        assert Delivery.objects.get().status == S.SUBMITTED
    finally:
        trunk_worker.close_all()
    assert Trunk.objects.get().session == trunk_queues.STOPPED
