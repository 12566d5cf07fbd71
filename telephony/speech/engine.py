"""The interface of a speech engine, which turns text into samples. Each engine has its own module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from iris.errors import InvalidInput

# An engine calls this while it makes progress. The watchdog ends a process that does not call it for some
# seconds of processor time.
Heartbeat = Callable[[], None]

MAX_CHARACTERS = 5000  # of a text: about seven minutes of speech


def no_heartbeat() -> None:
    """The heartbeat for callers without a watchdog."""


class Unspeakable(InvalidInput):
    """The text cannot be spoken: it has no words, or it is too long."""

    default_code = "unspeakable"


def too_many_characters(count: int) -> Unspeakable:
    return Unspeakable(
        f"The message has {count} characters; at most {MAX_CHARACTERS} can be spoken. Shorten it.",
        code="too_long",
    )


@dataclass(frozen=True, slots=True)
class Pcm:
    """Sound samples: 16-bit signed little-endian, mono, `rate` samples per second."""

    samples: bytes
    rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / 2 / self.rate


@dataclass(frozen=True, slots=True)
class VoiceConfig:
    """How a voice speaks: its engine and options, its language and its speed."""

    voice: str
    engine: str
    language: str
    options: Mapping[str, Any]
    speed: float


class Engine(Protocol):
    """A speech engine. `options` are the engine options of a voice (`telephony.models.Voice`)."""

    def check(self, *, language: str, options: Mapping[str, Any]) -> None:
        """Raise ValueError, with a message for the operator, if these options are invalid."""
        ...

    def install_hint(self, options: Mapping[str, Any]) -> str:
        """Return a message that says what the operator must install before this voice can speak, or ""."""
        ...

    def version(self, options: Mapping[str, Any]) -> str:
        """Return an identifier that changes when a text would sound different, so that no stale recording is reused."""
        ...

    def synthesize(
        self,
        text: str,
        *,
        language: str,
        options: Mapping[str, Any],
        speed: float,
        max_seconds: float,
        heartbeat: Heartbeat = no_heartbeat,
    ) -> Pcm:
        """Speak `text` at `speed` times the voice's own pace, calling `heartbeat` at least once per second of work.

        Raises Unspeakable if the speech would last longer than `max_seconds`, and `iris.errors.Unavailable` if the
        engine does not work on this machine. Thread-safe.
        """
        ...


def speech_too_long(max_seconds: float) -> Unspeakable:
    return Unspeakable(
        f"The message takes longer than {max_seconds:g} seconds to say. Shorten it.", code="too_long"
    )
