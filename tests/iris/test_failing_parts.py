"""With a read-only database, a full disk or a hanging Redis, requests end with an explanation and store nothing."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import DataError, InternalError, OperationalError, connection, transaction
from django.test import Client, RequestFactory
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from campaigns.models import Campaign
from iris import health
from iris.api.exceptions import explain
from iris.api.views import handler500
from iris.storage import MediaStorage
from telephony.carriers.base import CarrierEvent
from telephony.engine import event_writer
from telephony.models import DeliveryStatus
from tests.factories import make_account, make_delivery, make_trunk
from tests.iris.processes import run_python
from tests.v0 import Caller

NOTICE = {"name": "x", "services": "SMS", "individual_number": ["9800000001"]}


@contextmanager
def read_only_server() -> Iterator[None]:
    """Make all new connections read-only within the block, as after a failover."""
    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    connection.close()
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = off")
            cursor.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_read_only_database_is_a_503_and_its_connection_is_closed() -> None:
    account = make_account(email="sita@example.com")
    with read_only_server():
        answer = Caller(account).fails(
            "POST",
            "/api/system/campaigns/",
            NOTICE,
            status=503,
        )

        assert (
            answer["message"] == "The database accepts no changes at the moment. Try again in a few seconds."
        )

        with pytest.raises(OperationalError):
            health.record_heartbeat()
        connection.close_if_unusable_or_obsolete()
        assert connection.connection is None, "the next connection may reach a writable server"

    assert not Campaign.objects.exists()
    Caller(account).post(
        "/api/system/campaigns/",
        NOTICE,
        status=201,
    )


@pytest.mark.django_db(transaction=True)
def test_health_reports_a_read_only_database(client: Client) -> None:
    health.record_heartbeat()
    with read_only_server():
        answer = client.get("/health")

    assert answer.status_code == 503
    assert answer.json()["database"] == "accepts no changes"


@pytest.mark.django_db(transaction=True)
def test_pages_outside_the_api_respond_with_a_503_to_a_read_only_database(
    caplog: pytest.LogCaptureFixture,
) -> None:
    User.objects.create_superuser("operator@example.com", "secret-password")
    operator = Client(raise_request_exception=False)
    operator.force_login(User.objects.get())
    trunk = make_trunk()
    freed = {"pause_reason": "", "paused_until_0": "", "paused_until_1": ""}
    with read_only_server():
        sent = {"login": "operator@example.com", "password": "secret-password"}
        answers = [
            operator.post(f"/admin/telephony/trunk/{trunk.pk}/change/", freed),
            Client(raise_request_exception=False).post("/accounts/login/", sent),
        ]

    for answer in answers:
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert answer.content.decode().startswith("The database accepts no changes at the moment.")
    assert "Traceback" not in caplog.text


def test_a_database_error_in_a_middleware_is_a_503_and_a_bug_a_500(
    rf: RequestFactory,
) -> None:
    for error, status in [(OperationalError("the connection is lost"), 503), (ZeroDivisionError(), 500)]:
        for path in ("/api/v1/x", "/api/system/x", "/admin/"):
            try:
                raise error
            except Exception:
                answer = handler500(rf.get(path))
            assert answer.status_code == status
            assert ("Retry-After" in answer.headers) == (status == 503)


@pytest.mark.django_db(transaction=True)
def test_other_internal_errors_of_postgresql_remain_bugs() -> None:
    connection.set_autocommit(False)
    try:
        with connection.cursor() as cursor:
            with pytest.raises(DataError):
                cursor.execute("SELECT 1/0")
            with pytest.raises(InternalError) as raised:
                cursor.execute("SELECT 1")  # 25P02: the transaction is aborted
    finally:
        connection.close()

    assert explain(raised.value) is None


@pytest.mark.django_db(transaction=True)
def test_trunk_events_are_retried_until_the_database_is_writable(monkeypatch: pytest.MonkeyPatch) -> None:
    delivery = make_delivery(trunk=make_trunk("sandbox"), status=DeliveryStatus.SUBMITTED)
    waited = threading.Event()
    monkeypatch.setattr(event_writer, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(event_writer.log, "exception", lambda *_: waited.set())
    event = CarrierEvent(key=str(delivery.pk), status=DeliveryStatus.COMPLETED, at=timezone.now())
    with read_only_server():
        writer = event_writer.EventWriter("sandbox")
        writer.put([event])
        assert waited.wait(60)
    writer.close()

    delivery.refresh_from_db()
    assert delivery.status == DeliveryStatus.COMPLETED


@pytest.mark.django_db
def test_a_full_database_disk_is_a_503() -> None:
    with pytest.raises(OperationalError) as raised, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DO $$ BEGIN RAISE SQLSTATE '53100'; END $$")

    explained = explain(raised.value)
    assert explained is not None
    assert (explained.status, explained.headers) == (503, {"Retry-After": "5"})
    assert "accepts no changes" in explained.message


class Endless(ContentFile[bytes]):
    """A file whose second chunk finds the disk full."""

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        yield b"part"
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_partially_written_file_is_deleted(tmp_path: Path) -> None:
    storage = MediaStorage(location=tmp_path)

    with pytest.raises(OSError, match="No space left"):
        storage.save("audio/ab/x.wav.part", Endless(b"x"))

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert isinstance(default_storage._wrapped, MediaStorage)  # type: ignore[attr-defined]


@pytest.mark.django_db(transaction=True)
def test_health_reports_an_unwritable_media_folder(
    client: Client, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    settings.MEDIA_ROOT = tmp_path / "file" / "media"
    health.record_heartbeat()

    answer = client.get("/health")

    assert answer.status_code == 503
    assert answer.json()["media"] == "cannot be written: Not a directory"


@pytest.mark.django_db(transaction=True)
def test_health_leaves_no_files_in_the_media_folder(
    client: Client, settings: Settings, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"

    assert client.get("/health").json()["media"] == "ok"
    assert list((tmp_path / "media").iterdir()) == []


@pytest.mark.parametrize(
    "code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG, errno.EACCES]
)
def test_errors_of_an_unwritable_disk_are_a_503(code: int) -> None:
    explained = explain(OSError(code, "as the system calls it"))

    assert explained is not None
    assert (explained.status, explained.headers) == (503, {"Retry-After": "5"})


HUNG = """
import os, socket
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(50)
listener.setblocking(False)
os.environ["IRIS_BROKER_URL"] = "redis://127.0.0.1:%d/0" % listener.getsockname()[1]
import iris.wsgi
from accounts.api.throttles import OtpThrottle
from campaigns.tasks import fill
from iris import health
held = []
def connections():
    while True:
        try:
            held.append(listener.accept()[0])
        except BlockingIOError:
            return len(held)
assert fill.apply_async(retry=False) is None
tried = connections()
assert tried
for _ in range(3):
    assert OtpThrottle().allow("somebody")
    assert fill.apply_async(retry=False) is None
assert connections() == tried, "it is not asked again so soon"
print(tried, health.check_parts()["broker"])
"""


def test_requests_skip_an_unresponsive_redis() -> None:
    done = run_python(HUNG, Path(django_settings.IRIS_HOME))

    assert done.returncode == 0, done.stderr
    tried, output = done.stdout.split(maxsplit=1)
    assert int(tried) <= 2, "each try waits for half a second"
    assert done.stderr.count("Requests cannot be counted") == 1
    assert "Traceback" not in done.stderr
    assert output.strip() == "does not answer"
