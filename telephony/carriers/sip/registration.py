"""The registration of a trunk that wants one: made until it works, kept, and made again when it was lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from baresip import StackEvent, UserAgent

AGAIN_SECONDS = 5.0  # until the next attempt, where the registrar is away, or fails


async def stay_registered(
    agent: UserAgent, *, registered: Callable[[], object], lost: Callable[[str], object]
) -> NoReturn:
    """Until cancelled. Calls `registered` whenever we are, and `lost` with the reason whenever we are not.

    In between the stack refreshes. Where a registrar has refused us, the stack alone asks again, after half a minute at
    first and each time twice as late, up to half an hour: who is refused more often is locked out for it.
    """
    from baresip import BaresipError, Event

    words: asyncio.Queue[StackEvent] = asyncio.Queue()
    agent.on(
        lambda event: (
            words.put_nowait(event) if event.event in (Event.REGISTER_OK, Event.REGISTER_FAIL) else None
        )
    )
    while True:
        try:
            await agent.register()
        except BaresipError as e:
            lost(str(e))
            _clear(words)  # the last of them is this one
            if not _is_refusal(getattr(e, "status", None)):
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            if not await _is_accepted_after_all(words, lost):
                continue
        registered()
        while (await words.get()).event is not Event.REGISTER_FAIL:
            pass


async def _is_accepted_after_all(words: asyncio.Queue[StackEvent], lost: Callable[[str], object]) -> bool:
    """Whether the stack, by its own attempts, is accepted at last; False when the registrar refuses no more but fails."""
    from baresip import Event
    from baresip.errors import split_status

    while (word := await words.get()).event is Event.REGISTER_FAIL:
        status, _ = split_status(word.text or "")
        if not _is_refusal(status):
            return False
        lost(word.text or "")
    return True


def _is_refusal(status: int | None) -> bool:
    """Whether the registrar does not want us, as we are; it may also have failed (5xx), or not have answered."""
    return status is not None and not 500 <= status < 600


def _clear(words: asyncio.Queue[StackEvent]) -> None:
    while not words.empty():
        words.get_nowait()
