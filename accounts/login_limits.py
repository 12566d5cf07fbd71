"""Limit login attempts, so that passwords cannot be guessed and an account's owner is never locked out.

Failed logins are counted in the database, so that all processes share the counts:

* from one network to one account (`IRIS_LOGIN_THROTTLE`);
* from one network to all accounts that it has never logged in to (`IRIS_LOGIN_ADDRESS_THROTTLE`), because attackers
  try one password on many accounts;
* to one account from all networks that have never logged in to it (`IRIS_LOGIN_ACCOUNT_THROTTLE`). Beyond this limit,
  such a network must wait before each attempt. The wait grows with the number of failures, up to 15 minutes. The
  attempt after the wait is always checked, even while other networks fail. So an attack from many
  addresses is slow, and an owner with a new address can log in during the attack after one wait.

A network that has logged in to the account within the last `KNOWN_DAYS` is known. The last two limits do not apply to
a known network; all other networks are strangers. Failures are counted per account, whatever spelling of the e-mail
address was typed. Attempts for an unknown e-mail address are counted in the same way by the typed text, so that the
responses do not reveal which accounts exist.
"""

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.utils import timezone

from accounts import counters, hashing
from accounts.addresses import network_of
from accounts.counters import UNLIMITED, Rule
from accounts.models import KnownAddress, User
from iris.errors import Throttled

KNOWN_DAYS = 90
# Limits all logins from one network to one account, successful ones included. Clients that log in before each request
# and poll some campaigns every ten seconds stay far below it.
MAX_LOGINS_PER_MINUTE = 120
FIRST_WAIT_SECONDS = 30
MAX_WAIT_SECONDS = 15 * 60
GRACE_SECONDS = 60 * 60  # a network may use its attempt for this long after its wait


class TooManyLogins(Throttled):
    """Too many logins failed. The next one is checked after `wait` seconds."""


@contextmanager
def attempt(*, user: User | None, email: str, address: str) -> Iterator[None]:
    """Limit the password check inside the block. An exception that leaves the block counts as a failed login.

    `user` is the person with this e-mail address, or None if there is none. Raises TooManyLogins and `hashing.Busy`.
    """
    network = network_of(address)
    digest = counters.key_of("network", network)
    known = KnownAddress.objects.filter(
        user_id=0 if user is None else user.pk,
        network=digest,
        seen_at__gt=timezone.now() - timedelta(days=KNOWN_DAYS),
    ).exists()
    # Counted as a failure before the password is checked, so that concurrent attempts cannot exceed the limits.
    failures = _count_failure(target=_target_of(user, email), network=network, known=known)
    try:
        with hashing.slot(known=known):
            yield
    except hashing.Busy:
        counters.give_back(failures)
        raise
    counters.give_back(failures)
    if user is not None:
        _remember(user, digest)


def prune() -> None:
    """Delete known networks that have not logged in for `KNOWN_DAYS`."""
    KnownAddress.objects.filter(seen_at__lte=timezone.now() - timedelta(days=KNOWN_DAYS)).delete()


def _count_failure(*, target: str, network: str, known: bool) -> list[Rule]:
    """Count a failure. Return the rules to pass to `counters.give_back` if the login succeeds. Raises TooManyLogins."""
    every = Rule(counters.key_of("logins", target, network), MAX_LOGINS_PER_MINUTE, 60)
    failures = counters.rules_of(settings.IRIS_LOGIN_THROTTLE, "failures", target, network)
    if known:
        _refuse(counters.consume([every, *failures]))
        return failures
    failures += counters.rules_of(settings.IRIS_LOGIN_ADDRESS_THROTTLE, "address", network)
    rate = counters.parse_rate(settings.IRIS_LOGIN_ACCOUNT_THROTTLE)
    account = Rule(counters.key_of("account", target), *rate)
    refused = counters.consume([every, *failures, account])
    if [refusal.rule for refusal in refused] == [account]:
        wait = counters.pass_after_wait(
            counters.key_of("queue", target, network),
            wait=_backoff(refused[0].counted, rate.limit),
            grace=GRACE_SECONDS,
        )
        if wait is not None:
            raise _too_many(wait)
        account = account._replace(limit=UNLIMITED)
        refused = counters.consume([every, *failures, account])
    _refuse(refused)
    return [*failures, account]


def _backoff(failed: int, limit: int) -> float:
    """Return the seconds that an unknown network must wait.

    The wait doubles each time another `limit` attempts have failed, up to MAX_WAIT_SECONDS.
    """
    doublings = min(max(0, failed // limit - 1), 10)
    return min(FIRST_WAIT_SECONDS * 2.0**doublings, MAX_WAIT_SECONDS)


def _refuse(refused: list[counters.Refusal]) -> None:
    if refused:
        raise _too_many(counters.longest_wait(refused))


def _too_many(wait: float) -> TooManyLogins:
    seconds = int(-(-wait // 1))
    return TooManyLogins(
        f"Too many logins in a short time. Wait {seconds} seconds and try again.", wait=seconds
    )


def _target_of(user: User | None, email: str) -> str:
    """Return the text that identifies an account in counters: its id, or the normalized e-mail address if unknown."""
    if user is not None:
        return f"account {user.pk}"
    text = unicodedata.normalize("NFKC", email).casefold()
    return "unknown " + "".join(c for c in text if not c.isspace() and unicodedata.category(c) != "Cf")


def _remember(user: User, digest: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO accounts_knownaddress AS k (user_id, network, seen_at)
               VALUES (%s, %s, statement_timestamp())
                   ON CONFLICT (user_id, network) DO UPDATE SET seen_at = EXCLUDED.seen_at
                WHERE k.seen_at < EXCLUDED.seen_at - interval '1 day'""",
            [user.pk, digest],
        )
