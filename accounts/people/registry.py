"""Register what each app stores about people.

The apps call `register` when they are loaded, so this package imports none of them.

An app's rows are read in steps. A mark, such as an id, tells where the next step begins.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from typing import Any, NamedTuple

from accounts.people.passes import Pass
from accounts.people.persons import Person

Rows = list[dict[str, Any]]


class ErasedStep(NamedTuple):
    """The result of one step of an erasure: the next step's mark, and how many rows of each kind were erased."""

    mark: int
    counts: dict[str, int]


class ExportedStep(NamedTuple):
    """The result of one step of an export: the next step's mark, and the rows of each kind that this step found."""

    mark: int
    rows: dict[str, Rows]


class Holder:
    """Erases and exports what one app stores about a person. Apps override the methods that they need.

    A crash may repeat any call, so all methods must be idempotent. Methods that return a `str` tell the members of the
    account what the erasure waits for; "" means that it need not wait.
    """

    name: str  # the key of the holder's mark in `PersonRequest.marks`

    def stop(self, person: Person) -> None:
        """Stop what is queued for the person."""

    def incoming(self, person: Person, *, before: datetime) -> str:
        """Return a sentence while data that the account uploaded before this time is still being imported.

        `erase_next` does not find such data yet.
        """
        return ""

    def erase_next(self, person: Person, *, after: int) -> ErasedStep | None:
        """Erase the person in the next rows after a mark, which is 0 at first. Return None if no rows are left."""
        return None

    def settle(self, person: Person) -> str:
        """Return a sentence as long as a process may still use data about the person that it read before `erase_next`."""
        return ""

    def erase(self, person: Person) -> dict[str, int]:
        """Erase rows that need no steps, and that no call or SMS under way needs.

        Return how many of each kind were erased.
        """
        return {}

    def under_way(self, person: Person) -> str:
        """Return a sentence as long as calls or SMS are under way that can be erased only after they have ended."""
        return ""

    def finish(self, person: Person) -> dict[str, int]:
        """Erase rows that were needed while something was under way. Return how many of each kind were erased."""
        return {}

    def export_next(self, person: Person, *, after: int, most: int) -> ExportedStep | None:
        """Return at most `most` rows of the person after a mark, which is 0 at first; None if no rows are left."""
        return None

    def export(self, person: Person, *, most: int) -> dict[str, Rows]:
        """Return the rows that need no steps: at most `most` of each kind, the newest first."""
        return {}


class Expiry(NamedTuple):
    """How data of one kind expires: the field of `Account` with the number of days, and a function that erases older data.

    `erase` gets the pass (`accounts.people.passes`) and a time. It erases all such data that are older than this time.
    """

    days_field: str
    erase: Callable[[Pass, datetime], None]


_modules: list[str] = []


def register(module: str) -> None:
    """Register a module of an app, so that requests about people and passes of retention find what the app stores.

    The module has a `HOLDER` and `EXPIRIES`. It is imported when it is first needed, because many processes never need it.
    """
    if module not in _modules:
        _modules.append(module)


def holders() -> list[Holder]:
    """Return all holders, in the order in which their apps were loaded."""
    return [import_module(module).HOLDER for module in _modules]


def expiries() -> list[Expiry]:
    """Return the expiries of all apps, in the order in which the apps were loaded."""
    return [one for module in _modules for one in import_module(module).EXPIRIES]
