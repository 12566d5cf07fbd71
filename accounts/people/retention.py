"""Erase what accounts no longer keep: messages, recorded answers, recipients.

Each account sets for how many days it keeps each kind of data (`accounts.account_settings`). Passes work in batches and stop
after some seconds; `Retention.marks` says where the next pass begins. Rows, statuses and costs stay.
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta

from django.db import InterfaceError, OperationalError
from django.db.models import F, Q
from django.utils import timezone

from accounts.account_settings import KEPT_DAYS
from accounts.models import Account
from accounts.people import registry
from accounts.people.passes import OutOfTime, Pass

log = logging.getLogger(__name__)


def erase_expired(*, budget: float) -> bool:
    """Erase expired data of the accounts in turn, for about `budget` seconds. Return whether expired data may remain.

    Only one process at a time may call it.
    """
    end = time.monotonic() + budget
    some = Q()
    for name in KEPT_DAYS:
        some |= Q(**{f"{name}__isnull": False})
    keeping = Account.objects.filter(some).order_by(F("retention__passed_at").asc(nulls_first=True), "pk")
    for account in keeping:
        one = Pass(account, end=end)
        try:
            _erase_of(one)
        except OutOfTime:
            return True
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # the other accounts must still be served
            log.exception("What account %d no longer keeps cannot be erased", account.pk)
        finally:
            one.end()
    return False


def _erase_of(one: Pass) -> None:
    now = timezone.now()
    for expiry in registry.expiries():
        days: int | None = getattr(one.account, expiry.days_field)
        if days is not None:
            expiry.erase(one, now - timedelta(days=days))
