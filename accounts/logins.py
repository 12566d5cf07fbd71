"""How often a login may be tried: limits that stop guessing, and never lock out an account's owner.

Counted are failures, in the database, so that all processes count together:

* from one network to one account (`IRIS_LOGIN_THROTTLE`);
* from one network to all accounts that it has never logged in to (`IRIS_LOGIN_ADDRESS_THROTTLE`): one guess at each of
  many accounts is what an attacker has most use for;
* to one account from all networks that have never logged in to it (`IRIS_LOGIN_ACCOUNT_THROTTLE`). Beyond this limit
  such a network waits before each try, the longer the more tries failed, 15 minutes at most. The wait is a promise:
  the next try after it is heard, however many others fail meanwhile. So many addresses guess slowly, and an owner
  who comes from a new address during an attack gets in with the right password after one wait.

A network that has logged in to the account within the last `KNOWN_DAYS` is not a stranger: neither of the two last
limits concerns it. An account is what was found, whatever spelling found it; what was not found is counted in
the same way by what was typed, so that no answer tells which accounts there are.
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
# Right ones, too, from one network to one account. Clients that log in before each request, and poll some campaigns
# every ten seconds, stay far below.
LOGINS_A_MINUTE = 120
FIRST_WAIT_SECONDS = 30
MAX_WAIT_SECONDS = 15 * 60
GRACE_SECONDS = 60 * 60  # how long after its wait a network is still expected


class TooManyLogins(Throttled):
    """Too many logins failed; `wait` is the seconds after which the next one is heard."""


@contextmanager
def attempt(*, account: User | None, email: str, address: str) -> Iterator[None]:
    """Check a password inside: whatever leaves this block as an exception is a failed login, and is counted.

    `account` is what was found for `email`, None for nothing. Raises TooManyLogins and `hashing.Busy`.
    """
    network = network_of(address)
    digest = counters.key_of("network", network)
    known = KnownAddress.objects.filter(
        user_id=0 if account is None else account.pk,
        network=digest,
        seen_at__gt=timezone.now() - timedelta(days=KNOWN_DAYS),
    ).exists()
    # Counted before the password is looked at, so that many at once are no more than one after the other.
    failures = _count(who=_name(account, email), network=network, known=known)
    try:
        with hashing.slot(known=known):
            yield
    except hashing.Busy:
        counters.give_back(failures)
        raise
    counters.give_back(failures)
    if account is not None:
        _remember(account, digest)


def prune() -> None:
    """Forget addresses that have not logged in for `KNOWN_DAYS`."""
    KnownAddress.objects.filter(seen_at__lte=timezone.now() - timedelta(days=KNOWN_DAYS)).delete()


def _count(*, who: str, network: str, known: bool) -> list[Rule]:
    """Count a failure; return the rules by which it is given back when it was none. Raises TooManyLogins."""
    every = Rule(counters.key_of("logins", who, network), LOGINS_A_MINUTE, 60)
    failures = counters.rules_of(settings.IRIS_LOGIN_THROTTLE, "failures", who, network)
    if known:
        _refuse(counters.take([every, *failures]))
        return failures
    failures += counters.rules_of(settings.IRIS_LOGIN_ADDRESS_THROTTLE, "address", network)
    rate = counters.parse_rate(settings.IRIS_LOGIN_ACCOUNT_THROTTLE)
    account = Rule(counters.key_of("account", who), *rate)
    refused = counters.take([every, *failures, account])
    if [refusal.rule for refusal in refused] == [account]:
        wait = counters.queue(
            counters.key_of("queue", who, network),
            wait=_backoff(refused[0].counted, rate.limit),
            grace=GRACE_SECONDS,
        )
        if wait is not None:
            raise _too_many(wait)
        account = account._replace(limit=UNLIMITED)
        refused = counters.take([every, *failures, account])
    _refuse(refused)
    return [*failures, account]


def _backoff(failed: int, limit: int) -> float:
    """Return the seconds that a stranger waits: twice as long for each further `limit` of failures."""
    doublings = min(max(0, failed // limit - 1), 10)
    return min(FIRST_WAIT_SECONDS * 2.0**doublings, MAX_WAIT_SECONDS)


def _refuse(refused: list[counters.Refusal]) -> None:
    if refused:
        raise _too_many(counters.longest(refused))


def _too_many(wait: float) -> TooManyLogins:
    seconds = int(-(-wait // 1))
    return TooManyLogins(
        f"Too many logins in a short time. Wait {seconds} seconds and try again.", wait=seconds
    )


def _name(account: User | None, email: str) -> str:
    """Return by what an account is counted: itself, or else what was typed, in whatever spelling."""
    if account is not None:
        return f"account {account.pk}"
    text = unicodedata.normalize("NFKC", email).casefold()
    return "unknown " + "".join(c for c in text if not c.isspace() and unicodedata.category(c) != "Cf")


def _remember(account: User, digest: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO accounts_knownaddress AS k (user_id, network, seen_at)
               VALUES (%s, %s, statement_timestamp())
                   ON CONFLICT (user_id, network) DO UPDATE SET seen_at = EXCLUDED.seen_at
                WHERE k.seen_at < EXCLUDED.seen_at - interval '1 day'""",
            [account.pk, digest],
        )
