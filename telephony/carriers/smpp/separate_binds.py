"""Keep two binds up for SMSCs that have no transceiver: a transmitter that submits, and a receiver."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from telephony.carriers.smpp import protocol
from telephony.carriers.smpp.hooks import Hooks, Receiver
from telephony.carriers.smpp.link import Address, Link
from telephony.carriers.smpp.message import OutgoingSms


class SeparateLinks:
    """A transmitter and a receiver that are used like one `Link`. Each reconnects by itself.

    Nothing is submitted while the receiver is not bound: if it can never be bound, no SMS would ever get a receipt.
    """

    def __init__(
        self, name: str, address: Address, hooks: Hooks, *, receiver_port: int | None = None
    ) -> None:
        # Receipts come over the receiver. So a missing receipt proves something only for the time for which the receiver was
        # bound.
        self._transmitter = Link(
            f"{name}-tx",
            address,
            replace(hooks, bound=lambda seconds, after_refusal: None),
            bind_command=protocol.BIND_TRANSMITTER,
        )
        self._receiver = Link(
            f"{name}-rx",
            replace(address, port=receiver_port or address.port),
            hooks,
            bind_command=protocol.BIND_RECEIVER,
        )

    def start(self) -> None:
        self._receiver.start()
        self._transmitter.start()

    def stop(self, *, seconds: float) -> None:
        """Wait for outstanding responses, unbind and disconnect. The receiver stays until the transmitter has ended."""
        until = time.monotonic() + seconds
        self._transmitter.stop(seconds=seconds)
        self._receiver.stop(seconds=max(1.0, until - time.monotonic()))

    def is_bound(self, *, within: float = 0) -> bool:
        until = time.monotonic() + within
        if not self._receiver.is_bound(within=within):
            return False
        return self._transmitter.is_bound(within=max(0.0, until - time.monotonic()))

    def submit(self, messages: Sequence[OutgoingSms]) -> None:
        self._transmitter.submit(messages)

    def acknowledge(self, session: Receiver, pdus: Sequence[protocol.Pdu], status: int = protocol.OK) -> None:
        # Some SMSCs deliver over the transmitter, too. A session belongs to the thread of its link.
        link = self._transmitter if self._transmitter.owns(session) else self._receiver
        link.acknowledge(session, pdus, status)

    @property
    def refusal(self) -> int:
        return self._transmitter.refusal or self._receiver.refusal

    @property
    def state(self) -> str:
        """Return the state of both links in words, or only of the link that is not bound."""
        for role, link in (("receiver", self._receiver), ("transmitter", self._transmitter)):
            if not link.is_bound():
                return f"{role} {link.state}"
        return f"transmitter {self._transmitter.state}; receiver bound"
