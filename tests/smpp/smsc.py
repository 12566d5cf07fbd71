"""An SMSC in a process of its own: `smpp34.Server`, with a journal of all it took, doubles included.

Each message is in the journal before it is answered, so what the journal has not was not taken, even when the process
is killed. A new process with the same journal goes on where the last one was, and sends the receipts that it owes.
What it does with a message depends on the last four digits of its recipient (`FATES`).

python -m tests.smpp.smsc PORT JOURNAL '{"ids": "hex-decimal"}'; commands are lines of JSON on stdin.
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
}
STATES = {"DELIVRD": 2, "EXPIRED": 3, "DELETED": 4, "UNDELIV": 5, "UNKNOWN": 7, "REJECTD": 8}
# smpp34 has these too, but not where a type checker sees them.
RECEIPTED_MESSAGE_ID, MESSAGE_STATE = 0x001E, 0x0427
ESME_RSYSERR, ESME_RINVDSTADR, ESME_RMSGQFUL, ESME_RTHROTTLED = 0x08, 0x0B, 0x14, 0x58
AT_ONCE = 100  # receipts that wait for their acknowledgement


@dataclass
class Behaviour:
    """`ids`: plain, zeros (in receipts), hex-decimal, decimal-hex. `receipts`: text, tlv, none."""

    ids: str = "plain"
    receipts: str = "text"
    receipt_delay: float = 0.0
    answer_delay: float = 0.0
    limit: float = 0.0  # messages a second, beyond which it throttles; 0: none


class Smsc:
    def __init__(self, port: int, journal: Path, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.server = smpp34.Server("127.0.0.1", port, system_id="test", inbound_capacity=10_000)
        self.esme: smpp34.Esme | None = None
        self.taken = 0
        self.refused_once: set[tuple[str, bytes]] = set()
        self.owed: dict[int, dict[str, Any]] = {}
        self.at_once = asyncio.Semaphore(AT_ONCE)
        self.tasks: set[asyncio.Task[None]] = set()
        self.second, self.in_second = 0.0, 0
        if journal.exists():
            for line in journal.read_text().splitlines():
                entry = json.loads(line)
                if "n" in entry:
                    self.taken = entry["n"]
                    self.owed[entry["n"]] = entry
                elif "done" in entry:
                    self.owed.pop(entry["done"], None)
        self.journal: TextIO = journal.open("a")

    async def serve(self) -> None:
        await self.server.start()
        self.start(self.commands())
        print("ready", flush=True)
        while True:
            event = await self.server.next()
            if isinstance(event, smpp34.Esme):
                self.esme = event
                self.write({"bound": time.time()})
                for entry in self.owed.values():
                    self.start(self.send_receipt(entry))
            elif isinstance(event, smpp34.SubmitSmEvent):
                if self.behaviour.answer_delay:
                    self.start(self.later(event))
                else:
                    self.take(event)
            else:
                self.write({"unbound": time.time()})

    async def later(self, event: smpp34.SubmitSmEvent) -> None:
        await asyncio.sleep(self.behaviour.answer_delay)
        self.take(event)

    def take(self, event: smpp34.SubmitSmEvent) -> None:
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
        if self.is_too_fast():
            self.write({"throttled": time.time()})
            return event.reject(ESME_RTHROTTLED)
        self.taken += 1
        entry = {
            "n": self.taken,
            "at": time.time(),
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
        if fate == "no answer":
            self.tasks.add(asyncio.ensure_future(asyncio.sleep(3600, event)))  # type: ignore[arg-type]
        else:
            event.accept(self.id_in_answer(self.taken))
        if event.registered_delivery and self.behaviour.receipts != "none" and fate != "no receipt":
            self.owed[self.taken] = entry
            self.start(self.send_receipt(entry))
        return None

    def is_too_fast(self) -> bool:
        now = time.monotonic()
        if now - self.second >= 1:
            self.second, self.in_second = now, 0
        self.in_second += 1
        return bool(self.behaviour.limit) and self.in_second > self.behaviour.limit

    async def send_receipt(self, entry: dict[str, Any], then: smpp34.SubmitSmEvent | None = None) -> None:
        await asyncio.sleep(self.behaviour.receipt_delay)
        fate = entry["fate"]
        state = fate if fate in STATES else "DELIVRD"
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
            await asyncio.sleep(0.3)
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
        """Whether it was acknowledged."""
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
            if "text" in command:
                taken = await self.deliver(
                    source=command["from"],
                    to=command["to"],
                    body=command["text"].encode("utf-16-be"),
                    coding=8,
                )
                self.write({"inbound": command["text"], "acknowledged": taken})
            elif "unbind" in command and self.esme is not None:
                await self.esme.unbind()
            else:
                vars(self.behaviour).update(command)

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
