"""Create the agents of the stack: one for each caller number, because a call's From address is that of its agent."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from telephony.carriers.sip.options import MAX_CALLERS, SipOptions

if TYPE_CHECKING:
    from baresip import Call, Runtime, UserAgent


class TooManyCallerNumbers(Exception):
    """The stack has no room for another caller number."""


class Agents:
    """The agents of a running stack. `main` is the one that registers."""

    def __init__(self, runtime: Runtime, options: SipOptions) -> None:
        self._runtime = runtime
        self._options = options
        self._by_user: dict[str, UserAgent] = {}
        self._rejections: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Create the agent of the option `user`."""
        await self._add(self._options.user, registering=self._options.register)

    @property
    def main(self) -> UserAgent:
        return self._by_user[self._options.user]

    async def of_caller(self, caller: str) -> tuple[UserAgent, dict[str, str] | None]:
        """Return the agent and the extra headers for a caller number. Raises TooManyCallerNumbers."""
        user = self._options.user_of(caller)
        if self._options.caller == "identity":
            if user == self._options.user:
                return self.main, None
            return self.main, {"P-Asserted-Identity": f"<sip:{user}@{self._options.host}>"}
        if user not in self._by_user:
            if len(self._by_user) >= MAX_CALLERS:
                raise TooManyCallerNumbers(
                    f"This worker has called from {MAX_CALLERS} numbers. Restart it to call from others."
                )
            await self._add(user)
        return self._by_user[user], None

    async def _add(self, user: str, *, registering: bool = False) -> None:
        from baresip import UserAgent

        account = self._options.account_of(user, registering=registering)
        agent = self._by_user[user] = await UserAgent.create(self._runtime, account)
        agent.on_incoming(self._reject)

    def _reject(self, call: Call) -> None:
        """Reject an incoming call as busy (486), because iris only makes calls."""
        task = asyncio.get_running_loop().create_task(_reject(call))
        self._rejections.add(task)
        task.add_done_callback(self._rejections.discard)


async def _reject(call: Call) -> None:
    from baresip import BaresipError

    with contextlib.suppress(BaresipError):
        await call.reject()
