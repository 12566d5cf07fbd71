"""What a speech engine is: something that turns a text into samples. One file here for each engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from iris.errors import InvalidInput

# Called by whatever speaks, as long as it gets on: who does not call for some seconds of processor time is given up.
Alive = Callable[[], None]


def nobody_watches() -> None:
    """The `Alive` of those who speak in their own process."""


class Unspeakable(InvalidInput):
    """This text cannot be made into speech: there is nothing to say in it, or far too much."""

    default_code = "unspeakable"


@dataclass(frozen=True, slots=True)
class Pcm:
    """Sound as numbers: 16-bit signed little-endian samples of one channel, `rate` of them a second."""

    samples: bytes
    rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / 2 / self.rate


class Engine(Protocol):
    """`options` are what a voice of the catalogue says about its engine (`telephony.models.Voice`)."""

    def check(self, *, language: str, options: Mapping[str, Any]) -> None:
        """Raises ValueError, with a sentence for the operator, when no voice can be made of these options."""
        ...

    def missing(self, options: Mapping[str, Any]) -> str:
        """What has to be installed before a voice with these options can speak, as a sentence; "" if nothing."""
        ...

    def version(self, options: Mapping[str, Any]) -> str:
        """Changes when the same text would sound different from now on, so that nothing stale is played."""
        ...

    def synthesize(
        self,
        text: str,
        *,
        language: str,
        options: Mapping[str, Any],
        speed: float,
        max_seconds: float,
        alive: Alive = nobody_watches,
    ) -> Pcm:
        """Speaks `text` at `speed` times the voice's own pace, and calls `alive` at least once for each second of work.

        Raises Unspeakable when it would last longer than `max_seconds`, and `iris.errors.Unavailable` when
        the engine cannot work on this machine. Safe to call from many threads.
        """
        ...


def too_long(max_seconds: float) -> Unspeakable:
    return Unspeakable(
        f"The message takes longer than {max_seconds:g} seconds to say. Shorten it.", code="too_long"
    )
