"""The rules that limit whom a run contacts, and how many at first: duplicates, frequency cap and waves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from iris.errors import InvalidInput

KEEP, ONCE = "keep", "once"
MAX_CONTACTS, MAX_DAYS = 100, 365
MAX_WAVES, MAX_SIZE = 10, 10_000_000


def parse_duplicates(sent: object) -> str:
    """Return KEEP (every recipient is contacted) or ONCE (every number is, once). Raises InvalidInput."""
    word = sent.strip().strip('"').lower() if isinstance(sent, str) else ""
    if word not in (KEEP, ONCE):
        raise InvalidInput(
            f"This must be “{KEEP}”, to contact every recipient, or “{ONCE}”, to contact each number once."
        )
    return word


@dataclass(frozen=True, kw_only=True, slots=True)
class FrequencyCap:
    """At most `contacts` contacts with a number in any `days` times 24 hours."""

    contacts: int
    days: int

    @classmethod
    def parse(cls, sent: object) -> FrequencyCap:
        """Read a cap, as clients send it and as it is stored. Raises InvalidInput."""
        rule = _fields(sent, cls, name="A frequency cap has", example='{"contacts": 2, "days": 7}')
        for field, most, what in (
            ("contacts", MAX_CONTACTS, "how often a number may be contacted"),
            ("days", MAX_DAYS, "in how many days"),
        ):
            if not _is_whole(rule.get(field), most=most):
                raise InvalidInput(f"“{field}” says {what}. It must be a whole number from 1 to {most}.")
        return cls(contacts=rule["contacts"], days=rule["days"])

    @property
    def json(self) -> dict[str, Any]:
        return {"contacts": self.contacts, "days": self.days}


@dataclass(frozen=True, kw_only=True, slots=True)
class WaveRule:
    """The sizes of the waves, in recipients. All other recipients follow after the last of these waves.

    With `success_percent`, the next wave begins by itself as soon as this share of the present wave was reached.
    """

    sizes: tuple[int, ...]
    success_percent: int | None = None

    @classmethod
    def parse(cls, sent: object) -> WaveRule:
        """Read a rule, as clients send it and as it is stored. Raises InvalidInput."""
        rule = _fields(sent, cls, name="Waves have", example='{"sizes": [100], "success_percent": 80}')
        sizes = rule.get("sizes")
        if not isinstance(sizes, list | tuple) or not 1 <= len(sizes) <= MAX_WAVES:
            raise InvalidInput(
                f"“sizes” must list how many recipients each wave has, such as [100, 1000]: 1 to {MAX_WAVES} numbers. All"
                " other recipients follow after the last wave."
            )
        if not all(_is_whole(size, most=MAX_SIZE) for size in sizes):
            raise InvalidInput(
                f"Each of “sizes” must be a whole number from 1 to {MAX_SIZE:,}.", code="wave_size"
            )
        percent = rule.get("success_percent")
        if percent is not None and not _is_whole(percent, most=100):
            raise InvalidInput(
                "“success_percent” must be a whole number from 1 to 100. Omit it to let every wave wait for a person."
            )
        return cls(sizes=tuple(sizes), success_percent=percent)

    @property
    def json(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"sizes": list(self.sizes)}
        return shown if self.success_percent is None else {**shown, "success_percent": self.success_percent}

    def size(self, wave: int) -> int | None:
        """Return the size of a wave; None if it has all other recipients. The first wave has the number 1."""
        return self.sizes[wave - 1] if wave <= len(self.sizes) else None


def _fields(sent: object, rule: type, *, name: str, example: str) -> Mapping[str, Any]:
    """Return the object that was sent. Raises InvalidInput if it is no object, or has fields that the rule does not have."""
    if not isinstance(sent, Mapping):
        raise InvalidInput(f"This must be an object, such as {example}.")
    known = tuple(rule.__annotations__)
    if unknown := [str(field) for field in sent if field not in known]:
        raise InvalidInput(f"Unknown field “{unknown[0][:40]}”. {name}: {', '.join(known)}.")
    return sent


def _is_whole(value: object, *, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most
