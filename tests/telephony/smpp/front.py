"""Add what smpp34's server does not support: cancel_sm, and the replace_if_present_flag.

This is a relay in front of that server, in the process of the SMSC. It passes on everything else unchanged.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from contextlib import suppress

import smpp34

from tests.ports import free_port

SUBMIT_SM, CANCEL_SM, ANSWER = 0x04, 0x08, 0x80000000
ESME_ROK, ESME_RINVCMDID, ESME_RCANCELFAIL = 0x00, 0x03, 0x11


class Front:
    """The relay. `cancel(source, destination)` cancels pending SMS, and returns whether there were any."""

    def __init__(self, port: int, takes_back: str, cancel: Callable[[str, str], bool]) -> None:
        self.inner_port = free_port()
        self._port = port
        self._cancel = cancel
        self._knows = takes_back.split()
        # The status of the response to every cancel_sm, if the test fixes it.
        self._says = next((int(word[5:], 16) for word in self._knows if word.startswith("says=")), None)
        self._replacing: set[tuple[str, str, bytes]] = set()

    async def start(self) -> None:
        await asyncio.start_server(self._relay, "127.0.0.1", self._port)

    def replaces(self, event: smpp34.SubmitSmEvent) -> bool:
        """Return whether this submission has the replace_if_present_flag."""
        key = (event.source_addr, event.destination_addr, event.short_message)
        if key not in self._replacing:
            return False
        self._replacing.remove(key)
        return True

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.inner_port)
        back = asyncio.ensure_future(_pass_on(inner_reader, writer))
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                head = await reader.readexactly(16)
                length, command, _, sequence = struct.unpack(">IIII", head)
                pdu = head + await reader.readexactly(length - 16)
                if command == CANCEL_SM:
                    status = self._cancelled(pdu[16:])
                    if "silence" not in self._knows:
                        writer.write(struct.pack(">IIII", 16, CANCEL_SM | ANSWER, status, sequence))
                    continue
                if command == SUBMIT_SM and "replace" in self._knows:
                    self._note_flag(pdu)
                inner_writer.write(pdu)
        inner_writer.close()
        await back

    def _cancelled(self, body: bytes) -> int:
        if self._says is not None:
            return self._says
        if "cancel" not in self._knows:
            return ESME_RINVCMDID
        _, _, rest = body.split(b"\0", 2)  # service_type, message_id
        source, rest = rest[2:].split(b"\0", 1)
        destination = rest[2:].split(b"\0", 1)[0]
        return ESME_ROK if self._cancel(source.decode(), destination.decode()) else ESME_RCANCELFAIL

    def _note_flag(self, pdu: bytes) -> None:
        message = smpp34.decode(pdu)
        if isinstance(message, smpp34.SubmitSm) and message.replace_if_present_flag:
            self._replacing.add((message.source_addr, message.destination_addr, message.short_message))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()
