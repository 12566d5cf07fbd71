"""Read the SIP messages of the stack in its own thread, and send messages in addition to those of the stack.

The stack reports only a part of a trunk's messages: no reason of a BYE, no Retry-After, no target of a redirect. It also
leaves out the ACKs and BYEs that `signalling` adds. The stack's Python binding has no functions for this. But the stack's
library exports the functions of libre, the library on which the stack is built.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from baresip import Call, Event, Runtime, _native

from telephony.carriers.sip.messages import SipMessage
from telephony.carriers.sip.pressed_keys import event_payload_types
from telephony.carriers.sip.reception import Reception
from telephony.carriers.sip.signalling import Peer, Signalling
from telephony.carriers.sip.transmission import Transmission

log = logging.getLogger(__name__)
message_log = logging.getLogger("baresip.native.sip")  # where the binding itself would log SIP messages

MAX_MESSAGE_BYTES = 65_536
ADDRESS_BYTES = 256  # more than libre's `struct sa` has
OWN_EVENT_PAYLOAD_TYPE = 101  # of key presses, in our offers

# The events that iris reads. The others, such as RTCP reports, are not worth waking the event loop.
_EVENTS = frozenset(
    _native.lib.BP_EV_BASE + event.value
    for event in (
        Event.REGISTER_OK,
        Event.REGISTER_FAIL,
        Event.CALL_INCOMING,
        Event.CALL_OUTGOING,
        Event.CALL_RINGING,
        Event.CALL_PROGRESS,
        Event.CALL_ESTABLISHED,
        Event.CALL_CLOSED,
        Event.CALL_TRANSFER,
        Event.CALL_DTMF_START,
        Event.CALL_REMOTE_SDP,
        Event.CALL_HOLD,
        Event.CALL_RESUME,
    )
)

_Trace = ctypes.CFUNCTYPE(
    None,
    ctypes.c_bool,
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_void_p,
)
_Listener = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.c_void_p)


class _Buffer(ctypes.Structure):
    """libre's `struct mbuf`."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("position", ctypes.c_size_t),
        ("end", ctypes.c_size_t),
    ]


class _Element(ctypes.Structure):
    """libre's `struct le`, with which each of its listeners begins."""

    _fields_ = [
        ("previous", ctypes.c_void_p),
        ("next", ctypes.c_void_p),
        ("list", ctypes.c_void_p),
        ("data", ctypes.c_void_p),
    ]


class SipThread(Runtime):  # type: ignore[misc]  # mypy sees no types of the binding
    """The stack, with a way to run functions in its thread: libre may be called only there."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._functions: deque[Callable[[], object]] = deque()

    async def run(self, function: Callable[[], object]) -> None:
        """Call `function` in the stack's thread, and wait until it was called."""
        self._functions.append(function)
        await self.cmd(_native.lib.BP_CMD_PING)  # its response calls `_on_native_event` in that thread

    def _on_native_event(self, event: int, handle: int, payload: Any) -> None:
        while self._functions:
            try:
                self._functions.popleft()()
            except Exception:
                log.exception("A function failed in the SIP stack's thread")
        if event < _native.lib.BP_EV_BASE or event in _EVENTS:
            super()._on_native_event(event, handle, payload)

    def subscribe(self, listener: Callable[..., object]) -> None:
        """Subscribe to all events.

        Calls do not subscribe, because each would read the events of all calls. `SipStack` keeps the state of all calls.
        """
        if not isinstance(getattr(listener, "__self__", None), Call):
            super().subscribe(listener)


class Wire:
    """Passes each SIP message of a running stack to `signalling`. `on_key` gets a Call-ID and a key from an INFO request."""

    def __init__(self, runtime: SipThread, *, on_key: Callable[[str, str], object], trace: bool) -> None:
        self._runtime = runtime
        self._loop = asyncio.get_running_loop()
        self._trace = trace
        self._libre = ctypes.CDLL(_native.__file__)
        self._reception = Reception(self._libre)
        self.transmission = Transmission(self._libre)
        self._sip = 0
        self._received = SipMessage("", (), "")  # the message that the stack is reading
        self._received_from = Peer(0, b"", "")
        self._listener_pointers: list[Any] = []
        # The library keeps pointers to these for as long as the stack runs.
        self._on_message_pointer = _Trace(self._on_message)
        self._on_request_pointer = _Listener(self._on_request)
        self._on_response_pointer = _Listener(self._on_response)
        self._tasks: set[asyncio.Task[None]] = set()
        self.signalling = Signalling(
            send=self._send,
            on_key=lambda call_id, key: self._call_in_loop(on_key, call_id, key),
            later=lambda seconds, function, *arguments: self._call_in_loop(
                self._run_later, seconds, function, *arguments
            ),
        )

    async def attach(self) -> None:
        """Begin to read messages.

        Raises RuntimeError if the stack's structures differ from those that this module expects.
        """
        failure: list[str] = []
        await self._runtime.run(lambda: failure.extend(self._attach()))
        if failure:
            raise RuntimeError(failure[0])

    def _attach(self) -> list[str]:
        """Set the callbacks, in the stack's thread. Return why that is impossible, if it is."""
        try:
            self._declare()
            self._reception.declare()
            self.transmission.declare()
        except AttributeError as e:
            return [f"the SIP stack's library lacks a function: {e}"]
        self._sip = self._libre.uag_sip()
        if not self._sip:
            return ["the SIP stack has not started"]
        for is_request, callback in ((False, self._on_response_pointer), (True, self._on_request_pointer)):
            pointer = ctypes.c_void_p()
            self._listener_pointers.append(pointer)
            self._libre.sip_listen(ctypes.byref(pointer), self._sip, is_request, callback, None)
            element = _Element.from_address(pointer.value or 0) if pointer.value else None
            if element is None or element.data != pointer.value or not element.list:
                return ["the SIP stack's listeners are built differently"]
            # Behind the first listener, which handles responses within transactions, and before all others.
            listeners, first = element.list, self._libre.list_head(element.list)
            self._libre.list_unlink(pointer)
            self._libre.list_insert_after(listeners, first, pointer, pointer)
        self._libre.sip_set_trace_handler(self._sip, self._on_message_pointer)
        if error := self._reception.register_player() or self.transmission.register_source():
            return [f"the SIP stack takes no audio device: error {error}"]
        return []

    def end(self, call_id: str) -> None:
        """Forget a call that has ended."""
        self.signalling.end(call_id)
        self.transmission.end(call_id)

    def ignore_audio(self, call_id: str) -> None:
        """Receive no audio in a call, only key presses."""
        self._run_in_stack(self._ignore_audio, call_id)

    def _ignore_audio(self, call_id: str) -> None:
        call = self._libre.uag_call_find(call_id.encode())
        if audio := call and self._libre.call_audio(call):
            self._reception.ignore_audio(self._libre.audio_strm(audio))

    def _declare(self) -> None:
        """Declare the types of the functions that are used. Raises AttributeError if one is missing."""
        pointer, number = ctypes.c_void_p, ctypes.c_int
        for name, result, arguments in (
            ("uag_sip", pointer, []),
            ("sip_listen", number, [pointer, pointer, ctypes.c_bool, _Listener, pointer]),
            ("sip_set_trace_handler", None, [pointer, _Trace]),
            ("sip_send", number, [pointer, pointer, number, pointer, pointer]),
            ("sip_reply", number, [pointer, pointer, ctypes.c_uint16, ctypes.c_char_p]),
            ("list_head", pointer, [pointer]),
            ("list_unlink", None, [pointer]),
            ("list_insert_after", None, [pointer, pointer, pointer, pointer]),
            ("sa_cpy", None, [pointer, pointer]),
            ("sa_ntop", number, [pointer, ctypes.c_char_p, number]),
            ("sa_port", ctypes.c_uint16, [pointer]),
            ("mbuf_alloc", pointer, [ctypes.c_size_t]),
            ("mbuf_write_mem", number, [pointer, ctypes.c_char_p, ctypes.c_size_t]),
            ("mem_deref", pointer, [pointer]),
            ("uag_call_find", pointer, [ctypes.c_char_p]),
            ("call_audio", pointer, [pointer]),
            ("audio_strm", pointer, [pointer]),
            ("stream_sdpmedia", pointer, [pointer]),
            ("sdp_media_lformat", pointer, [pointer, number]),
            ("sdp_format_add", number, None),
        ):
            function = getattr(self._libre, name)
            function.restype = result
            if arguments is not None:
                function.argtypes = arguments

    # In the stack's thread ----------------------------------------------------------------------------------

    def _on_message(
        self, sent: bool, transport: int, source: int, destination: int, data: int, size: int, _: object
    ) -> None:
        """Read a message that the stack sends, or that it has received and is about to read."""
        try:
            raw = ctypes.string_at(data, min(size, MAX_MESSAGE_BYTES))
            peer = self._peer(transport, destination if sent else source)
            message = SipMessage.parse(raw)
            if self._trace and message_log.isEnabledFor(logging.DEBUG):
                direction = "TX to" if sent else "RX from"
                port = self._libre.sa_port(destination if sent else source)
                text = f"{direction} {peer.host}:{port}\n{raw.decode('utf-8', 'replace')}"
                self._call_in_loop(message_log.debug, "%s", text)
            if sent:
                self.signalling.on_sent(raw, message, peer)
            else:
                self._received, self._received_from = message, peer
                self.signalling.on_received(message, peer)
                self._accept_payload_types(message)
        except Exception:
            log.exception("A SIP message could not be read")

    def _on_request(self, message: int, _: object) -> bool:
        try:
            if not self.signalling.take_info(self._received):
                return False
            self._libre.sip_reply(self._sip, message, 200, b"OK")
            return True
        except Exception:
            log.exception("An INFO request could not be read")
            return False

    def _on_response(self, message: int, _: object) -> bool:
        try:
            return self.signalling.confirm(self._received, self._received_from)
        except Exception:
            log.exception("A response could not be confirmed")
            return False

    def _accept_payload_types(self, message: SipMessage) -> None:
        """Accept key presses under the RTP payload type that the far end names, beside ours.

        It should send them under ours (RFC 3264, §6.1), but some send them under their own.
        """
        if "telephone-event" not in message.body:
            return
        for payload_type in event_payload_types([message.body]):
            call = payload_type != OWN_EVENT_PAYLOAD_TYPE and self._libre.uag_call_find(
                message.call_id.encode()
            )
            audio = call and self._libre.call_audio(call)
            media = audio and self._libre.stream_sdpmedia(self._libre.audio_strm(audio))
            if media and not self._libre.sdp_media_lformat(media, payload_type):
                self._libre.sdp_format_add(
                    None,
                    ctypes.c_void_p(media),
                    ctypes.c_bool(False),
                    str(payload_type).encode(),
                    b"telephone-event",
                    ctypes.c_uint32(8000),
                    ctypes.c_uint8(1),
                    None,
                    None,
                    None,
                    ctypes.c_bool(False),
                    b"0-15",
                )

    def _call_in_loop(self, function: Callable[..., object], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and the stack sends its last BYEs
            self._loop.call_soon_threadsafe(function, *arguments)

    def _peer(self, transport: int, address: int) -> Peer:
        copy = ctypes.create_string_buffer(ADDRESS_BYTES)
        self._libre.sa_cpy(copy, address)
        host = ctypes.create_string_buffer(64)
        self._libre.sa_ntop(address, host, len(host))
        return Peer(transport, copy.raw, host.value.decode())

    def _send(self, packet: bytes, peer: Peer) -> None:
        buffer = self._libre.mbuf_alloc(len(packet))
        if not buffer:
            return
        try:
            self._libre.mbuf_write_mem(buffer, packet, len(packet))
            _Buffer.from_address(buffer).position = 0
            address = ctypes.create_string_buffer(peer.address, ADDRESS_BYTES)
            if error := self._libre.sip_send(self._sip, None, peer.transport, address, buffer):
                log.warning("A SIP message could not be sent to %s: error %d", peer.host, error)
        finally:
            self._libre.mem_deref(buffer)

    # In the event loop --------------------------------------------------------------------------------------

    def _run_later(self, seconds: float, function: Callable[..., object], *arguments: Any) -> None:
        self._loop.call_later(seconds, self._run_in_stack, function, *arguments)

    def _run_in_stack(self, function: Callable[..., object], *arguments: Any) -> None:
        task = self._loop.create_task(self._run(function, *arguments))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, function: Callable[..., object], *arguments: Any) -> None:
        from baresip import BaresipError

        try:
            await self._runtime.run(lambda: function(*arguments))
        except BaresipError:  # the stack is being closed
            return
