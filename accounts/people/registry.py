"""What each app stores about people. The apps register it when they are loaded, so this package imports none of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from typing import Any, NamedTuple

from accounts.people.passes import Pass
from accounts.people.persons import Person

Rows = list[dict[str, Any]]


class ErasedStep(NamedTuple):
    """A step of an erasure: the mark at which the next one begins, and how many rows of each kind it had to erase."""

    mark: int
    counts: dict[str, int]


class ExportedStep(NamedTuple):
    """A step of an export: the mark at which the next one begins, and the rows of each kind that it found."""

    mark: int
    rows: dict[str, Rows]


class Holder:
    """What an app stores about a person. Apps override the functions that concern them.

    All functions may be called again after a crash, so what they have done already must do no harm. Sentences tell the
    members of the account what an erasure waits for; "" means that it need not wait.
    """

    name: str  # of the holder; part of stored marks

    def stop(self, person: Person) -> None:
        """Stop what is queued for the person."""

    def incoming(self, person: Person, *, before: datetime) -> str:
        """Return a sentence if data that was sent before this time has not arrived where `erase_next` looks."""
        return ""

    def erase_next(self, person: Person, *, after: int) -> ErasedStep | None:
        """Erase the person in the next rows after a mark, which is 0 at first. Return None if there are no more."""
        return None

    def settle(self, person: Person) -> str:
        """Return a sentence as long as a process may act on what it read before `erase_next` erased it."""
        return ""

    def erase(self, person: Person) -> dict[str, int]:
        """Erase what needs no steps and is not under way; return how many rows of each kind had something to erase."""
        return {}

    def under_way(self, person: Person) -> str:
        """Return a sentence as long as something is under way that can be erased only when it has ended."""
        return ""

    def finish(self, person: Person) -> dict[str, int]:
        """Erase what was still needed while something was under way; return the same as `erase`."""
        return {}

    def export_next(self, person: Person, *, after: int, most: int) -> ExportedStep | None:
        """Return at most `most` rows of the person after a mark, which is 0 at first; None if there are no more."""
        return None

    def export(self, person: Person, *, most: int) -> dict[str, Rows]:
        """Return what needs no steps: at most `most` rows of each kind, the newest first."""
        return {}


class Expiry(NamedTuple):
    """What an account keeps for a number of days: the field of `Account` with that number, and what erases the rest.

    `erase` gets the pass, and the time before which everything is erased.
    """

    days_field: str
    erase: Callable[[Pass, datetime], None]


_modules: list[str] = []


def register(module: str) -> None:
    """Let requests and passes of retention reach what an app stores about people.

    The module has a `HOLDER` and its `EXPIRIES`. It is imported when it is first needed, because many processes need none.
    """
    if module not in _modules:
        _modules.append(module)


def holders() -> list[Holder]:
    """Return all holders, in the order in which their apps were loaded."""
    return [import_module(module).HOLDER for module in _modules]


def expiries() -> list[Expiry]:
    """Return all that expires, in the order in which the apps were loaded."""
    return [one for module in _modules for one in import_module(module).EXPIRIES]
