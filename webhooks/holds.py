"""When nothing is sent, such as after a restore, and when little is sent, because calls and SMS need the processors.

Apps above this one register the conditions, so this one need not know them.
"""

from collections.abc import Callable

_holds: list[Callable[[], bool]] = []
_loads: list[Callable[[], bool]] = []


def hold_while(condition: Callable[[], bool]) -> None:
    """Register a condition under which nothing is sent. It is asked before each time slice of the sender."""
    if condition not in _holds:
        _holds.append(condition)


def yield_while(condition: Callable[[], bool]) -> None:
    """Register a condition under which little is sent. It is asked before each time slice, too."""
    if condition not in _loads:
        _loads.append(condition)


def is_held() -> bool:
    return any(condition() for condition in _holds)


def must_yield() -> bool:
    return any(condition() for condition in _loads)
