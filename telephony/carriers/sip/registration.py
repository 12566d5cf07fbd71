"""Register at a trunk that requires it, keep the registration, and renew it when it is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from baresip import StackEvent, UserAgent

RETRY_SECONDS = 5.0  # delay before the next attempt if the registrar is unreachable or fails (5xx)


async def stay_registered(
    agent: UserAgent, *, registered: Callable[[], object], lost: Callable[[str], object]
) -> NoReturn:
    """Keep `agent` registered until cancelled.

    Calls `registered` after each success, and `lost` with the reason after each failure. The stack refreshes the
    registration itself. If the registrar refuses us, only the stack retries, first after half a minute and then with
    exponential backoff up to half an hour, because registrars lock out clients that retry faster.
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
            _clear(words)  # drop the event of this failure, which `lost` has just reported
            if not _is_refusal(getattr(e, "status", None)):
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if not await _wait_for_stack_retry(words, lost):
                continue
        registered()
        while (await words.get()).event is not Event.REGISTER_FAIL:
            pass


async def _wait_for_stack_retry(words: asyncio.Queue[StackEvent], lost: Callable[[str], object]) -> bool:
    """Wait while the stack retries. Return True once it is registered, False once it fails without being refused."""
    from baresip import Event
    from baresip.errors import split_status

    while (word := await words.get()).event is Event.REGISTER_FAIL:
        status, _ = split_status(word.text or "")
        if not _is_refusal(status):
            return False
        lost(word.text or "")
    return True


def _is_refusal(status: int | None) -> bool:
    """Return whether the registrar refuses us, as opposed to a failure (5xx) or no response (None)."""
    return status is not None and not 500 <= status < 600


def _clear(words: asyncio.Queue[StackEvent]) -> None:
    while not words.empty():
        words.get_nowait()
