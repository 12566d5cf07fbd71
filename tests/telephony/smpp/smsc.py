"""Run an SMSC in a process of its own: `smpp34.Server`, with a journal of all accepted messages, duplicates included.

The journal has each message before its response is sent. So a message that is not in it was not accepted, even if the
process is killed. A new process with the same journal continues it and sends the outstanding receipts. The last four
digits of the recipient decide the fate of a message (`FATES`).

Phones whose fate is `off` get nothing until the SMSC is told to switch them on; the journal then has an entry `shown`.
With `takes_back` the SMSC supports cancel_sm and the replace_if_present_flag (`front`).

python -m tests.telephony.smpp.smsc PORT JOURNAL '{"ids": "hex-decimal"}'; commands are lines of JSON on stdin.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import smpp34

from tests.telephony.smpp.front import Front

FATES = {
    "9911": "UNDELIV",
    "9912": "REJECTD",
    "9913": "EXPIRED",
    "9914": "DELETED",
    "9915": "UNKNOWN",
    "9916": "twice",
    "9917": "no such number",
    "9918": "full at first",
    "9919": "receipt first",
    "9920": "no receipt",
    "9921": "no answer",
    "9922": "system error",
    "9923": "second part throttled at first",
    "9924": "off",
    "9925": "off, no answer at first",
}
STATES = {"DELIVRD": 2, "EXPIRED": 3, "DELETED": 4, "UNDELIV": 5, "UNKNOWN": 7, "REJECTD": 8}
# smpp34 defines these too, but type checkers do not see them.
RECEIPTED_MESSAGE_ID, MESSAGE_STATE = 0x001E, 0x0427
ESME_RSYSERR, ESME_RINVDSTADR, ESME_RMSGQFUL, ESME_RTHROTTLED = 0x08, 0x0B, 0x14, 0x58
AT_ONCE = 100  # maximum number of unacknowledged receipts


def is_off(entry: dict[str, Any]) -> bool:
    """Return whether the phone of this message is switched off."""
    return str(entry["fate"]).startswith("off")


@dataclass
class Behaviour:
    """How the SMSC behaves. `ids`: plain, zeros (in receipts), hex-decimal, decimal-hex. `receipts`: text, tlv, none."""

    ids: str = "plain"
    receipts: str = "text"
    receipt_delay: float = 0.0
    answer_delay: float = 0.0
    room: int | None = None  # number of messages it still accepts before it throttles
    holds: bool = False  # messages are read, but neither accepted nor answered until this is reset
    # Words: cancel, replace, silence (no response to cancel_sm), says=58 (respond with this status).
    takes_back: str = ""


class Smsc:
    def __init__(self, port: int, journal: Path, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.front = Front(port, behaviour.takes_back, self.cancel) if behaviour.takes_back else None
        inner = self.front.inner_port if self.front else port
        self.server = smpp34.Server("127.0.0.1", inner, system_id="test", inbound_capacity=10_000)
        self.off: dict[int, dict[str, Any]] = {}  # messages that wait for phones that are switched off
        self.unanswered: set[str] = set()
        self.esme: smpp34.Esme | None = None
        self.bound = asyncio.Event()
        self.taken = 0
        self.refused_once: set[tuple[str, bytes]] = set()
        self.owed: dict[int, dict[str, Any]] = {}
        self.at_once = asyncio.Semaphore(AT_ONCE)
        self.tasks: set[asyncio.Task[None]] = set()
        self.held: list[smpp34.SubmitSmEvent] = []
        if journal.exists():
            for line in journal.read_text().splitlines():
                entry = json.loads(line)
                if "n" in entry:
                    self.taken = entry["n"]
                    self.wait_for_phone(entry) if is_off(entry) else self.owed.update({entry["n"]: entry})
                elif "done" in entry:
                    self.owed.pop(entry["done"], None)
                elif gone := {"cancelled", "replaced", "shown"} & entry.keys():
                    self.off.pop(entry[gone.pop()], None)
        self.journal: TextIO = journal.open("a")

    async def serve(self) -> None:
        await self.server.start()
        if self.front:
            await self.front.start()
        self.start(self.commands())
        print("ready", flush=True)
        while True:
            event = await self.server.next()
            if isinstance(event, smpp34.Esme):
                self.esme = event
                self.bound.set()
                self.write({"bound": time.time()})
                for entry in self.owed.values():
                    self.start(self.send_receipt(entry))
            elif isinstance(event, smpp34.SubmitSmEvent):
                if self.behaviour.holds:
                    self.held.append(event)
                    self.write({"received": event.destination_addr})
                elif self.behaviour.answer_delay:
                    self.start(self.later(event))
                else:
                    self.take(event)
            else:
                self.write({"unbound": time.time()})

    async def later(self, event: smpp34.SubmitSmEvent) -> None:
        received = time.time()
        await asyncio.sleep(self.behaviour.answer_delay)
        self.take(event, received=received)

    def take(self, event: smpp34.SubmitSmEvent, *, received: float | None = None) -> None:
        to, body = event.destination_addr, event.short_message
        fate = FATES.get(to[-4:], "DELIVRD")
        if fate == "no such number":
            return event.reject(ESME_RINVDSTADR)
        if fate == "system error":
            return event.reject(ESME_RSYSERR)
        part = body[5] if event.esm_class & 0x40 else 0
        if (fate == "full at first" or (fate.startswith("second part") and part == 2)) and (
            to,
            body,
        ) not in self.refused_once:
            self.refused_once.add((to, body))
            return event.reject(ESME_RMSGQFUL if fate == "full at first" else ESME_RTHROTTLED)
        if self.behaviour.room is not None and self.behaviour.room <= 0:
            self.write({"throttled": time.time()})
            return event.reject(ESME_RTHROTTLED)
        if self.front and self.front.replaces(event):
            for n in [
                n for n, old in self.off.items() if (old["from"], old["to"]) == (event.source_addr, to)
            ][:1]:
                del self.off[n]
                self.write({"replaced": n})
        if self.behaviour.room is not None:
            self.behaviour.room -= 1
        self.taken += 1
        entry = {
            "n": self.taken,
            "at": received or time.time(),
            "to": to,
            "from": event.source_addr,
            "addresses": [
                event.source_addr_ton,
                event.source_addr_npi,
                event.dest_addr_ton,
                event.dest_addr_npi,
            ],
            "esm_class": event.esm_class,
            "coding": event.data_coding,
            "registered": event.registered_delivery,
            "body": body.hex(),
            "tlvs": {str(tlv.tag): tlv.value.hex() for tlv in event.tlvs},
            "fate": fate,
        }
        self.write(entry)
        if fate == "receipt first":
            self.start(self.send_receipt(entry, then=event))
            return None
        if fate == "no answer" or (fate == "off, no answer at first" and to not in self.unanswered):
            self.unanswered.add(to)
            self.tasks.add(asyncio.ensure_future(asyncio.sleep(3600, event)))  # type: ignore[arg-type]
        else:
            event.accept(self.id_in_answer(self.taken))
        if is_off(entry):
            self.wait_for_phone(entry)
        elif event.registered_delivery and self.behaviour.receipts != "none" and fate != "no receipt":
            self.owed[self.taken] = entry
            self.start(self.send_receipt(entry))
        return None

    def wait_for_phone(self, entry: dict[str, Any]) -> None:
        self.off[entry["n"]] = entry
        self.unanswered.add(entry["to"])

    def cancel(self, source: str, destination: str) -> bool:
        """Cancel everything that waits for a phone. Return whether there was anything."""
        self.write({"asked to cancel": destination})
        found = [n for n, entry in self.off.items() if (entry["from"], entry["to"]) == (source, destination)]
        for n in found:
            self.write({"cancelled": n})
            self.start(self.send_receipt(self.off.pop(n), state="DELETED"))
        return bool(found)

    def switch_on(self) -> None:
        for n, entry in list(self.off.items()):
            del self.off[n]
            self.write({"shown": n, "to": entry["to"]})
            self.owed[n] = entry
            self.start(self.send_receipt(entry))

    async def send_receipt(
        self, entry: dict[str, Any], *, state: str = "", then: smpp34.SubmitSmEvent | None = None
    ) -> None:
        await asyncio.sleep(self.behaviour.receipt_delay)
        fate = entry["fate"]
        state = state or (fate if fate in STATES else "DELIVRD")
        written = self.id_in_receipt(entry["n"])
        if self.behaviour.receipts == "tlv":
            text, tlvs = (
                b"",
                [
                    smpp34.Tlv(RECEIPTED_MESSAGE_ID, self.id_in_answer(entry["n"]).encode() + b"\0"),
                    smpp34.Tlv(MESSAGE_STATE, bytes([STATES[state]])),
                ],
            )
        else:
            text, tlvs = (
                (
                    f"id:{written} sub:001 dlvrd:001 submit date:2611241200 done date:2611241201 stat:{state} err:000 text:"
                ).encode(),
                [],
            )
        for _ in range(2 if fate == "twice" else 1):
            if not await self.deliver(
                source=entry["to"], to=entry["from"], body=text, esm_class=4, tlvs=tlvs
            ):
                return
        self.owed.pop(entry["n"], None)
        self.write({"done": entry["n"]})
        if then is not None:
            then.accept(self.id_in_answer(entry["n"]))

    async def deliver(
        self,
        *,
        source: str,
        to: str,
        body: bytes,
        esm_class: int = 0,
        coding: int = 0,
        tlvs: list[smpp34.Tlv] | None = None,
    ) -> bool:
        """Send a deliver_sm. Return whether it was acknowledged."""
        async with self.at_once:
            if self.esme is None:
                return False
            try:
                answer = await self.esme.deliver_sm(
                    to, body, source_addr=source, source_addr_ton=1, source_addr_npi=1,
                    esm_class=esm_class, data_coding=coding, tlvs=tlvs or [],
                )  # fmt: skip
            except smpp34.SmppError:
                return False
            return answer.is_success

    async def commands(self) -> None:
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
        )
        while line := await reader.readline():
            command = json.loads(line)
            number = command.pop("command")
            if "body" in command:
                self.start(self.deliver_inbound(command))
            elif "switch_on" in command:
                self.switch_on()
            elif "unbind" in command and self.esme is not None:
                await self.esme.unbind()
            else:
                vars(self.behaviour).update(command)
                while self.held and not self.behaviour.holds:
                    self.take(self.held.pop(0))
            self.write({"told": number})

    async def deliver_inbound(self, command: dict[str, Any]) -> None:
        await self.bound.wait()
        acknowledged = await self.deliver(
            source=command["from"],
            to=command["to"],
            body=bytes.fromhex(command["body"]),
            esm_class=command["esm_class"],
            coding=command["coding"],
            tlvs=[smpp34.Tlv(int(tag), bytes.fromhex(value)) for tag, value in command["tlvs"].items()],
        )
        self.write({"inbound": command["body"], "acknowledged": acknowledged, "at": time.time()})

    def id_in_answer(self, n: int) -> str:
        return {"hex-decimal": f"{n:08X}", "decimal-hex": str(n)}.get(self.behaviour.ids, str(n))

    def id_in_receipt(self, n: int) -> str:
        return {"decimal-hex": f"{n:X}", "zeros": f"{n:012d}"}.get(self.behaviour.ids, str(n))

    def write(self, entry: dict[str, Any]) -> None:
        self.journal.write(json.dumps(entry) + "\n")
        self.journal.flush()

    def start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


if __name__ == "__main__":
    port, journal, behaviour = sys.argv[1:]

    async def main() -> None:
        await Smsc(int(port), Path(journal), Behaviour(**json.loads(behaviour))).serve()

    asyncio.run(main())
