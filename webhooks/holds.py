"""When no webhooks are sent (for example after a restore), and when only few are sent (while calls and SMS need the CPU).

The apps that import `webhooks` register the conditions, so that `webhooks` does not import those apps.
"""

from collections.abc import Callable

_holds: list[Callable[[], bool]] = []
_loads: list[Callable[[], bool]] = []


def hold_while(condition: Callable[[], bool]) -> None:
    """Register a condition under which nothing is sent. The sender checks it before each time slice."""
    if condition not in _holds:
        _holds.append(condition)


def yield_while(condition: Callable[[], bool]) -> None:
    """Register a condition under which the sender limits its rate. It is checked before each time slice, too."""
    if condition not in _loads:
        _loads.append(condition)


def is_held() -> bool:
    return any(condition() for condition in _holds)


def must_yield() -> bool:
    return any(condition() for condition in _loads)
