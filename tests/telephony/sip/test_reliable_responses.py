"""Test calls over trunks that want each provisional response confirmed by PRACK (RFC 3262)."""

from __future__ import annotations

from pathlib import Path

from telephony.models import DeliveryStatus
from tests.telephony.sip.far_end import FarEnd
from tests.telephony.sip.line import Line
from tests.telephony.sip.script import answer_again, listen, pause, receive, respond, scenario

STEPS = [
    respond("180 Ringing", headers="Require: 100rel\nRSeq: 77"),
    receive("PRACK"),
    respond("200 OK", tag="", once=True),
    pause(200),
    answer_again(),
    receive("ACK"),
    *listen(),
]


def test_provisional_responses_are_confirmed_if_the_account_says_so(tmp_path: Path) -> None:
    with (
        FarEnd(tmp_path, "reliable", text=scenario({"01": STEPS})) as far_end,
        Line(far_end.host, account=("100rel=yes",)) as line,
    ):
        line.call("+9779841000001")
        assert (line.final().status, line.final().playback) == (DeliveryStatus.COMPLETED, 100)
        assert "100rel" in far_end.messages().partition("RSeq")[0]
    assert far_end.errors() == ""
