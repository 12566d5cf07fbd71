"""Send e-mails. Web requests only store them.

A worker hands the e-mails to the SMTP server, and retries those that the server did not accept. Without `IRIS_SMTP_URL`
there is no server. With the embedded database, e-mails are then written to the log; otherwise none are sent.
"""

import logging
import smtplib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.backends.smtp import EmailBackend as SmtpBackend
from django.db import connection
from django.utils import timezone

from accounts.models import OutgoingMail

logger = logging.getLogger(__name__)

BATCH_SIZE = 20
TIMEOUT_SECONDS = 20
# The wait before the next attempt doubles from FIRST_WAIT to LONGEST_WAIT. A claimed e-mail waits at least that long, so
# no other worker sends it at the same time.
FIRST_WAIT = timedelta(minutes=10)
LONGEST_WAIT = timedelta(hours=4)
KEEP = timedelta(days=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """An e-mail to one address."""

    to: str
    subject: str
    body: str


class QueuedMail(BaseEmailBackend):
    """Django's e-mail backend for web requests: store each message for the worker."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        for message in email_messages:
            for address in message.recipients():
                enqueue(to=address, subject=str(message.subject), body=str(message.body))
        return len(email_messages)


def is_configured() -> bool:
    """Return whether e-mails are delivered to an SMTP server or written to the log."""
    return bool(settings.MAIL_SERVER) or settings.MAIL_TO_LOG


def enqueue(*, to: str, subject: str, body: str) -> None:
    """Store an e-mail for the worker. Without a mail server, drop it."""
    enqueue_all([Draft(to=to, subject=subject, body=body)])


def enqueue_all(drafts: Iterable[Draft]) -> None:
    """Store e-mails for the worker, with one statement. Without a mail server, drop them."""
    if is_configured():
        OutgoingMail.objects.bulk_create(
            OutgoingMail(to=one.to, subject=" ".join(one.subject.split())[:200], body=one.body)
            for one in drafts
        )


def send_due() -> int:
    """Send a batch of e-mails. Return how many were claimed. Safe to run concurrently."""
    OutgoingMail.objects.filter(created_at__lt=timezone.now() - KEEP).delete()
    claimed = _claim()
    if not claimed:
        return 0
    done: list[int] = []
    server = _server()
    try:
        server.open()
        for mail in claimed:
            error = _send(server, mail)
            if error is None:
                done.append(mail.pk)
            else:
                OutgoingMail.objects.filter(pk=mail.pk).update(last_error=error[:200])
    except (smtplib.SMTPException, OSError) as error:
        logger.warning("The mail server cannot be reached. %s e-mails wait: %s", len(claimed), error)
        waiting = [mail.pk for mail in claimed if mail.pk not in done]
        OutgoingMail.objects.filter(pk__in=waiting).update(last_error=str(error)[:200])
    finally:
        server.close()
    OutgoingMail.objects.filter(pk__in=done).delete()
    return len(claimed)


def _claim() -> list[OutgoingMail]:
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE accounts_outgoingmail m SET attempts = attempts + 1,
                      not_before = statement_timestamp() + make_interval(secs => least(%s * power(2, attempts), %s))
                WHERE id IN (SELECT id FROM accounts_outgoingmail WHERE not_before <= statement_timestamp()
                              ORDER BY not_before LIMIT %s FOR UPDATE SKIP LOCKED) RETURNING id""",
            [FIRST_WAIT.total_seconds(), LONGEST_WAIT.total_seconds(), BATCH_SIZE],
        )
        return list(OutgoingMail.objects.filter(pk__in=[pk for (pk,) in cursor.fetchall()]).order_by("pk"))


class _Log(BaseEmailBackend):
    """Write e-mails to the log. Never use this in production: with a link from the log, anybody can set a password."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        for message in email_messages:
            logger.info("E-mail to %s: %s\n%s", ", ".join(message.to), message.subject, message.body)
        return len(email_messages)


def _server() -> BaseEmailBackend:
    if not settings.MAIL_SERVER:
        return _Log()
    options: dict[str, Any] = settings.MAIL_SERVER
    return SmtpBackend(**options, timeout=TIMEOUT_SECONDS, fail_silently=False)


def _send(server: BaseEmailBackend, mail: OutgoingMail) -> str | None:
    """Send one e-mail. Return None if it needs no retry, or else the reason for the retry."""
    message = EmailMessage(mail.subject, mail.body, settings.DEFAULT_FROM_EMAIL, [mail.to])
    try:
        server.send_messages([message])
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        if any(code < 500 for code in codes):
            return f"The recipient was refused for now ({codes[0]})."
        logger.warning("The mail server refused the recipient of e-mail %s for good (%s).", mail.pk, codes[0])
        return None
    except (smtplib.SMTPServerDisconnected, OSError):
        raise
    except (smtplib.SMTPException, ValueError) as error:
        logger.warning("E-mail %s could not be sent and will be repeated: %s", mail.pk, error)
        return str(error) or type(error).__name__
    return None
