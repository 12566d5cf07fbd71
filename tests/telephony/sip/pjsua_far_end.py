"""Answer calls with PJSIP (PJSUA2), a SIP stack that others wrote.

Run `python -m tests.telephony.sip.pjsua_far_end PORT FOLDER`. The last two digits of the called number choose what it does
(`BEHAVIOURS`). What each call hears is recorded in `FOLDER/<digits>.wav`, 16 bits at 8 kHz. It ends when its standard input
has data or ends.
"""

from __future__ import annotations

import ctypes
import heapq
import re
import select
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pjsua2 as pj  # type: ignore[import-not-found]

JITTER_BUFFER = 200  # milliseconds
NO_DISCARDING = 0  # PJMEDIA_JB_DISCARD_NONE: discarding would cut what is recorded
PICKS_UP = 0.4  # seconds
KEYS = "159#"
BEHAVIOURS = {
    "11": "answer", "12": "answer", "13": "answer", "14": "answer", "15": "busy", "16": "ring", "17": "decline",
    "18": "announce", "19": "hold", "20": "keys", "21": "keys by INFO", "22": "hang up", "23": "update",
    "24": "echo", "25": "answer at once", "26": "unavailable", "27": "unknown", "28": "hold twice", "29": "session timer",
    "30": "hang up at once",
}  # fmt: skip


class Agenda:
    """What is to be done later, in order of its time (monotonic)."""

    def __init__(self) -> None:
        self._items: list[tuple[float, int, Callable[[], object]]] = []
        self._order = count()

    def add(self, seconds: float, function: Callable[[], object]) -> None:
        heapq.heappush(self._items, (time.monotonic() + seconds, next(self._order), function))

    def run_due(self) -> None:
        while self._items and self._items[0][0] <= time.monotonic():
            try:
                heapq.heappop(self._items)[2]()
            except pj.Error as error:  # the call has ended meanwhile
                print(error.info(), file=sys.stderr)


class Call(pj.Call):  # type: ignore[misc]
    def __init__(self, account: FarEndAccount, call_id: int, digits: str) -> None:
        super().__init__(account, call_id)
        self._account = account
        self._digits = digits
        self._recorder: Any = None

    def onCallState(self, _: object) -> None:
        if self.getInfo().state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self._recorder = None  # closes the file
            self._account.calls.discard(self)

    def onCallMediaState(self, _: object) -> None:
        info = self.getInfo()  # it owns the list of media
        for index, media in enumerate(info.media):
            if media.type != pj.PJMEDIA_TYPE_AUDIO or media.status != pj.PJSUA_CALL_MEDIA_ACTIVE:
                continue
            audio = self.getAudioMedia(index)
            if self._recorder is None:
                self._recorder = pj.AudioMediaRecorder()
                self._recorder.createRecorder(str(self._account.folder / f"{self._digits}.wav"))
            audio.startTransmit(self._recorder)
            # PJSIP sends the packets of a key only among those of audio.
            if BEHAVIOURS.get(self._digits) in ("echo", "keys"):
                audio.startTransmit(audio)

    def respond(self, code: int) -> None:
        parameters = pj.CallOpParam()
        parameters.statusCode = code
        self.answer(parameters)

    def end(self) -> None:
        self.hangup(pj.CallOpParam())

    def hold(self) -> None:
        self.setHold(pj.CallOpParam())

    def resume(self) -> None:
        parameters = pj.CallOpParam(True)
        parameters.opt.flag = pj.PJSUA_CALL_UNHOLD
        self.reinvite(parameters)

    def press(self, key: str, *, by_info: bool) -> None:
        if not by_info:
            self.dialDtmf(key)
            return
        parameters = pj.CallSendDtmfParam()
        parameters.digits = key
        parameters.method = pj.PJSUA_DTMF_METHOD_SIP_INFO
        parameters.duration = 160
        self.sendDtmf(parameters)


class FarEndAccount(pj.Account):  # type: ignore[misc]
    def __init__(self, folder: Path, agenda: Agenda) -> None:
        super().__init__()
        self.folder = folder
        self.calls: set[Call] = set()
        self._agenda = agenda

    def onIncomingCall(self, parameters: Any) -> None:
        found = re.search(r"INVITE sips?:[^@\s]*?(\d\d)@", parameters.rdata.wholeMsg)
        digits = found[1] if found else ""
        call = Call(self, parameters.callId, digits)
        self.calls.add(call)
        later = self._agenda.add
        behaviour = BEHAVIOURS.get(digits, "unknown")
        refusals = {"busy": 486, "decline": 603, "unavailable": 480, "unknown": 404}
        if behaviour in refusals:
            later(0.1, lambda: call.respond(refusals[behaviour]))
            return
        if behaviour != "answer at once":
            later(0.1, lambda: call.respond(183 if behaviour == "announce" else 180))
        if behaviour == "ring":
            return
        picks_up = 2.0 if behaviour == "announce" else PICKS_UP
        later(picks_up, lambda: call.respond(200))
        if behaviour in ("hold", "hold twice"):
            for begin in (1.5, 4.0)[: 1 + (behaviour == "hold twice")]:
                later(picks_up + begin, call.hold)
                later(picks_up + begin + 1.2, call.resume)
        if behaviour.startswith("keys"):
            for place, key in enumerate(KEYS):
                later(
                    picks_up + 1 + 0.5 * place,
                    lambda key=key: call.press(key, by_info=behaviour == "keys by INFO"),  # type: ignore[misc]
                )
        if behaviour == "update":
            later(picks_up + 1, lambda: call.update(pj.CallOpParam(True)))
        if behaviour.startswith("hang up"):
            later(picks_up + (0.1 if behaviour == "hang up at once" else 3.0), call.end)


def main(port: int, folder: Path) -> None:
    agenda = Agenda()
    endpoint = pj.Endpoint()
    endpoint.libCreate()
    config = pj.EpConfig()
    config.logConfig.level, config.logConfig.consoleLevel = 4, 0
    config.logConfig.filename = str(folder / "pjsua.log")
    config.uaConfig.threadCnt, config.uaConfig.mainThreadOnly = 0, True
    config.medConfig.clockRate = config.medConfig.sndClockRate = 8000
    config.medConfig.noVad = True
    # A buffer of one length: an adaptive one would stretch what is recorded.
    config.medConfig.jbInit = config.medConfig.jbMinPre = config.medConfig.jbMaxPre = JITTER_BUFFER
    config.medConfig.jbMax = 5 * JITTER_BUFFER
    algorithm = config.medConfig.jbDiscardAlgo  # the binding cannot make an enum, but set one that it made
    ctypes.c_int.from_address(int(algorithm)).value = NO_DISCARDING
    config.medConfig.jbDiscardAlgo = algorithm
    endpoint.libInit(config)
    transport = pj.TransportConfig()
    transport.port, transport.boundAddress = port, "127.0.0.1"
    endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
    endpoint.audDevManager().setNullDev()
    endpoint.libStart()
    settings = pj.AccountConfig()
    settings.idUri = f"sip:trunk@127.0.0.1:{port}"
    settings.callConfig.timerUse = pj.PJSUA_SIP_TIMER_OPTIONAL
    settings.callConfig.timerMinSESec = settings.callConfig.timerSessExpiresSec = 90
    settings.mediaConfig.transportConfig.port = 42_000
    settings.mediaConfig.transportConfig.boundAddress = "127.0.0.1"
    account = FarEndAccount(folder, agenda)
    account.create(settings)
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        endpoint.libHandleEvents(10)
        agenda.run_due()
    endpoint.hangupAllCalls()
    endpoint.libDestroy()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
