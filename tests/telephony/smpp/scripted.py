"""Script an SMSC in this process, and let a real carrier, session and event writer talk to it."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from telephony.carriers import get_carrier
from telephony.carriers.smpp import SmppCarrier
from telephony.carriers.smpp import carrier as smpp_carrier
from telephony.engine.event_writer import EventWriter
from telephony.models import Delivery, DeliveryStatus, InboundMessage
from tests.factories import make_delivery, make_hold, make_trunk
from tests.live import wait_for
from tests.telephony.smpp.carriers import sms
from tests.telephony.smpp.processes import DEADLINE

RECEIVER, TRANSMITTER, TRANSCEIVER = 0x01, 0x02, 0x09
SUBMIT, DELIVER, UNBIND, ENQUIRE, CANCEL, DATA = 0x04, 0x05, 0x06, 0x15, 0x08, 0x103
ANSWER = 0x80000000
Reply = Callable[["Connection"], None]
DELIVERED = ("COMPLETED", "", "DELIVRD", 1)


def pdu(command: int, sequence: int, *, status: int = 0, body: bytes = b"") -> bytes:
    return struct.pack(">IIII", 16 + len(body), command, status, sequence) + body


def tlv(tag: int, value: bytes) -> bytes:
    return struct.pack(">HH", tag, len(value)) + value


@dataclass
class Submitted:
    """A submit_sm as the SMSC sees it. `n` counts them from 1, `part` is its place in a long SMS, 0 in a short one."""

    n: int
    sequence: int
    source: str
    to: str
    esm_class: int
    coding: int
    body: bytes

    @property
    def name(self) -> str:
        return self.to[-4:]

    @property
    def part(self) -> int:
        return self.body[5] if self.esm_class & 0x40 else 0

    @property
    def parts(self) -> int:
        return self.body[4] if self.esm_class & 0x40 else 1


def read_submit(n: int, sequence: int, body: bytes) -> Submitted:
    _, _, rest = body.partition(b"\0")
    source, _, rest = rest[2:].partition(b"\0")
    to, _, rest = rest[2:].partition(b"\0")
    esm_class, rest = rest[0], rest[3:]
    for _ in range(2):  # schedule and validity
        _, _, rest = rest.partition(b"\0")
    coding, length = rest[2], rest[4]
    return Submitted(n, sequence, source.decode(), to.decode(), esm_class, coding, rest[5 : 5 + length])


class Connection:
    """One connection from the SMSC's side."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.role = 0
        self._sequence = 0
        self._lock = threading.Lock()

    def read(self) -> tuple[int, int, int, bytes]:
        length, command, status, sequence = struct.unpack(">IIII", self._exactly(16))
        return command, status, sequence, self._exactly(length - 16)

    def write(self, data: bytes) -> None:
        with self._lock:
            self.socket.sendall(data)

    def push(self, command: int, body: bytes) -> None:
        self._sequence += 1
        self.write(pdu(command, self._sequence, body=body))

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data


class ScriptedSmsc:
    """Answers each submit_sm with the replies of `script`. Receipts go to the receiver, if there is one."""

    def __init__(self, script: Callable[[Submitted], Iterable[Reply]]) -> None:
        self.script = script
        self.submitted: list[Submitted] = []
        self.acknowledged: list[tuple[int, int]] = []  # command and status of the responses to what it pushed
        self.connections: list[Connection] = []
        self.cancelled = 0
        self.before_bind: list[Reply] = []  # what it sends before its response to the next bind
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()

    def hang_up(self) -> None:
        for connection in self.connections:
            with suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RDWR)
            connection.socket.close()
        self.connections.clear()

    def bound(self, *roles: int) -> list[Connection]:
        return [one for one in list(self.connections) if one.role in roles]

    def push(self, command: int, body: bytes) -> None:
        """Send something inbound over the bind that receives."""
        wait_for(lambda: self.bound(RECEIVER, TRANSCEIVER), seconds=DEADLINE)
        self.bound(RECEIVER, TRANSCEIVER)[-1].push(command, body)

    def do(self, *replies: Reply) -> None:
        for reply in replies:
            reply(self.bound(RECEIVER, TRANSCEIVER)[-1])

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(Connection(accepted),), daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        with suppress(EOFError, OSError):
            while True:
                command, status, sequence, body = connection.read()
                if command & ANSWER:
                    self.acknowledged.append((command, status))
                    continue
                if command == SUBMIT:
                    one = read_submit(len(self.submitted) + 1, sequence, body)
                    self.submitted.append(one)
                    for reply in self.script(one):
                        reply(connection)
                    continue
                if command == CANCEL:
                    self.cancelled += 1
                    connection.write(pdu(command | ANSWER, sequence, status=0x11))
                    continue
                is_bind = command in (RECEIVER, TRANSMITTER, TRANSCEIVER)
                while is_bind and self.before_bind:
                    self.before_bind.pop(0)(connection)
                connection.write(pdu(command | ANSWER, sequence, body=b"far\0" if is_bind else b""))
                if is_bind:
                    connection.role = command
                    self.connections.append(connection)
                if command == UNBIND:
                    return


def accept(one: Submitted, ref: str) -> Reply:
    return lambda connection: connection.write(
        pdu(SUBMIT | ANSWER, one.sequence, body=ref.encode("latin-1") + b"\0")
    )


def refuse(one: Submitted, status: int) -> Reply:
    return lambda connection: connection.write(pdu(SUBMIT | ANSWER, one.sequence, status=status))


def text_of_receipt(ref: str, state: str = "DELIVRD", *, error: str = "000") -> str:
    return f"id:{ref} sub:001 dlvrd:001 submit date:2611241200 done date:2611241201 stat:{state} err:{error} text:"


def inbound(
    sender: str,
    octets: bytes,
    *,
    to: str = "31001",
    coding: int = 0,
    esm_class: int = 0,
    tlvs: bytes = b"",
    ton: int = 1,
) -> bytes:
    """Return the body of a deliver_sm."""
    return (
        b"\0" + bytes([ton, 1]) + sender.encode() + b"\0" + bytes([0, 1]) + to.encode() + b"\0"
        + bytes([esm_class, 0, 0]) + b"\0\0" + bytes([0, 0, coding, 0, len(octets)]) + octets + tlvs
    )  # fmt: skip


def data_body(
    sender: str, *, to: str = "31001", esm_class: int = 0, coding: int = 0, tlvs: bytes = b""
) -> bytes:
    """Return the body of a data_sm."""
    return (
        b"\0" + bytes([1, 1]) + sender.encode() + b"\0" + bytes([0, 1]) + to.encode() + b"\0"
        + bytes([esm_class, 0, coding]) + tlvs
    )  # fmt: skip


def receipt(
    one: Submitted, text: str | bytes, *, coding: int = 0, esm_class: int = 4, tlvs: bytes = b""
) -> Reply:
    octets = text.encode("latin-1") if isinstance(text, str) else text
    return lambda connection: connection.push(
        DELIVER, inbound(one.to, octets, coding=coding, esm_class=esm_class, tlvs=tlvs)
    )


@dataclass
class OpenTrunk:
    """A trunk that is bound to an SMSC, with everything that it reports stored by an event writer."""

    carrier: SmppCarrier
    writer: EventWriter
    deliveries: dict[str, Delivery] = field(default_factory=dict)

    def send(self, *names: str, text: str = "Namaste", **fields: Any) -> None:
        """Submit one SMS for each name: the last four digits of its number, by which the script knows it."""
        batch = []
        for name in names:
            credits = fields.pop("credit_limit", self.carrier.reports_on(text))
            hold = make_hold(amount=credits)
            delivery = make_delivery(
                owner=hold.account,
                hold=hold,
                credit_limit=credits,
                trunk=make_trunk("smsc"),
                status=DeliveryStatus.SUBMITTING,
                attempts=1,
                text=text,
                **{"to": f"+977984100{name}", **fields},
            )
            Delivery.objects.filter(pk=delivery.pk).update(claimed_at=delivery.created_at)
            self.deliveries[name] = delivery
            batch.append(sms(delivery.pk, to=delivery.to, text=text))
        self.carrier.submit(batch)

    def outcome(self, name: str) -> tuple[str, str, str, int]:
        """Return status, cause, the carrier's text and credits."""
        row = Delivery.objects.get(pk=self.deliveries[name].pk)
        return DeliveryStatus(row.status).name, row.cause, row.carrier_text, int(row.credits)

    def wait(self, condition: Callable[[], object]) -> None:
        wait_for(condition, seconds=DEADLINE)

    def wait_ended(self, *names: str) -> None:
        keys = [self.deliveries[name].pk for name in names or self.deliveries]
        self.wait(
            lambda: not Delivery.objects.filter(pk__in=keys, status__lt=DeliveryStatus.COMPLETED).exists()
        )

    def wait_submitted(self, *names: str) -> None:
        keys = [self.deliveries[name].pk for name in names or self.deliveries]
        self.wait(
            lambda: not Delivery.objects.filter(pk__in=keys, status__lt=DeliveryStatus.SUBMITTED).exists()
        )

    def said(self) -> list[str]:
        return list(InboundMessage.objects.order_by("id").values_list("text", flat=True))


@dataclass
class World(OpenTrunk):
    """An open trunk, and its scripted SMSC."""

    smsc: ScriptedSmsc = field(kw_only=True)

    def wait_acknowledged(self, count: int) -> None:
        self.wait(lambda: len(self.smsc.acknowledged) >= count)


@contextmanager
def world(settings: Any, script: Callable[[Submitted], Iterable[Reply]], **options: Any) -> Iterator[World]:
    """Open the trunk `smsc` of the fixture `trunk` with these options, bound to an SMSC that follows `script`."""
    smsc = ScriptedSmsc(script)
    try:
        with open_trunk(settings, smsc.port, **options) as opened:
            yield World(opened.carrier, opened.writer, smsc=smsc)
    finally:
        smsc.close()


@contextmanager
def open_trunk(settings: Any, port: int, **options: Any) -> Iterator[OpenTrunk]:
    """Open the trunk `smsc` of the fixture `trunk` with these options, bound to the SMSC at this port."""
    settings.CARRIERS["smsc"]["OPTIONS"] = {
        "host": "127.0.0.1", "port": port, "system_id": "iris", "source": "31001", **options,
    }  # fmt: skip
    get_carrier.cache_clear()
    carrier = get_carrier("smsc")
    assert isinstance(carrier, SmppCarrier)
    writer = EventWriter("smsc", carrier)
    close_seconds, smpp_carrier.CLOSE_SECONDS = smpp_carrier.CLOSE_SECONDS, 1.5
    carrier.open(writer.put)
    try:
        link = carrier._link
        assert link is not None
        assert link.is_bound(within=DEADLINE)
        yield OpenTrunk(carrier, writer)
    finally:
        carrier.close()
        writer.close()
        smpp_carrier.CLOSE_SECONDS = close_seconds
        get_carrier.cache_clear()
