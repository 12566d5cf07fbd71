"""The callbacks from a session to the carrier that opened it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Protocol

from telephony.carriers.refusals import Meaning
from telephony.carriers.smpp.message import OutgoingSms
from telephony.carriers.smpp.protocol import OK, Pdu


class Receiver(Protocol):
    """The session over which PDUs arrive, and over which they are acknowledged."""

    def acknowledge(self, pdus: Iterable[Pdu], status: int = OK) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """Callbacks, called from the thread of the link. None of them may block, except `withdrawn`.

    `answered`: counts the submit responses by their meaning.
    `settled`: messages without outstanding parts. It is called again for a message whose response comes late.
    `unwritten`: messages of which certainly nothing was written.
    `received`: inbound `deliver_sm` and `data_sm` PDUs, to be acknowledged once they are stored.
    `held`: whether writing is suspended at present.
    `slot`: takes the next slot of the pace, and returns the seconds until that slot.
    `bound`: called periodically with the seconds since the bind, or since iris last refused an inbound PDU if that is
    later. The second argument says whether iris has refused one.
    `withdrawn`: returns which of these unwritten messages must not be written any more, by their keys. It asks the database,
    so it is called in a thread of its own.
    """

    answered: Callable[[Counter[Meaning]], None]
    settled: Callable[[list[OutgoingSms]], None]
    unwritten: Callable[[list[OutgoingSms]], None]
    received: Callable[[Receiver, list[Pdu]], None]
    held: Callable[[], bool]
    slot: Callable[[], float]
    bound: Callable[[float, bool], None]
    withdrawn: Callable[[Collection[str]], Collection[str]] = lambda keys: ()
