"""Test which messages are sent beside the stack: ACKs of repeated 200s, and the BYE to a second phone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from telephony.carriers.sip import signalling as module
from telephony.carriers.sip.messages import SipMessage
from telephony.carriers.sip.signalling import Peer, Signalling

PEER = Peer(0, b"", "127.0.0.1")


class Stack:
    """Collects what is sent. `later` has the functions to call later."""

    def __init__(self) -> None:
        self.sent: list[SipMessage] = []
        self.keys: list[tuple[str, str]] = []
        self.later: list[tuple[float, Callable[..., object], tuple[Any, ...]]] = []
        self.signalling = Signalling(
            send=lambda packet, peer: self.sent.append(SipMessage.parse(packet)),
            on_key=lambda call_id, key: self.keys.append((call_id, key)),
            later=lambda seconds, function, *arguments: self.later.append((seconds, function, arguments)),
        )

    def sends(self, first: str, **headers: str) -> None:
        raw = raw_message(first, **headers)
        self.signalling.on_sent(raw, SipMessage.parse(raw), PEER)

    def receives(self, first: str, **headers: str) -> SipMessage:
        message = SipMessage.parse(raw_message(first, **headers))
        self.signalling.on_received(message, PEER)
        return message


def raw_message(
    first: str, *, cseq: str, tag: str = "", from_tag: str = "us", body: str = "", **headers: str
) -> bytes:
    lines = [first, "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKa", f"From: <sip:us@host>;tag={from_tag}"]
    lines += [f"To: <sip:them@host>{f';tag={tag}' if tag else ''}", "Call-ID: one", f"CSeq: {cseq}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def answered() -> Stack:
    stack = Stack()
    stack.sends("INVITE sip:them@host SIP/2.0", cseq="7 INVITE")
    stack.receives("SIP/2.0 200 OK", cseq="7 INVITE", tag="a")
    stack.sends("ACK sip:them@host SIP/2.0", cseq="7 ACK", tag="a")
    return stack


def test_each_repeated_200_gets_its_ack_again() -> None:
    stack = answered()
    stack.signalling.end("one")  # also after the call has ended
    for _ in range(10):
        repeated = stack.receives("SIP/2.0 200 OK", cseq="7 INVITE", tag="a")
        assert stack.signalling.confirm(repeated, PEER)
    assert [(one.method, one.sequence, one.to_tag) for one in stack.sent] == [("ACK", "7", "a")] * 10
    assert len({one.get("via") for one in stack.sent}) == 10


def test_second_phone_of_a_fork_gets_an_ack_and_byes_until_it_answers() -> None:
    stack = answered()
    routes = "<sip:p1;lr>, <sip:p2;lr>"
    second = stack.receives(
        "SIP/2.0 200 OK", cseq="7 INVITE", tag="b", Contact="<sip:phone@10.0.0.2>", Record_Route=routes
    )
    assert stack.signalling.confirm(second, PEER)
    ack, bye = stack.sent
    assert ack.first_line == "ACK sip:phone@10.0.0.2 SIP/2.0"
    assert (ack.method, ack.sequence, ack.to_tag) == ("ACK", "7", "b")
    assert (bye.method, bye.sequence, bye.to_tag) == ("BYE", "8", "b")
    assert bye.values("route") == ["<sip:p2;lr>", "<sip:p1;lr>"]
    assert bye.get("via") != ack.get("via")
    assert [seconds for seconds, _, _ in stack.later] == list(module.BYE_REPEATS)
    seconds, function, arguments = stack.later[0]
    function(*arguments)
    assert [one.method for one in stack.sent] == ["ACK", "BYE", "BYE"]
    reply = stack.receives("SIP/2.0 200 OK", cseq="8 BYE", tag="b")
    assert reply.method == "BYE"
    other = SipMessage(reply.first_line, (*bye.headers,), "")
    stack.signalling.on_received(other, PEER)
    assert stack.signalling.confirm(other, PEER)
    assert not stack.signalling.confirm(reply, PEER)  # to a BYE of the stack
    function(*arguments)
    assert len(stack.sent) == 3


def test_answers_to_calls_that_are_not_ours_are_left_to_the_stack() -> None:
    stack = Stack()
    stranger = stack.receives("SIP/2.0 200 OK", cseq="7 INVITE", tag="a")
    assert not stack.signalling.confirm(stranger, PEER)
    refused = answered()
    busy = refused.receives("SIP/2.0 486 Busy Here", cseq="8 INVITE", tag="c")
    assert not refused.signalling.confirm(busy, PEER)
    assert stack.sent == refused.sent == []


def test_repeated_info_is_one_key_and_a_keep_alive_is_none() -> None:
    stack = answered()
    for cseq, body in (
        ("1 INFO", "Signal=11"),
        ("1 INFO", "Signal=11"),
        ("2 INFO", "Signal=11"),
        ("3 INFO", ""),
    ):
        info = stack.receives(
            "INFO sip:us@host SIP/2.0",
            cseq=cseq,
            tag="us",
            from_tag="a",
            body=body,
            Content_Type="application/dtmf-relay",
        )
        assert stack.signalling.take_info(info)
    assert stack.keys == [("one", "#"), ("one", "#")]
    other = stack.receives(
        "INFO sip:us@host SIP/2.0",
        cseq="4 INFO",
        tag="us",
        from_tag="a",
        body="<x/>",
        Content_Type="text/xml",
    )
    assert not stack.signalling.take_info(other)


def test_requests_of_another_phone_are_none_of_the_call() -> None:
    stack = answered()
    for tag, from_tag in (("us", "b"), ("other", "a")):
        info = stack.receives(
            "INFO sip:us@host SIP/2.0",
            cseq="1 INFO",
            tag=tag,
            from_tag=from_tag,
            body="5",
            Content_Type="application/dtmf",
        )
        assert not stack.signalling.take_info(info)
        stack.receives("BYE sip:us@host SIP/2.0", cseq="2 BYE", tag=tag, from_tag=from_tag)
    assert stack.keys == []
    assert stack.signalling.of("one").goodbye is None
    stack.receives("BYE sip:us@host SIP/2.0", cseq="2 BYE", tag="us", from_tag="a")
    assert stack.signalling.of("one").goodbye is not None


def test_calls_are_forgotten_some_time_after_their_end(monkeypatch: Any) -> None:
    stack = answered()
    stack.signalling.end("one")
    monkeypatch.setattr(module, "KEEP_SECONDS", -1.0)
    stack.signalling.on_sent(b"", SipMessage("INVITE sip:x SIP/2.0", (("call-id", "two"),), ""), PEER)
    assert stack.signalling.of("one").final is None
