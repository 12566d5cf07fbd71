"""E-mails wait in the database until a mail server has taken them."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMessage, get_connection
from django.db.models import F
from django.test import Client
from pytest_django import Settings

from accounts import mail, tasks
from accounts.models import LinkRequest, OutgoingMail
from iris.environment import smtp_url
from tests.accounts.signin.pages import PASSWORD, link_in
from tests.factories import make_user

pytestmark = pytest.mark.django_db


class Server:
    """A mail server on this machine. `refusal` is its answer to every recipient, if it refuses them."""

    def __init__(self) -> None:
        self.received: list[Envelope] = []
        self.refusal = ""

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.refusal:
            return self.refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.received.append(envelope)
        return "250 OK"


@pytest.fixture
def server(settings: Settings) -> Iterator[Server]:
    server = Server()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(server, hostname="127.0.0.1", port=port)
    controller.start()
    settings.MAIL_SERVER = smtp_url("IRIS_SMTP_URL", f"smtp://127.0.0.1:{port}?tls=off")
    settings.DEFAULT_FROM_EMAIL = "Campaigns <iris@example.com>"
    yield server
    controller.stop()


def make_due() -> None:
    OutgoingMail.objects.update(not_before=F("created_at"))


def test_link_arrives_over_smtp(server: Server) -> None:
    make_user(email="sita@example.com", password=PASSWORD)
    for email in ("sita@example.com", "nobody@example.com"):
        Client().post("/accounts/password/reset/", {"email": email})
    assert LinkRequest.objects.count() == 2
    tasks.send_mail()
    (envelope,) = server.received
    assert (envelope.mail_from, envelope.rcpt_tos) == ("iris@example.com", ["sita@example.com"])
    assert isinstance(envelope.content, bytes)
    text = envelope.content.decode().replace("\r\n", "\n")
    assert "From: Campaigns <iris@example.com>" in text
    assert link_in(text).startswith("/accounts/password/reset/key/")
    assert not OutgoingMail.objects.exists()
    assert not LinkRequest.objects.exists()
    tasks.send_mail()
    assert len(server.received) == 1


def test_e_mail_is_repeated_until_the_server_takes_it(server: Server) -> None:
    server.refusal = "451 Try again later"
    mail.enqueue(to="sita@example.com", subject="Hello", body="Namaste")
    tasks.send_mail()
    waiting = OutgoingMail.objects.get()
    assert (waiting.attempts, waiting.last_error) == (1, "The recipient was refused for now (451).")
    server.refusal = ""
    tasks.send_mail()
    assert server.received == []  # not before its time
    make_due()
    tasks.send_mail()
    assert len(server.received) == 1


def test_recipient_that_is_refused_for_good_is_given_up(server: Server) -> None:
    server.refusal = "550 No such user"
    mail.enqueue(to="sita@example.com", subject="Hello", body="Namaste")
    tasks.send_mail()
    assert not OutgoingMail.objects.exists()


def test_one_refused_recipient_does_not_stop_the_others(server: Server) -> None:
    mail.enqueue(to="sita@xn--ab", subject="Hello", body="Namaste")
    mail.enqueue(to="सीता@example.com", subject="Hello", body="Namaste")
    mail.enqueue(to="ram@example.com", subject="Hello", body="Namaste")
    tasks.send_mail()
    assert ["ram@example.com"] in [envelope.rcpt_tos for envelope in server.received]


def test_unreachable_server_loses_nothing_and_old_e_mails_expire(settings: Settings) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        settings.MAIL_SERVER = smtp_url("X", f"smtp://127.0.0.1:{closed.getsockname()[1]}?tls=off")
        mail.enqueue(to="sita@example.com", subject="Hello", body="Namaste")
        tasks.send_mail()
    assert "refused" in OutgoingMail.objects.get().last_error
    OutgoingMail.objects.update(created_at=F("created_at") - timedelta(days=2))
    tasks.send_mail()
    assert not OutgoingMail.objects.exists()


def test_claimed_e_mail_is_sent_by_one_worker() -> None:
    mail.enqueue(to="sita@example.com", subject="Hello", body="Namaste")
    assert len(mail._claim()) == 1
    assert mail._claim() == []


def test_sandbox_writes_e_mails_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    mail.enqueue(to="sita@example.com", subject="Hello", body="Namaste")
    with caplog.at_level(logging.INFO, "accounts.mail"):
        tasks.send_mail()
    assert "Namaste" in caplog.text


def test_without_a_server_nothing_is_stored_or_logged(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.MAIL_TO_LOG = False
    with caplog.at_level(logging.INFO):
        mail.enqueue(to="sita@example.com", subject="Hello", body="Namaste")
        tasks.send_mail()
    assert not OutgoingMail.objects.exists()
    assert "Namaste" not in caplog.text


def test_backend_stores_what_pages_send() -> None:
    backend = get_connection("accounts.mail.QueuedMail")
    message = EmailMessage("Hello", "Namaste", None, ["a@example.com"], bcc=["b@example.com"])
    assert backend.send_messages([message]) == 1
    assert sorted(OutgoingMail.objects.values_list("to", flat=True)) == ["a@example.com", "b@example.com"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://h", ("h", 587, "", "", True, False)),
        ("smtps://u:p%40s@h", ("h", 465, "u", "p@s", False, True)),
        ("smtp://u@h:25?tls=off", ("h", 25, "u", "", False, False)),
    ],
)
def test_url_of_the_mail_server_is_read(url: str, expected: tuple[Any, ...]) -> None:
    options = smtp_url("IRIS_SMTP_URL", url)
    names = ("host", "port", "username", "password", "use_tls", "use_ssl")
    assert tuple(options[name] for name in names) == expected


@pytest.mark.parametrize(
    "url", ["h:25", "http://h", "smtp://", "smtp://h:99999", "smtp://h?tls=no", "smtp://h?x=1"]
)
def test_wrong_url_of_the_mail_server_is_explained(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="IRIS_SMTP_URL"):
        smtp_url("IRIS_SMTP_URL", url)
