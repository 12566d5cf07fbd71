"""Test how inbound long SMS are joined: parts in any order, duplicated, over several connections, or incomplete."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from telephony.carriers.base import CarrierEvent, InboundSms
from telephony.carriers.smpp import encoding, reassembly
from telephony.carriers.smpp.reassembly import Part
from telephony.engine import delivery_reports
from telephony.models import InboundMessage, InboundPart, OptOut, Trunk
from tests.factories import make_delivery
from tests.telephony.smpp.carriers import carrier
from tests.telephony.smpp.processes import SmscProcess, smsc

LONG = "नमस्ते। वडा कार्यालयको बैठक कहिले हुन्छ, कृपया जानकारी दिनुहोला। 🙏 धन्यवाद। " * 2
SENDER = "+9779841000001"


def parts_of(text: str, *, reference: int = 7, sender: str = SENDER) -> list[Part]:
    bodies, coding = encoding.parts(text, reference=reference)
    return [
        Part(
            sender=sender,
            to="31001",
            reference=reference,
            total=len(bodies),
            number=number,
            coding=coding,
            octets=body[6:],
            at=timezone.now(),
        )
        for number, body in enumerate(bodies, start=1)
    ]


def shown_texts() -> list[str]:
    return list(InboundMessage.objects.order_by("id").values_list("text", flat=True))


def store(items: Sequence[CarrierEvent | InboundSms]) -> None:
    delivery_reports.apply_events("smsc", items)


def keep(parts: Sequence[Part]) -> None:
    reassembly.keep("smsc", parts, store=store)


def hand_on_incomplete() -> int:
    return reassembly.hand_on_incomplete("smsc", store=store)


def age_parts(seconds: float) -> None:
    InboundPart.objects.update(created_at=timezone.now() - timedelta(seconds=seconds))


class TestReassembly:
    @pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
    def test_parts_are_joined_in_any_order(self, trunk: Trunk, order: Sequence[int]) -> None:
        parts = parts_of(LONG)
        assert len(parts) == 3
        for place in order:
            assert shown_texts() == []
            keep([parts[place]])
        assert shown_texts() == [LONG]
        assert InboundMessage.objects.get().sender == SENDER

    def test_shuffled_duplicate_parts_are_joined_once(self, trunk: Trunk) -> None:
        parts = [*parts_of(LONG), *parts_of("x" * 400, sender="+9779841000002")] * 2
        random.Random(1).shuffle(parts)
        keep(parts)
        assert sorted(shown_texts()) == sorted([LONG, "x" * 400])

    def test_duplicate_parts_after_the_message_was_shown_are_ignored(self, trunk: Trunk) -> None:
        parts = parts_of(LONG)
        keep(parts)
        keep(parts[1:])
        age_parts(reassembly.INCOMPLETE_AFTER + 1)
        hand_on_incomplete()
        assert shown_texts() == [LONG]

    def test_character_split_between_parts_is_joined(self, trunk: Trunk) -> None:
        octets = "🙏".encode("utf-16-be")
        halves = [
            Part(
                sender=SENDER, to="", reference=1, total=2, number=n, coding=8, octets=half, at=timezone.now()
            )
            for n, half in enumerate((octets[:2], octets[2:]), start=1)
        ]
        keep(halves)
        assert shown_texts() == ["🙏"]

    def test_reference_is_reused_by_the_next_message(self, trunk: Trunk) -> None:
        first, second = parts_of(LONG), parts_of(LONG.replace("वडा", "घर"))
        keep(first)
        keep(second)
        assert shown_texts() == [LONG, LONG.replace("वडा", "घर")]

    def test_reference_reused_before_the_first_message_was_complete(self, trunk: Trunk) -> None:
        first, second = parts_of("a" * 300), parts_of("b" * 300)
        keep([first[0], second[0], second[1]])
        assert shown_texts() == ["a" * 153 + reassembly.MISSING, "b" * 300]

    def test_incomplete_message_is_shown_after_ten_minutes(self, trunk: Trunk) -> None:
        first, _, third = parts_of("a" * 153 + "b" * 153 + "c" * 10)
        keep([third, first])
        age_parts(reassembly.INCOMPLETE_AFTER - 1)
        assert hand_on_incomplete() == 0
        age_parts(reassembly.INCOMPLETE_AFTER + 1)
        assert hand_on_incomplete() == 1
        assert hand_on_incomplete() == 0
        assert shown_texts() == ["a" * 153 + reassembly.MISSING + "c" * 10]

    def test_joined_parts_are_deleted_after_a_day(self, trunk: Trunk) -> None:
        keep(parts_of(LONG))
        hand_on_incomplete()
        assert InboundPart.objects.count() == 3
        InboundPart.objects.update(
            joined_at=timezone.now() - timedelta(seconds=reassembly.DUPLICATE_WITHIN + 1)
        )
        hand_on_incomplete()
        assert not InboundPart.objects.exists()

    def test_stop_is_recognized_in_the_joined_text_only(self, trunk: Trunk) -> None:
        make_delivery(trunk=trunk, to=SENDER)
        keep(parts_of("रोक्नुहोस् " + "।" * 100))
        assert OptOut.objects.get().number == SENDER
        other = make_delivery(trunk=trunk, to="+9779841000002")
        keep(parts_of("x" * 153 + " STOP", sender=other.to))
        assert OptOut.objects.count() == 1


def test_parts_come_again_when_their_message_could_not_be_stored(trunk: Trunk) -> None:
    def is_away(items: Sequence[CarrierEvent | InboundSms]) -> None:
        raise OperationalError("the database is away")

    first, *others = parts_of(LONG)
    keep([first])
    with pytest.raises(OperationalError):
        reassembly.keep("smsc", others, store=is_away)
    assert InboundPart.objects.count() == 1
    keep(others)
    assert shown_texts() == [LONG]


@pytest.mark.django_db(transaction=True)
def test_concurrent_parts_over_two_connections_are_joined_once(trunk: Trunk) -> None:
    chance = random.Random(2)
    messages = [f"{n:03d}" + "x" * 300 for n in range(20)]
    parts = [part for n, text in enumerate(messages) for part in parts_of(text, reference=n)]
    both = [parts[:], parts[:]]
    begin = threading.Barrier(2)

    def store_all(mine: list[Part]) -> None:
        chance.shuffle(mine)
        begin.wait()
        for part in mine:
            keep([part])
        connection.close()

    threads = [threading.Thread(target=store_all, args=(mine,)) for mine in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(shown_texts()) == messages


def has_acknowledged(far: SmscProcess, count: int) -> bool:
    """Whether so many that it delivered were answered, with whatever status."""
    return len(far.journal_entries("inbound")) == count


@pytest.mark.django_db(transaction=True)
class TestInboundFromSmsc:
    def test_parts_are_recognized_by_header_and_by_tlvs(self, trunk: Trunk, tmp_path: Path) -> None:
        bodies, coding = encoding.parts(LONG, reference=9)
        with smsc(tmp_path) as far, carrier(far.port) as it:
            for body in reversed(bodies):
                far.send("9779841000001", body, coding=coding, esm_class=encoding.HAS_HEADER)
            for number, body in enumerate(bodies, start=1):
                tlvs = {0x020C: b"\0\x09", 0x020E: b"\x03", 0x020F: bytes([number])}
                far.send("9779841000002", body[6:], coding=coding, tlvs=tlvs)
            it.wait(lambda: len(far.journal_entries("inbound")) == 6)
            assert it.inbound() == []
        assert all(entry["acknowledged"] for entry in far.journal_entries("inbound"))
        assert shown_texts() == [LONG, LONG]

    def test_long_sms_in_message_payload_is_read(self, tmp_path: Path) -> None:
        octets = LONG.encode("utf-16-be")
        with smsc(tmp_path) as far, carrier(far.port) as it:
            far.send("9779841000001", b"", tlvs={0x0424: octets})
            it.wait(it.inbound)
            assert it.inbound()[0].text == LONG

    def test_unstored_parts_are_not_acknowledged(
        self, trunk: Trunk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real, attempts = reassembly.keep, []

        def away_at_first(alias: str, parts: Any, *, store: Any) -> None:
            attempts.append(len(parts))
            if len(attempts) == 1:
                raise OperationalError("the database is away")
            real(alias, parts, store=store)

        monkeypatch.setattr(reassembly, "keep", away_at_first)
        bodies, coding = encoding.parts("x" * 200, reference=9)
        with smsc(tmp_path) as far, carrier(far.port) as it:
            for count, body in enumerate((bodies[0], *bodies), start=1):
                far.send("9779841000001", body, coding=coding, esm_class=encoding.HAS_HEADER)
                it.wait(partial(has_acknowledged, far, count))
        assert [entry["acknowledged"] for entry in far.journal_entries("inbound")] == [False, True, True]
        assert shown_texts() == ["x" * 200]
