"""Conditions under which no event is sent, such as a restored backup. Apps above this one register them."""

from collections.abc import Callable

_conditions: list[Callable[[], bool]] = []


def hold_while(condition: Callable[[], bool]) -> None:
    """Register a condition. It is asked before each time slice of the sender."""
    if condition not in _conditions:
        _conditions.append(condition)


def is_held() -> bool:
    return any(condition() for condition in _conditions)
