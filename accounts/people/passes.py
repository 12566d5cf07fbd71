"""Passes over the data of an account. A pass erases data that the account no longer keeps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import takewhile
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from django.utils import timezone

from accounts.models import Account, Retention

BATCH = 500
_Row = TypeVar("_Row", bound=Model)


class OutOfTime(Exception):
    """The pass has used its time. The next pass continues."""


class Pass:
    """One pass over the data of one account."""

    def __init__(self, account: Account, *, end: float) -> None:
        self.account = account
        self._state, _ = Retention.objects.get_or_create(account=account)
        self._end = end

    def mark(self, kind: str) -> Any:
        return self._state.marks.get(kind)

    def count(self, kind: str, number: int) -> None:
        """Add to the counts of erased rows. They cover the last day on which rows were erased.

        Raises OutOfTime when the pass has used its time.
        """
        if number:
            now, before = timezone.now(), self._state.erased_at
            if before is None or timezone.localdate(before) != timezone.localdate(now):
                self._state.counts = {}
            self._state.counts[kind] = self._state.counts.get(kind, 0) + number
            self._state.erased_at = now
            self._state.save(update_fields=["counts", "erased_at"])
        if time.monotonic() >= self._end:
            raise OutOfTime

    def reach(self, kind: str, mark: Any) -> None:
        """Store how far this kind of data is erased.

        A mark is the position of the last erased row: its id, or a time in ISO format.
        """
        self._state.marks[kind] = mark
        self._state.save(update_fields=["marks"])

    def erase_in_order(
        self,
        kind: str,
        rows: QuerySet[_Row],
        *,
        is_over: Callable[[_Row], bool],
        erase: Callable[[list[_Row]], int],
        count: str = "messages",
    ) -> None:
        """Erase rows in the order of their ids, in batches, up to the first row for which `is_over` is false.

        `erase` returns how many rows of a batch are counted. The mark of this kind is the id of the last erased row.
        """
        while batch := list(rows.filter(pk__gt=self.mark(kind) or 0).order_by("pk")[:BATCH]):
            over = list(takewhile(is_over, batch))
            if over:
                erased = erase(over)
                self.reach(kind, over[-1].pk)
                self.count(count, erased)
            if len(over) < len(batch):
                return

    def end(self) -> None:
        self._state.passed_at = timezone.now()
        self._state.save(update_fields=["passed_at"])

    def since(self, kind: str) -> datetime:
        """Return the mark of a kind as a time: 1970 if there is no mark yet."""
        return datetime.fromisoformat(self.mark(kind) or "1970-01-01T00:00:00+00:00")


def batches(rows: QuerySet[Any], key: str = "pk") -> Iterator[list[int]]:
    """Yield the ids of these rows in batches, in the order of the unique `key`."""
    last = 0
    while found := list(rows.filter(**{f"{key}__gt": last}).order_by(key).values_list(key, "pk")[:BATCH]):
        last = found[-1][0]
        yield [pk for _, pk in found]
