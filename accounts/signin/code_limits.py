"""Limits of the pages that check secrets other than passwords. `accounts.login_limits` limits passwords."""

from collections.abc import Iterator
from contextlib import contextmanager

from accounts import counters
from accounts.addresses import network_of
from accounts.counters import Rule
from accounts.models import User
from iris.errors import Throttled

MINUTE, HOUR, DAY = 60, 3600, 86400
# Wrong codes of one person. A code has six digits, of which three values are right at any moment: with a stolen password, an
# attacker finds one within a day with a probability of 0.02 %.
WRONG_CODES = ((5, 5 * MINUTE), (20, HOUR), (50, DAY))
# Passkeys cannot be guessed; the limit is for the sessions that each attempt stores.
PASSKEY_ATTEMPTS = ((20, MINUTE), (200, HOUR))
USED_CODE_SECONDS = 120  # longer than any code is valid


class TooManyCodes(Throttled):
    """Too many wrong codes were entered for this person."""


@contextmanager
def code_attempt(user: User) -> Iterator[None]:
    """Count a wrong code of this person unless the block ends without an exception. Raises TooManyCodes."""
    rules = [
        Rule(counters.key_of("code", user.pk, seconds), limit, seconds) for limit, seconds in WRONG_CODES
    ]
    if refused := counters.consume(rules):
        wait = int(counters.longest_wait(refused))
        raise TooManyCodes(f"Too many wrong codes. Wait {wait} seconds and try again.", wait=wait)
    yield
    counters.give_back(rules)


def is_first_use(user: User, code: str) -> bool:
    """Record that this code was used. Return False if it was used before: somebody else may have read it."""
    return not counters.consume([Rule(counters.key_of("used code", user.pk, code), 1, USED_CODE_SECONDS)])


def count_passkey_attempt(address: str) -> None:
    """Count an attempt to sign in with a passkey from this IP address. Raises Throttled."""
    network = network_of(address)
    rules = [
        Rule(counters.key_of("passkey", network, seconds), limit, seconds)
        for limit, seconds in PASSKEY_ATTEMPTS
    ]
    if refused := counters.consume(rules):
        wait = int(counters.longest_wait(refused))
        raise Throttled(f"Too many attempts in a short time. Wait {wait} seconds and try again.", wait=wait)
