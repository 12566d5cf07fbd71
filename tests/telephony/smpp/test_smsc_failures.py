"""Test misbehaving SMSCs, which are scripted here because no real server can be made to do this."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from telephony.carriers.base import Accepted, Later, Unknown
from telephony.carriers.errors import Misconfigured, Unreachable
from telephony.carriers.refusals import MAX_REFUSALS_IN_A_ROW, Meaning
from telephony.carriers.smpp import carrier as smpp_carrier
from telephony.carriers.smpp import link as smpp_link
from telephony.carriers.smpp import pace as smpp_pace
from tests.live import wait_for
from tests.telephony.smpp.carriers import carrier, sms
from tests.telephony.smpp.processes import DEADLINE

BIND, SUBMIT, UNBIND, ENQUIRE, QUERY = 0x09, 0x04, 0x06, 0x15, 0x03
ANSWER = 0x80000000
Pdu = tuple[int, int, int, bytes]


def pdu(command: int, sequence: int, *, status: int = 0, body: bytes = b"") -> bytes:
    return struct.pack(">IIII", 16 + len(body), command, status, sequence) + body


class Peer:
    """One connection from the SMSC's side. `seen` collects the received PDUs of all connections."""

    def __init__(self, connection: socket.socket, seen: list[Pdu]) -> None:
        self.connection, self.seen = connection, seen

    def read(self) -> Pdu:
        head = self._exactly(16)
        length, command, status, sequence = struct.unpack(">IIII", head)
        found = (command, status, sequence, self._exactly(length - 16))
        self.seen.append(found)
        return found

    def write(self, data: bytes) -> None:
        self.connection.sendall(data)

    def bind(self, status: int = 0) -> None:
        _, _, sequence, _ = self.read()
        self.write(pdu(BIND | ANSWER, sequence, status=status, body=b"" if status else b"far\0"))

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.connection.recv(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data


@contextmanager
def scripted_smsc(*scripts: Callable[[Peer], None]) -> Iterator[tuple[int, list[Pdu]]]:
    """Run an SMSC. Each connection runs the next script, and the last one repeatedly. Yield its port and received PDUs."""
    seen: list[Pdu] = []
    listener = socket.create_server(("127.0.0.1", 0))
    connections: list[socket.socket] = []

    def serve() -> None:
        count = 0
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connections.append(connection)
            script = scripts[min(count, len(scripts) - 1)]
            count += 1
            threading.Thread(target=play, args=(script, connection), daemon=True).start()

    def play(script: Callable[[Peer], None], connection: socket.socket) -> None:
        with connection, suppress(EOFError, OSError):
            script(Peer(connection, seen))

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1], seen
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in connections:
            connection.close()


def well_behaved(peer: Peer) -> None:
    peer.bind()
    while True:
        command, _, sequence, _ = peer.read()
        peer.write(pdu(command | ANSWER, sequence, body=b"id1\0" if command == SUBMIT else b""))
        if command == UNBIND:
            return


@pytest.fixture(autouse=True)
def _timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smpp_carrier, "BIND_SECONDS", DEADLINE)
    monkeypatch.setattr(smpp_carrier, "CLOSE_SECONDS", 1.5)


@pytest.fixture
def no_bind_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for a bind that will not come."""
    monkeypatch.setattr(smpp_carrier, "BIND_SECONDS", 0.1)


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (0x0E, Misconfigured, "ESME_RINVPASWD"),
        (0x0F, Misconfigured, "ESME_RINVSYSID"),
        (0x0D, Unreachable, "ESME_RBINDFAIL"),
        (0x405, Unreachable, "0x405"),
    ],
)
def test_status_names_the_reason_of_a_refused_bind(
    status: int, error: type[Exception], words: str, no_bind_wait: None
) -> None:
    with scripted_smsc(lambda peer: peer.bind(status)) as (port, _), carrier(port) as it:
        it.wait(lambda: words in it.carrier.status())
        with pytest.raises(error, match=words):
            it.carrier.submit([sms(1)])
        assert words in it.carrier.status()


def test_submit_raises_unreachable_if_nobody_listens(no_bind_wait: None) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        with (
            carrier(reserved.getsockname()[1]) as it,
            pytest.raises(Unreachable, match="not bound to 127.0.0.1"),
        ):
            it.carrier.submit([sms(1)])


def test_password_is_sent_in_the_bind_and_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    with scripted_smsc(well_behaved) as (port, seen), carrier(port, system_type="VMA") as it:
        it.send(sms(1))
        assert seen[0][3] == b"iris\0secret\0VMA\0\x34\0\0\0"
        assert "secret" not in it.carrier.status() + caplog.text


def test_silent_connection_is_closed_after_an_enquire_link() -> None:
    def silent(peer: Peer) -> None:
        peer.bind()
        while True:
            peer.read()

    with (
        scripted_smsc(silent, well_behaved) as (port, seen),
        carrier(port, enquire_seconds=1, answer_seconds=3) as it,
    ):
        wait_for(lambda: [command for command, *_ in seen].count(BIND) == 2, seconds=DEADLINE)
        assert [command for command, *_ in seen][:2] == [BIND, ENQUIRE]
        assert isinstance(it.send(sms(1))["1"], Accepted)


def test_requests_of_the_smsc_are_answered() -> None:
    answers: list[Pdu] = []

    def asking(peer: Peer) -> None:
        peer.bind()
        peer.write(pdu(ENQUIRE, 7) + pdu(QUERY, 8) + pdu(0x102, 9))
        answers.extend([peer.read(), peer.read()])
        well_behaved(peer)

    with scripted_smsc(asking) as (port, _), carrier(port):
        wait_for(lambda: len(answers) == 2, seconds=DEADLINE)
    # An alert_notification gets no response.
    assert [answer[:3] for answer in answers] == [(ENQUIRE | ANSWER, 0, 7), (ANSWER, 0x03, 8)]


def test_pdus_are_read_byte_by_byte() -> None:
    def one_by_one(peer: Peer) -> None:
        peer.bind()
        while True:
            command, _, sequence, _ = peer.read()
            for byte in pdu(command | ANSWER, sequence, body=b"0a1B\0" if command == SUBMIT else b""):
                peer.write(bytes([byte]))
                time.sleep(0.001)

    with scripted_smsc(one_by_one) as (port, _), carrier(port) as it:
        assert it.send(sms(1))["1"] == Accepted(key="1", ref="a1b")


def test_non_smpp_data_closes_the_connection_and_the_link_rebinds() -> None:
    def web_server(peer: Peer) -> None:
        peer.bind()
        peer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        peer.read()

    with scripted_smsc(web_server, well_behaved) as (port, seen), carrier(port) as it:
        wait_for(lambda: [command for command, *_ in seen].count(BIND) == 2, seconds=DEADLINE)
        assert isinstance(it.send(sms(1))["1"], Accepted)


def test_unreadable_pdu_is_acknowledged_so_that_it_is_not_repeated() -> None:
    answers: list[Pdu] = []

    def broken(peer: Peer) -> None:
        peer.bind()
        peer.write(pdu(0x05, 5, body=b"\0\1"))
        answers.append(peer.read())
        well_behaved(peer)

    with scripted_smsc(broken) as (port, _), carrier(port):
        wait_for(lambda: answers, seconds=DEADLINE)
    assert answers[0][:3] == (0x05 | ANSWER, 0, 5)


def answering(*decide: Callable[[int, bytes], int | None]) -> Callable[[Peer], None]:
    """Return a script that responds to the n-th submission with the status from `decide`; None means no response."""

    def script(peer: Peer) -> None:
        peer.bind()
        count = 0
        while True:
            command, _, sequence, body = peer.read()
            status: int | None = 0
            if command == SUBMIT:
                status = decide[-1](count, body)
                count += 1
            if status is not None:
                answer = b"id%d\0" % count if command == SUBMIT and not status else b""
                peer.write(pdu(command | ANSWER, sequence, status=status, body=answer))
            if command == UNBIND:
                return

    return script


def submissions(seen: list[Pdu]) -> int:
    return [command for command, *_ in seen].count(SUBMIT)


def test_unresponsive_smsc_is_tried_with_one_sms_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(smpp_link, "ROOM_SECONDS", 3.0)
    works = threading.Event()
    script = answering(lambda *_: 0 if works.is_set() else None)
    with scripted_smsc(script) as (port, seen), carrier(port, window=5, answer_seconds=1) as it:
        answers = it.send(*[sms(key) for key in range(30)])
        unknown = sum(isinstance(answer, Unknown) for answer in answers.values())
        later = sum(isinstance(answer, Later) for answer in answers.values())
        # First a full window, then one SMS in a second until the time was up.
        assert unknown + later == 30
        assert 5 < unknown == submissions(seen) <= 9
        assert "but the SMSC accepts nothing that is submitted" in it.carrier.status()
        works.set()
        assert isinstance(it.send(sms(100))["100"], Accepted)
        answers = it.send(*[sms(key) for key in range(101, 131)])
        assert {type(answer) for answer in answers.values()} == {Accepted}
        assert "accepts nothing" not in it.carrier.status()


def test_full_queue_of_one_phone_counts_as_a_throttle_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smpp_pace, "HOLD_SECONDS", 0.0)
    script = answering(lambda _, body: 0x14 if b"9779840000001" in body else 0)
    with scripted_smsc(script) as (port, _), carrier(port) as it:
        pauses = []
        throttles = []
        for _ in range(5):
            it.said = []
            answer = it.send(sms(1))["1"]
            assert isinstance(answer, Later)
            pauses.append(answer.seconds)
            throttles.append(it.carrier._pace._throttled_at)
        assert pauses == [0, 5, 10, 20, 40]
        assert throttles[0] > 0, "the full queue may be the SMSC's"
        assert len(set(throttles)) == 1, "the same SMS is no further reason to slow down"


def test_misconfiguration_is_reported_once_for_sms_sent_before() -> None:
    told = threading.Event()
    enough = MAX_REFUSALS_IN_A_ROW[Meaning.TRUNK]

    def script(peer: Peer) -> None:
        peer.bind()
        sequences = [peer.read()[2] for _ in range(enough + 2)]
        for sequence in sequences[:enough]:
            peer.write(pdu(SUBMIT | ANSWER, sequence, status=0x0E))
        told.wait(DEADLINE)
        for sequence in sequences[enough:]:
            peer.write(pdu(SUBMIT | ANSWER, sequence, status=0x0E))
        command = SUBMIT
        while command != UNBIND:
            command, _, sequence, _ = peer.read()
            peer.write(pdu(command | ANSWER, sequence, body=b"id\0"))

    with scripted_smsc(script) as (port, _), carrier(port) as it:
        it.carrier.submit([sms(key) for key in range(enough + 2)])
        it.wait(lambda: len(it.results()) == enough)
        with pytest.raises(Misconfigured, match=r"Delivery \d: ESME_RINVPASWD \(0x0E\)"):
            it.carrier.submit([sms(10)])
        told.set()
        it.wait(lambda: len(it.results()) == enough + 2)
        assert {type(result) for result in it.results().values()} == {Later}
        assert isinstance(it.send(sms(11))["11"], Accepted)


def test_invalid_host_name_is_shown_and_retried(no_bind_wait: None) -> None:
    with carrier(2775, host="smsc..example.com") as it:
        it.wait(lambda: "UnicodeError" in it.carrier.status())
        assert isinstance(it.carrier._link, smpp_link.Link)
        assert it.carrier._link._thread.is_alive()
