"""What a session tells, and asks, whoever has opened it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from telephony.carriers.refusals import Meaning
from telephony.carriers.smpp.message import Message
from telephony.carriers.smpp.protocol import Pdu

if TYPE_CHECKING:
    from telephony.carriers.smpp.session import Session


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What is called from the thread of the link. None of them may wait.

    `answered`: what the answers to submissions meant, and how often. `settled`: messages of which no part is waiting any
    more; one whose answer comes late is settled once more. `unwritten`: messages of which surely nothing was written.
    `received`: each `deliver_sm`, to be acknowledged once it is stored. `held`: whether nothing may be written for now.
    `slot`: seconds until the next PDU may be. `bound`: again and again, for how many seconds we have been, and have
    refused nothing that came.
    """

    answered: Callable[[Counter[Meaning]], None]
    settled: Callable[[list[Message]], None]
    unwritten: Callable[[list[Message]], None]
    received: Callable[[Session, list[Pdu]], None]
    held: Callable[[], bool]
    slot: Callable[[], float]
    bound: Callable[[float], None]
